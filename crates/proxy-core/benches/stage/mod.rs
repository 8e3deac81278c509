//! What the benchmarks share: a cluster, a scale and a clock.

mod cluster;
mod memory;

use std::fs;
use std::time::Duration;

pub(crate) use cluster::Cluster;
pub(crate) use memory::{live, mebibytes, peak};

/// As µs.
pub(crate) fn microseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// The machine the figures are from.
pub(crate) fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cpus = std::thread::available_parallelism().map_or(0, std::num::NonZeroUsize::get);
    format!(
        "{}, {cpus} CPUs, {} {} {}",
        model.map_or("unknown CPU", |(_, model)| model),
        std::env::consts::OS,
        kernel.trim(),
        std::env::consts::ARCH,
    )
}
