//! `cargo xtask bench`: what proxyd costs, beside what the kernel itself needs and beside other programs.
//!
//! Each figure of each program at each size is measured in a guest of its own, by `tests/src/bin/bench`: a
//! kernel remembers what was done to it, IPVS a removed server for minutes. This module decides what is
//! measured, and makes a table of the numbers.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::guest::Kernel;
use crate::workspace;

mod builds;
mod host;
mod ladder;
mod library;
mod measure;
mod results;
mod table;
mod targets;

use ladder::{Figure, Size};
use measure::Program;
use results::Results;

/// Measure what proxyd costs
///
/// Fills an API server's stand-in with a cluster, lets proxyd follow it on a kernel with IPVS, and measures.
/// Beside each number stands the floor, measured on the same kernel: a program that sends the same netlink
/// messages, encoded beforehand, and does nothing else. Any other program that takes kube-proxy's --config,
/// --kubeconfig and --hostname-override can stand beside it too. Prints a table and writes JSON.
///
/// Each number is the best of --repeat runs, since other work on this machine only makes numbers worse.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0 when everything was measured, whatever came out; 1 when something could not be.

Examples:
  cargo xtask bench --sizes 1000x10 --only cold
  cargo xtask bench --sizes 10000x10 --only cold,adopt,change,memory --repeat 3
  cargo xtask bench --peer before=/tmp/proxyd-old --sizes 10000x10 --only churn
  cargo xtask bench                      everything; takes half an hour to an hour")]
pub(crate) struct Args {
    /// Services and endpoints of each, as in 10000x10; without, each figure has its own
    #[arg(long, value_name = "SIZES", value_delimiter = ',')]
    sizes: Vec<Size>,
    /// Measure these figures only
    #[arg(long, value_enum, value_name = "FIGURES", value_delimiter = ',')]
    only: Vec<Figure>,
    /// Another program to measure; may be repeated
    #[arg(long, value_name = "NAME=PATH")]
    peer: Vec<Program>,
    /// How often each number is measured
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// Changes of each kind
    #[arg(long, value_name = "COUNT", default_value_t = 200)]
    changes: u32,
    /// How long things are watched that go on
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    seconds: u64,
    /// Which kernel
    #[arg(long, value_enum, default_value = "auto")]
    kernel: Kernel,
    /// The guest's memory
    #[arg(long, value_name = "MIB", default_value_t = 4096)]
    memory: u32,
    /// Measure this proxyd in place of the one that is built
    #[arg(long, value_name = "PATH")]
    proxyd: Option<PathBuf>,
    /// What is printed
    #[arg(long, short, value_enum, default_value = "table")]
    output: Output,
    /// Where JSON is written
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    Table,
    Json,
}

/// Builds, measures and prints.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let runs = ladder::runs(&args.only, &args.sizes);
    let mut results = Results::new(host::facts());
    if runs.iter().any(|run| run.figure != Figure::Library) {
        let mut built = builds::programs()?;
        if let Some(path) = &args.proxyd {
            built.proxyd.clone_from(path);
        }
        let programs = measure::programs(&built, &args.peer);
        let bench = measure::Bench { args, driver: built.bench, programs };
        for run in runs.iter().filter(|run| run.figure != Figure::Library) {
            bench.measure(run, &mut results);
        }
    }
    let library = match runs.iter().any(|run| run.figure == Figure::Library) {
        true => Some(library::run()?),
        false => None,
    };
    let json = serde_json::to_string_pretty(&results.json(library.as_deref()))?;
    let path = args.json.clone().unwrap_or_else(|| workspace::target_dir().join("bench.json"));
    fs::write(&path, &json).with_context(|| format!("write {}", path.display()))?;
    match args.output {
        Output::Json => show(&json),
        Output::Table => {
            show(&table::render(&results));
            show(&targets::render(&results));
            show(library.as_deref().unwrap_or_default());
            eprintln!("all numbers: {}", path.display());
        }
    }
    if results.failures.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    for failure in &results.failures {
        eprintln!("not measured: {failure}");
    }
    Ok(ExitCode::FAILURE)
}

fn show(text: &str) {
    use std::io::Write as _;
    // Nobody to read it is nobody to tell.
    let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
}

impl std::str::FromStr for Program {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, path) = text.split_once('=').context("write it as NAME=PATH")?;
        if name.is_empty() || name == "floor" || name == "proxyd" {
            bail!("{name:?} is the name of another");
        }
        Ok(Self { name: name.to_owned(), path: path.to_owned() })
    }
}
