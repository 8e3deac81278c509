//! The programs that take part, built as they are shipped.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::test::artifacts;
use crate::workspace;

/// Where they are.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    pub(super) proxyd: PathBuf,
    /// What measures.
    pub(super) bench: PathBuf,
}

/// Builds them.
pub(super) fn programs() -> Result<Programs> {
    eprintln!("building proxyd and the bench");
    let built = Command::new(workspace::cargo())
        .args(["build", "--release", "--message-format=json-render-diagnostics"])
        .args(["--package=proxyd", "--package=tests", "--bin=proxyd", "--bin=bench"])
        .current_dir(workspace::root())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("start cargo")?;
    if !built.status.success() {
        bail!("proxyd and the bench do not build");
    }
    let artifacts = artifacts::parse(&String::from_utf8_lossy(&built.stdout))?;
    let program = |wanted: &str| {
        let found = artifacts.programs.iter().find(|(name, _)| name == wanted);
        found.map(|(_, path)| path.clone()).with_context(|| format!("cargo built no {wanted}"))
    };
    Ok(Programs { proxyd: program("proxyd")?, bench: program("bench")? })
}
