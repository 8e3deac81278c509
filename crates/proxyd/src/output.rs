//! What commands print on standard output.

use std::io::{self, Write as _};

use anyhow::Context as _;
use clap::ValueEnum;

/// How a document is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Lines for people
    Text,
    /// One document for programs; fields are only ever added
    Json,
}

/// Prints a command's result.
///
/// # Errors
/// It cannot be written, for another reason than that whoever reads has seen enough, as in
/// `proxyd plan | head`.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("write to standard output"),
    }
}
