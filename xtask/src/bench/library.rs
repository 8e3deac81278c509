//! The benches of the libraries, which need no kernel.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::workspace;

/// Runs them. Returns their tables.
pub(super) fn run() -> Result<String> {
    let tables = ["proxy-core", "ipvs-backend"]
        .map(|package| Ok(format!("\n{package}\n{}", bench(package)?)));
    tables.into_iter().collect()
}

fn bench(package: &str) -> Result<String> {
    eprintln!("measuring {package}");
    let ran = Command::new(workspace::cargo())
        .args(["bench", "--package", package, "--bench=scale"])
        .current_dir(workspace::root())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("start cargo")?;
    if !ran.status.success() {
        bail!("the bench of {package} failed");
    }
    Ok(String::from_utf8_lossy(&ran.stdout).into_owned())
}
