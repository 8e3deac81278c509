//! The groups that are one cargo command on this machine.
//!
//! Everything that builds tests uses [`BUILD`], so that nothing is built twice.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use super::artifacts::{self, Artifacts};
use super::outcome::Outcome;
use super::{libtest, process};
use crate::workspace;

/// The one set of flags that decides what is built and how.
pub(super) const BUILD: &[&str] =
    &["--workspace", "--all-features", "--lib", "--bins", "--tests", "--examples"];

pub(super) fn fmt(verbose: bool) -> Result<Outcome> {
    component("fmt", "rustfmt")?;
    check(&mut cargo(&["fmt", "--all", "--check"]), verbose)
}

pub(super) fn clippy(verbose: bool) -> Result<Outcome> {
    component("clippy", "clippy")?;
    let args = ["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"];
    check(&mut cargo(&args), verbose)
}

/// Items that are not public are documented too: the reader of the code is the audience.
pub(super) fn docs(verbose: bool) -> Result<Outcome> {
    let mut command = cargo(&["doc", "--workspace", "--no-deps", "--document-private-items"]);
    check(command.env("RUSTDOCFLAGS", "-D warnings"), verbose)
}

pub(super) fn unit(filter: Option<&str>, verbose: bool) -> Result<Outcome> {
    let mut command = cargo(&["test", "--no-fail-fast"]);
    tests(command.args(BUILD), filter, verbose)
}

/// The ignored tests with `mark` in their names, of which there must be one.
pub(super) fn marked(mark: &str, env: &[(&str, &Path)], verbose: bool) -> Result<Outcome> {
    let mut command = cargo(&["test", "--no-fail-fast"]);
    command.args(BUILD).envs(env.iter().copied()).args(["--", "--ignored", mark]);
    let outcome = ran(&mut command, verbose)?;
    if outcome.passed + outcome.failed == 0 {
        bail!("there are no tests to run: none that is ignored has {mark} in its name");
    }
    Ok(outcome)
}

pub(super) fn doc(filter: Option<&str>, verbose: bool) -> Result<Outcome> {
    tests(
        &mut cargo(&["test", "--no-fail-fast", "--workspace", "--all-features", "--doc"]),
        filter,
        verbose,
    )
}

/// Builds every program and every test.
pub(super) fn build() -> Result<Artifacts> {
    let mut build = cargo(&["build", "--message-format=json-render-diagnostics"]);
    let built = process::run(build.args(BUILD), false)?;
    if !built.success {
        let messages = built.output.lines().filter(|line| !line.starts_with('{'));
        bail!("the tests do not build:\n{}", messages.collect::<Vec<_>>().join("\n"));
    }
    artifacts::parse(&built.stdout)
}

/// The cargo that runs us, in the repository's root.
pub(super) fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(workspace::cargo());
    command.args(args).current_dir(workspace::root());
    command
}

fn check(command: &mut Command, verbose: bool) -> Result<Outcome> {
    let ended = process::run(command, verbose)?;
    Ok(Outcome::check(ended.success, ended.output))
}

fn tests(command: &mut Command, filter: Option<&str>, verbose: bool) -> Result<Outcome> {
    ran(command.arg("--").args(filter), verbose)
}

/// A failure without a failed test is code that did not compile, or a test program that crashed.
fn ran(command: &mut Command, verbose: bool) -> Result<Outcome> {
    let ended = process::run(command, verbose)?;
    let counts = libtest::counts(&ended.stdout);
    let failed = if ended.success { counts.failed } else { counts.failed.max(1) };
    Ok(Outcome {
        passed: counts.passed,
        failed,
        counts: true,
        output: ended.output,
        ..Outcome::default()
    })
}

/// Rust can be installed without them, and cargo's own message does not say what to do.
fn component(subcommand: &str, component: &str) -> Result<()> {
    let there = process::run(&mut cargo(&[subcommand, "--version"]), false)?.success;
    if !there {
        bail!("cargo {subcommand} is not installed; run: rustup component add {component}");
    }
    Ok(())
}
