//! The command line: what it says is parsed into types once, here.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::{bundle, cleanup, config, diff, explain, manual, plan, resolve, run, status, why};

/// Forwards Kubernetes Service traffic on one Linux node, with the kernel's IPVS load balancer.
///
/// With kube-proxy's flags and no command it runs, as `proxyd run` with them.
#[derive(Debug, Parser)]
#[command(name = "proxyd", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::RunArgs),
    Resolve(resolve::ResolveArgs),
    Status(status::StatusArgs),
    Plan(plan::PlanArgs),
    Diff(diff::DiffArgs),
    Bundle(bundle::BundleArgs),
    Explain(explain::ExplainArgs),
    Why(why::WhyArgs),
    Cleanup(cleanup::CleanupArgs),
    Config(config::ConfigCommand),
    Completions(manual::CompletionsArgs),
    Man(manual::ManArgs),
}

/// Parses the arguments of the process and does what they say. Returns the exit status.
/// `give_back_memory` gives memory that is free back to the system, if anything can: it is called
/// after much was done.
///
/// # Errors
/// When it cannot be done, with the remedy.
pub fn main(give_back_memory: fn()) -> anyhow::Result<ExitCode> {
    match Cli::parse_from(with_command(std::env::args_os().collect())).command {
        Command::Run(args) => run::run(&args, give_back_memory)?,
        Command::Resolve(args) => resolve::run(&args)?,
        Command::Cleanup(args) => cleanup::run(&args)?,
        Command::Status(args) => status::run(&args)?,
        Command::Bundle(args) => bundle::run(&args)?,
        Command::Plan(args) => return plan::run(&args),
        Command::Diff(args) => return diff::run(&args),
        Command::Explain(args) => return explain::run(&args),
        Command::Why(args) => return why::run(&args),
        Command::Config(args) => return config::run(&args),
        Command::Completions(args) => manual::print_completions(&args, Cli::command())?,
        Command::Man(args) => manual::write_pages(&args, Cli::command())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The arguments with the command that a kube-proxy's leave out: its image and command line stay
/// what they are in a DaemonSet when the program is another.
fn with_command(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let program = arguments.first().map(Path::new).and_then(Path::file_name);
    let is_kube_proxy = program.is_some_and(|name| name == "kube-proxy");
    let first = arguments.get(1).and_then(|argument| argument.to_str()).unwrap_or_default();
    let is_about_proxyd = matches!(first, "-h" | "--help" | "-V" | "--version");
    if is_kube_proxy || (first.starts_with('-') && !is_about_proxyd) {
        arguments.insert(1, "run".into());
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_has_no_contradictions() {
        Cli::command().debug_assert();
    }

    #[track_caller]
    fn check(line: &str, expected: &str) {
        let arguments = with_command(line.split(' ').map(OsString::from).collect());
        assert_eq!(arguments.join(" ".as_ref()), OsString::from(expected));
    }

    #[test]
    fn flags_without_a_command_run() {
        check("proxyd --config f --v=2", "proxyd run --config f --v=2");
        check("proxyd -v 2", "proxyd run -v 2");
        check("proxyd --version=raw", "proxyd run --version=raw");
        check("/usr/local/bin/kube-proxy --config=f", "/usr/local/bin/kube-proxy run --config=f");
        check("kube-proxy --version", "kube-proxy run --version");
        check("kube-proxy", "kube-proxy run");
        check("proxyd", "proxyd");
        check("proxyd --help", "proxyd --help");
        check("proxyd --version", "proxyd --version");
        check("proxyd plan --manifests d", "proxyd plan --manifests d");
    }
}
