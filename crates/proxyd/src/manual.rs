//! `proxyd completions` and `proxyd man`: what the command line is, for shells and for readers.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use clap_complete::Shell;

use crate::output::print;

/// Print a script that lets a shell complete proxyd's commands and flags
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  proxyd completions bash > /etc/bash_completion.d/proxyd")]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Write manual pages, one for each command
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  proxyd man /usr/local/share/man/man1")]
pub(crate) struct ManArgs {
    /// Directory for proxyd.1, proxyd-run.1 and the others; it must be there
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Prints the script for a shell, for the program `command`.
///
/// # Errors
/// It cannot be written.
pub(crate) fn print_completions(
    args: &CompletionsArgs,
    mut command: clap::Command,
) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "proxyd", &mut script);
    print(&String::from_utf8(script).context("print the script")?)
}

/// Writes the manual pages of the program `command`.
///
/// # Errors
/// The directory cannot be written.
pub(crate) fn write_pages(args: &ManArgs, command: clap::Command) -> anyhow::Result<()> {
    clap_mangen::generate_to(command, &args.directory)
        .with_context(|| format!("write manual pages to {}", args.directory.display()))
}
