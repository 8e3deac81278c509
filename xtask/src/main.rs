//! Every chore of the project is a named command: `cargo xtask NAME`.
//!
//! This file is the table of contents. Each command owns a module, with its arguments and its `run`; a
//! command returns the exit status it wants, or an error that is printed here, once.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod demo;
mod guest;
mod packages;
mod test;
mod workspace;

/// Every chore of the project is a named command
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", arg_required_else_help = true)]
#[command(after_help = "\
Examples:
  cargo xtask demo                       watch a small cluster at work
  cargo xtask test                       everything that must hold before a change is merged
  cargo xtask bench --only cold          what a start costs, beside what the kernel needs
  cargo xtask guest -- ipvsadm -Ln       a command on a kernel that has IPVS
  cargo xtask help guest")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Bench(bench::Args),
    Demo(demo::Args),
    Guest(guest::command::Args),
    Test(test::Args),
}

fn main() -> ExitCode {
    let finished = match Cli::parse().command {
        Command::Bench(args) => bench::run(&args),
        Command::Demo(args) => demo::run(args),
        Command::Guest(args) => guest::command::run(args),
        Command::Test(args) => test::run(&args),
    };
    finished.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        // Not 1, so that a caller can tell "the command failed" from "it could not be run".
        ExitCode::from(125)
    })
}
