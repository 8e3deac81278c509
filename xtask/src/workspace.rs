//! Where things are: the repository's root, cargo's target directory, cargo itself.
//!
//! Nothing here runs a program or creates a file.

use std::env;
use std::path::{Path, PathBuf};

/// The repository's root: the directory above this crate.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the xtask crate lies in the workspace's root")
}

/// Where build products and downloads are kept; never committed, safe to delete.
pub(crate) fn target_dir() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// The cargo that started us, so that one toolchain does everything.
pub(crate) fn cargo() -> PathBuf {
    env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}
