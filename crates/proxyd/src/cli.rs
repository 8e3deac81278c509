//! The command line: what it says is parsed into types once, here.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{cleanup, config, plan, resolve, run};

/// Forwards Kubernetes Service traffic on one Linux node, with the kernel's IPVS load balancer.
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
    Plan(plan::PlanArgs),
    Cleanup(cleanup::CleanupArgs),
    Config(config::ConfigCommand),
}

/// Parses the arguments of the process and does what they say. Returns the exit status.
///
/// # Errors
/// When it cannot be done, with the remedy.
pub fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Run(args) => run::run(&args)?,
        Command::Resolve(args) => resolve::run(&args)?,
        Command::Cleanup(args) => cleanup::run(&args)?,
        Command::Plan(args) => return plan::run(&args),
        Command::Config(args) => return config::run(&args),
    }
    Ok(ExitCode::SUCCESS)
}
