//! Files in a `.tar.gz`, and back.

use std::io::{self, Read};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use tar::{Archive, Builder, Header};

use super::Files;

/// A bundle of others may be anything: more than this is not read.
const GREATEST: u64 = 1 << 30;

/// The files, of a time in seconds since 1970.
pub(super) fn write(files: &Files, seconds: u64) -> io::Result<Vec<u8>> {
    let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (name, contents) in files {
        let mut header = Header::new_gnu();
        header.set_size(contents.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(seconds);
        builder.append_data(&mut header, name, contents.as_slice())?;
    }
    builder.into_inner()?.finish()
}

/// Everything in an archive that is a file. Nothing is written anywhere.
pub(super) fn read(archive: impl Read) -> io::Result<Files> {
    let mut files = Files::new();
    for entry in Archive::new(GzDecoder::new(archive).take(GREATEST)).entries()? {
        let mut entry = entry?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = entry.path()?.to_string_lossy().into_owned();
        let mut contents = Vec::new();
        entry.read_to_end(&mut contents)?;
        files.insert(name, contents);
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let long = format!("daemon/services/{}/{}.json", "n".repeat(63), "s".repeat(63));
        let files = Files::from([
            ("bundle.json".to_owned(), b"{}".to_vec()),
            (long, vec![b'x'; 100_000]),
            ("empty".to_owned(), Vec::new()),
        ]);
        let bytes = write(&files, 1_767_323_045).unwrap();
        assert!(bytes.len() < 5_000, "{} bytes", bytes.len());
        assert_eq!(read(bytes.as_slice()).unwrap(), files);
        assert!(read(&b"no archive"[..]).is_err());
        assert!(read(&bytes[..bytes.len() / 2]).is_err(), "half of one");
    }
}
