//! The machine that the guests run on.

use std::fs;
use std::thread;

/// A fact of the machine and its value.
pub(super) type Fact = (&'static str, String);

/// What is known of it.
pub(super) fn facts() -> Vec<Fact> {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cpus = thread::available_parallelism().map_or(0, usize::from);
    vec![
        ("cpu", model(&cpu).to_owned()),
        ("cpus", cpus.to_string()),
        ("host kernel", kernel.trim().to_owned()),
        ("load", load()),
    ]
}

/// How many processes wanted a processor in the last minute.
pub(super) fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().next().unwrap_or("unknown").to_owned()
}

fn model(cpuinfo: &str) -> &str {
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or("unknown", |(_, model)| model)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_named() {
        assert_eq!(model("processor\t: 0\nmodel name\t: Some CPU @ 2GHz\n"), "Some CPU @ 2GHz");
        assert_eq!(model(""), "unknown");
    }
}
