//! The group of tests that look at the page for browsers in Chromium.

use anyhow::Result;

use super::cargo;
use super::outcome::Outcome;
use crate::packages::{self, Tool};
use crate::workspace;

const CHROMIUM: Tool = Tool { program: "chromium", package: "chromium" };

/// A test of this group is marked by a module of this name.
pub(super) const MODULE: &str = "browser";

/// Runs them; the pictures stay in the target directory, to look at.
pub(super) fn run(verbose: bool) -> Result<Outcome> {
    packages::ensure(&[CHROMIUM])?;
    let pictures = workspace::target_dir().join("page");
    cargo::marked(&format!("{MODULE}::"), &[("PAGE_SCREENSHOTS", &pictures)], verbose)
}
