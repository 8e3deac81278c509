//! What the numbers were measured on: the kernel, and what a system call and a process cost there.
//! User-mode Linux has dear ones; a ratio says little without them.

use std::fs;
use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::reading::{say, say_time};

const CALLS: u32 = 5_000;
const PROCESSES: u32 = 10;

/// Says what machine this is.
pub(crate) fn describe() {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    say("machine kernel", kernel.trim(), "");
    say("machine system call", system_call().as_nanos() as f64 / 1e3, "us");
    if let Some(process) = process() {
        say_time("machine process", process);
    }
}

/// One call of the kernel that does next to nothing.
fn system_call() -> Duration {
    let start = Instant::now();
    for _ in 0..CALLS {
        black_box(rustix::process::getppid());
    }
    start.elapsed() / CALLS
}

/// A process that does nothing, from its start to its end.
fn process() -> Option<Duration> {
    let run = || Command::new("true").status().ok().filter(|status| status.success());
    run()?;
    let start = Instant::now();
    for _ in 0..PROCESSES {
        run()?;
    }
    Some(start.elapsed() / PROCESSES)
}
