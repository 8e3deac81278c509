//! `proxyd config`: what a configuration comes to, before anything runs with it.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};

use super::print::Comments;
use super::{Configuration, KubeProxyFlags, load};
use crate::output;

/// Show what kube-proxy's configuration and flags come to; change nothing.
///
/// Takes the command line of a kube-proxy as it is, and reads the file of its --config.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  proxyd config check --config /var/lib/kube-proxy/config.conf --hostname-override $(hostname)"
)]
pub(crate) struct ConfigCommand {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List every error and every warning. Exit status 1 when there are errors.
    Check(CheckArgs),
    /// Print the effective configuration, as a KubeProxyConfiguration.
    ///
    /// In YAML, each value has a comment that says where it comes from. Warnings, and errors in
    /// place of the configuration, go to standard error.
    Print(PrintArgs),
}

#[derive(Debug, Args)]
struct CheckArgs {
    #[command(flatten)]
    flags: KubeProxyFlags,
}

#[derive(Debug, Args)]
struct PrintArgs {
    /// How it is written.
    #[arg(short, long, value_enum, default_value_t = Format::Yaml)]
    output: Format,
    #[command(flatten)]
    flags: KubeProxyFlags,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Yaml,
    Json,
}

pub(crate) fn run(command: &ConfigCommand) -> anyhow::Result<ExitCode> {
    match &command.verb {
        Verb::Check(args) => check(&load(&args.flags)),
        Verb::Print(args) => print(args),
    }
}

fn check(configuration: &Configuration) -> anyhow::Result<ExitCode> {
    let problems = configuration.problems();
    let errors = configuration.errors();
    let warnings = problems.len() - errors;
    let list: String = problems.iter().map(|problem| format!("{problem}\n")).collect();
    output::print(&format!("{list}{}, {}\n", count(errors, "error"), count(warnings, "warning")))?;
    Ok(if errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(args: &PrintArgs) -> anyhow::Result<ExitCode> {
    let configuration = load(&args.flags);
    configuration.problems().iter().for_each(|problem| eprintln!("proxyd: {problem}"));
    let errors = configuration.errors();
    if errors != 0 {
        bail!("{} in the configuration; see above", count(errors, "error"));
    }
    match (args.flags.write_config_to(), args.output) {
        (Some(path), _) => write(&configuration, path)?,
        (None, Format::Yaml) => output::print(&configuration.yaml(Comments::Origins))?,
        (None, Format::Json) => output::print(&configuration.json())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the effective configuration, as kube-proxy's `--write-config-to` does.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write(configuration: &Configuration, path: &str) -> anyhow::Result<()> {
    fs::write(path, configuration.yaml(Comments::None))
        .with_context(|| format!("write the configuration to {path}"))
}

fn count(number: usize, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{ending}")
}
