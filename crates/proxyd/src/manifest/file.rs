//! One file: whether it changed, and what is in it.

use std::fs::{self, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::document::{self, Contents, Fault, Format};

/// Time stamps of files are as coarse as a kernel tick, on some file systems a second or two. A
/// file that changed so shortly before it was read may change again without looking different.
const COARSEST_TIME: Duration = Duration::from_secs(2);

/// The files of a directory that are manifests, by name.
pub(super) fn list(directory: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        // What cannot be examined may be a manifest; reading it will tell why it cannot.
        let may_be_file = fs::metadata(&path).map_or(true, |metadata| metadata.is_file());
        if format(&name).is_some() && may_be_file {
            files.push((name, path));
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// How a file of this name is written, if it is a manifest.
fn format(name: &str) -> Option<Format> {
    let (stem, extension) = name.rsplit_once('.')?;
    match extension {
        _ if stem.is_empty() || name.starts_with('.') => None,
        "yaml" | "yml" => Some(Format::Yaml),
        "json" => Some(Format::Json),
        _ => None,
    }
}

/// What a file looked like when it was last read.
#[derive(Debug, Default)]
pub(super) struct Seen {
    signature: Option<Signature>,
    hash: Option<u64>,
}

/// What reading a file brought.
pub(super) enum Loaded {
    /// The same as last time.
    Unchanged,
    /// Nothing but blanks.
    Blank,
    /// New contents.
    Contents(Contents),
    /// New contents that cannot be used.
    Fault(Fault),
    /// No contents.
    Unreadable(io::Error),
}

impl Seen {
    /// Reads the file if it looks different from last time.
    pub(super) fn load(&mut self, name: &str, path: &Path) -> Loaded {
        match self.new_text(path) {
            Err(error) => {
                *self = Self::default();
                Loaded::Unreadable(error)
            }
            Ok(None) => Loaded::Unchanged,
            Ok(Some(bytes)) => match String::from_utf8(bytes) {
                Ok(text) if text.trim().is_empty() => Loaded::Blank,
                Ok(text) => match document::read(&text, format(name).unwrap_or(Format::Yaml)) {
                    Ok(contents) => Loaded::Contents(contents),
                    Err(fault) => Loaded::Fault(fault),
                },
                Err(error) => Loaded::Fault(not_text(&error)),
            },
        }
    }

    fn new_text(&mut self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let now = SystemTime::now();
        let signature = Signature::of(&fs::metadata(path)?);
        if self.signature.as_ref() == Some(&signature) {
            return Ok(None);
        }
        let bytes = fs::read(path)?;
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let hash = Some(hasher.finish());
        self.signature = signature.settled(now).then_some(signature);
        let changed = self.hash != hash;
        self.hash = hash;
        Ok(changed.then_some(bytes))
    }
}

/// The place of the first byte that is not UTF-8.
fn not_text(error: &std::string::FromUtf8Error) -> Fault {
    let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
    let lines = before.iter().filter(|byte| **byte == b'\n').count();
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count();
    Fault {
        line: 1 + lines as u64,
        column: 1 + column as u64,
        reason: "the file is not UTF-8 text".to_owned(),
    }
}

/// What changes when a file does: which file it is, its size, its times.
#[derive(Debug, PartialEq, Eq)]
struct Signature {
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Signature {
    fn of(metadata: &Metadata) -> Self {
        Self {
            file: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether every later change will show.
    fn settled(&self, now: SystemTime) -> bool {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let latest = self.changed.0.max(self.modified.0);
        u64::try_from(latest)
            .is_ok_and(|latest| Duration::from_secs(latest + 1) + COARSEST_TIME < now)
    }
}
