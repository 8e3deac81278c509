//! What a proxy costs, measured in the guest of `cargo xtask bench`: one figure of one program at
//! one size, as a line of JSON for each number. The floor is a program too: it sends the kernel the
//! same messages, and does nothing else.
#![forbid(unsafe_code)]

mod figures;
mod floor;
mod kernel;
mod machine;
mod percentiles;
mod proxy;
mod reading;
mod size;
mod stage;
mod trace;
mod usage;
mod workload;

use std::time::Duration;

use clap::{Parser, ValueEnum};

use figures::{Change, Churn};
use proxy::Program;
use size::Size;

/// Measures what a proxy costs. Needs root, and a kernel of its own: `cargo xtask bench` has one.
#[derive(Debug, Parser)]
struct Arguments {
    /// What is measured.
    figure: Figure,
    /// A program that takes kube-proxy's flags, or `floor`.
    #[arg(long)]
    program: Program,
    /// Services, and endpoints of each.
    #[arg(long, value_name = "SERVICESxENDPOINTS")]
    size: Size,
    /// Changes of each kind.
    #[arg(long, default_value_t = 200)]
    changes: u32,
    /// Changes a second.
    #[arg(long, default_value_t = 1000)]
    rate: u32,
    /// How long it is watched.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Figure {
    /// From nothing to everything in the kernel.
    Cold,
    /// A start where everything is right already.
    Adopt,
    /// One thing changes.
    Change,
    /// Things change all the time.
    Churn,
    /// Nothing changes.
    Idle,
    /// What it holds, and gives back.
    Memory,
    /// Connections through a Service, and without.
    Path,
    /// How long others wait for the kernel's lock of routes during a start.
    Lock,
    /// System calls and netlink messages of a start and of a change.
    Calls,
}

fn main() -> anyhow::Result<()> {
    let Arguments { figure, program, size, changes, rate, seconds } = Arguments::parse();
    let period = Duration::from_secs(seconds);
    machine::describe();
    floor::warm_up()?;
    match (figure, program) {
        (Figure::Cold, Program::Floor) => floor::cold(size),
        (Figure::Change, Program::Floor) => floor::change(size, changes),
        (Figure::Path, Program::Floor) => figures::direct(period),
        (_, Program::Floor) => Ok(()),
        (Figure::Cold, Program::File(path)) => figures::cold(&path, size),
        (Figure::Adopt, Program::File(path)) => figures::adopt(&path, size),
        (Figure::Change, Program::File(path)) => figures::change(&path, size, Change { changes }),
        (Figure::Churn, Program::File(path)) => figures::churn(&path, size, Churn { rate, period }),
        (Figure::Idle, Program::File(path)) => figures::idle(&path, size, period),
        (Figure::Memory, Program::File(path)) => figures::memory(&path, size),
        (Figure::Path, Program::File(path)) => figures::path(&path, size, period),
        (Figure::Lock, Program::File(path)) => figures::lock(&path, size),
        (Figure::Calls, Program::File(path)) => figures::calls(&path, size),
    }
}
