//! What this process takes, as every program with metrics says it; from `proc(5)`.

use std::fmt;
use std::fs;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use rustix::param::{clock_ticks_per_second, page_size};

/// Reads it when asked.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let Some(usage) = usage(&read("/proc/self/stat"), clock_ticks_per_second(), page_size())
        else {
            return Ok(());
        };
        let (name, help) = ("process_cpu_seconds", "Processor time of user and system, in seconds");
        let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(usage.cpu_seconds).encode(metric)?;
        let started = boot_time(&read("/proc/stat")).map(|boot| boot + usage.since_boot);
        let open = fs::read_dir("/proc/self/fd").ok().map(|descriptors| count(descriptors.count()));
        let gauges = [
            ("process_open_fds", "Open file descriptors", open),
            (
                "process_max_fds",
                "File descriptors that may be open",
                open_files_limit(&read("/proc/self/limits")),
            ),
            ("process_virtual_memory_bytes", "Virtual memory, in bytes", Some(usage.virtual_bytes)),
            (
                "process_resident_memory_bytes",
                "Resident memory, in bytes",
                Some(usage.resident_bytes),
            ),
            (
                "process_start_time_seconds",
                "When the process began, in seconds since 1970",
                started,
            ),
        ];
        for (name, help, value) in gauges {
            let Some(value) = value else { continue };
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(metric)?;
        }
        Ok(())
    }
}

/// How long a destination has drained, which goes on between two looks.
#[derive(Debug)]
pub(super) struct Draining(pub(super) std::sync::Arc<Mutex<Option<Instant>>>);

impl Collector for Draining {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let since = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let help = "How long the one that waits longest has waited for its connections to end";
        let name = "proxyd_draining_oldest_seconds";
        let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        let seconds = since.map_or(0.0, |since| since.elapsed().as_secs_f64());
        ConstGauge::new(seconds).encode(metric)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Usage {
    cpu_seconds: f64,
    /// When it began, in seconds since the machine was started.
    since_boot: f64,
    virtual_bytes: f64,
    resident_bytes: f64,
}

/// What `/proc/self/stat` says. The name of the program stands in parentheses, and may hold any
/// other.
fn usage(stat: &str, ticks: u64, page: usize) -> Option<Usage> {
    let (_, fields) = stat.rsplit_once(')')?;
    // The first of these is the third field.
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
    let seconds = |number| Some(field(number)? / ticks as f64);
    Some(Usage {
        cpu_seconds: seconds(14)? + seconds(15)?,
        since_boot: seconds(22)?,
        virtual_bytes: field(23)?,
        resident_bytes: field(24)? * page as f64,
    })
}

fn boot_time(stat: &str) -> Option<f64> {
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

/// The soft limit; none if it is unlimited.
fn open_files_limit(limits: &str) -> Option<f64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::MAX, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let stat =
            "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 5 0 12345 8192000 300 0";
        let expected = Usage {
            cpu_seconds: 3.0,
            since_boot: 123.45,
            virtual_bytes: 8_192_000.0,
            resident_bytes: 1_228_800.0,
        };
        assert_eq!(usage(stat, 100, 4096), Some(expected));
        assert_eq!(usage("7 (a) S 1", 100, 4096), None);
    }

    #[test]
    fn limits_and_boot_time_are_found_in_their_lines() {
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files   1024   4096  files\n";
        assert_eq!(open_files_limit(limits), Some(1024.0));
        assert_eq!(open_files_limit("Max open files  unlimited  unlimited  files"), None);
        assert_eq!(boot_time("cpu 1 2\nbtime 1767323045\n"), Some(1_767_323_045.0));
    }
}
