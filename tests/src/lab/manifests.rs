//! A directory of manifests that a test may do with as it pleases.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory of its own, gone when dropped.
#[derive(Debug)]
pub struct Manifests(PathBuf);

impl Manifests {
    /// Holds the Nodes of the laboratory, and nothing that is served.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn of_nodes() -> Self {
        let manifests = Self::empty();
        manifests.write("nodes.yaml", &example("nodes.yaml"));
        manifests
    }

    /// Holds what `examples/two-tier` holds.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn two_tier() -> Self {
        let manifests = Self::empty();
        for entry in fs::read_dir(two_tier()).expect("the example is there") {
            let path = entry.expect("a directory can be listed").path();
            let name = path.file_name().and_then(|name| name.to_str());
            let name = name.expect("names of examples are text");
            if path.is_file() {
                manifests.write(name, &example(name));
            }
        }
        manifests
    }

    fn empty() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("manifests-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("the temporary directory can be written");
        Self(path)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What its files say, in the order of their names.
    ///
    /// # Panics
    /// When they cannot be read.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).expect("the directory can be listed");
        let mut paths: Vec<_> =
            entries.map(|entry| entry.expect("a directory can be listed").path()).collect();
        paths.sort_unstable();
        let text = |path: &PathBuf| fs::read_to_string(path).expect("the file can be read");
        paths.iter().map(text).collect()
    }

    /// Writes a file elsewhere and renames it to its place, as editors do.
    ///
    /// # Panics
    /// When that is not possible.
    pub fn write(&self, name: &str, text: &str) {
        let draft = self.0.join(format!(".{name}.draft"));
        fs::write(&draft, text).expect("the directory can be written");
        fs::rename(&draft, self.0.join(name)).expect("a file can be renamed in its directory");
    }

    /// Writes a file where it is: a reader may see a part of it.
    ///
    /// # Panics
    /// When that is not possible.
    pub fn write_in_place(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).expect("the directory can be written");
    }

    /// Removes a file.
    ///
    /// # Panics
    /// When it is not there.
    pub fn remove(&self, name: &str) {
        fs::remove_file(self.0.join(name)).expect("the file is there");
    }
}

impl Drop for Manifests {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn two_tier() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/two-tier")
}

/// The text of a file in `examples/two-tier`, or in a directory of it.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn example(name: &str) -> String {
    fs::read_to_string(two_tier().join(name)).expect("the example is there")
}
