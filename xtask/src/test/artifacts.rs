//! What cargo built, from its JSON messages.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

/// A program that holds tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TestProgram {
    /// Crate and target as one word, for people.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// Its package's directory, where cargo would start it.
    pub(crate) directory: PathBuf,
}

/// The programs of one build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Artifacts {
    pub(crate) tests: Vec<TestProgram>,
    /// Programs of the project itself, by name.
    pub(crate) programs: Vec<(String, PathBuf)>,
}

/// Reads one JSON message per line.
pub(crate) fn parse(messages: &str) -> Result<Artifacts> {
    let mut artifacts = Artifacts::default();
    for line in messages.lines().filter(|line| line.starts_with('{')) {
        let message: Value = serde_json::from_str(line).context("read a message of cargo")?;
        if message["reason"] == "compiler-artifact" {
            artifacts.note(&message);
        }
    }
    artifacts.tests.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(artifacts)
}

impl Artifacts {
    fn note(&mut self, message: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let Some(executable) = message["executable"].as_str().map(PathBuf::from) else {
            return;
        };
        let target = text(&message["target"]["name"]);
        if message["profile"]["test"] == true {
            let manifest = text(&message["manifest_path"]);
            let directory = Path::new(&manifest).parent().map(Path::to_owned).unwrap_or_default();
            let package = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let name = if package == target { package } else { format!("{package}/{target}") };
            self.tests.push(TestProgram { name, path: executable, directory });
        } else if message["target"]["kind"][0] == "bin" {
            self.programs.push((target, executable));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGES: &str = r#"
{"reason":"compiler-artifact","manifest_path":"/w/crates/a/Cargo.toml","target":{"kind":["lib"],"name":"a"},"profile":{"test":false},"executable":null}
{"reason":"compiler-artifact","manifest_path":"/w/crates/a/Cargo.toml","target":{"kind":["test"],"name":"wire"},"profile":{"test":true},"executable":"/t/wire-1"}
{"reason":"compiler-artifact","manifest_path":"/w/crates/a/Cargo.toml","target":{"kind":["lib"],"name":"a"},"profile":{"test":true},"executable":"/t/a-1"}
{"reason":"compiler-artifact","manifest_path":"/w/crates/d/Cargo.toml","target":{"kind":["bin"],"name":"daemon"},"profile":{"test":false},"executable":"/t/daemon"}
{"reason":"build-finished","success":true}
"#;

    #[test]
    fn tests_and_programs_are_told_apart() {
        let artifacts = parse(MESSAGES).unwrap();
        let test = |name: &str, path: &str| TestProgram {
            name: name.into(),
            path: path.into(),
            directory: "/w/crates/a".into(),
        };
        assert_eq!(artifacts.tests, [test("a", "/t/a-1"), test("a/wire", "/t/wire-1")]);
        assert_eq!(artifacts.programs, [("daemon".into(), "/t/daemon".into())]);
    }
}
