//! The private directory of one guest run: its script, its channel, its console log.
//!
//! It lives as long as the run. The supervisor deletes it even when we are killed; this value deletes it in
//! every other case.

use std::env;
use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process;

use anyhow::{Context, Result, bail};

/// A directory that is deleted when the value goes.
#[derive(Debug)]
pub(super) struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// A fresh directory that no other run has, readable by us alone.
    pub(super) fn create() -> Result<Self> {
        let parent = env::temp_dir().canonicalize().context("resolve the temporary directory")?;
        for number in 0..10_000 {
            let path =
                super::mountable(parent.join(format!("xtask-guest-{}-{number}", process::id())))?;
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Self { path }.with_channel(),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(error).with_context(|| format!("create {}", path.display()));
                }
            }
        }
        bail!("no free name for a directory in {}", parent.display())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A name no other run on this machine has.
    pub(super) fn id(&self) -> String {
        self.path.file_name().expect("we chose the name").to_string_lossy().into_owned()
    }

    /// The script that is the guest's first process.
    pub(super) fn init(&self) -> PathBuf {
        self.path.join("init")
    }

    /// The directory through which the guest reports; see [`super::supervise`].
    pub(super) fn channel(&self) -> PathBuf {
        self.path.join("channel")
    }

    /// What the kernel printed.
    pub(super) fn console(&self) -> PathBuf {
        self.path.join("console")
    }

    /// The results directory of a caller who does not want results.
    pub(super) fn scratch_results(&self) -> PathBuf {
        self.path.join("results")
    }

    fn with_channel(self) -> Result<Self> {
        fs::create_dir(self.channel()).context("create the guest's channel")?;
        Ok(self)
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        // The supervisor may have been faster.
        let _ = fs::remove_dir_all(&self.path);
    }
}
