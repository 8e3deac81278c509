//! What a process used so far, as `/proc` says.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// What a process used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Processor time outside the kernel, its children's not included.
    pub(crate) user: Duration,
    /// Processor time in the kernel.
    pub(crate) system: Duration,
    /// Processor time of the processes it started and waited for.
    pub(crate) children: Duration,
    /// Page faults of those: 0 means that there was none.
    pub(crate) children_faults: u64,
    /// How often one of its threads waited, and was woken.
    pub(crate) waits: u64,
    pub(crate) threads: u64,
    pub(crate) resident_kib: u64,
    pub(crate) peak_kib: u64,
}

/// Of `/proc/PID/stat`'s times: Linux tells 100 a second, whatever its own clock.
const TICK: Duration = Duration::from_millis(10);

impl Usage {
    /// Of a process.
    ///
    /// # Errors
    /// When there is no such process.
    pub(crate) fn of(pid: u32) -> std::io::Result<Self> {
        let directory = format!("/proc/{pid}");
        let directory = Path::new(&directory);
        let mut usage = Self::default();
        usage.read_stat(&fs::read_to_string(directory.join("stat"))?);
        usage.read_status(&fs::read_to_string(directory.join("status"))?);
        for task in fs::read_dir(directory.join("task"))? {
            let status = fs::read_to_string(task?.path().join("status"));
            usage.waits += status.map_or(0, |status| field(&status, "voluntary_ctxt_switches"));
        }
        Ok(usage)
    }

    /// What was used since `earlier`; memory is as of now.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
            children: self.children.saturating_sub(earlier.children),
            children_faults: self.children_faults - earlier.children_faults,
            waits: self.waits.saturating_sub(earlier.waits),
            ..self
        }
    }

    fn read_stat(&mut self, stat: &str) {
        // The name in parentheses may have spaces.
        let Some((_, fields)) = stat.rsplit_once(')') else { return };
        let fields: Vec<u64> =
            fields.split_whitespace().map(|field| field.parse().unwrap_or_default()).collect();
        let number = |field: usize| fields.get(field - 3).copied().unwrap_or_default();
        let ticks = |field| TICK * u32::try_from(number(field)).unwrap_or(u32::MAX);
        self.children_faults = number(11);
        self.user = ticks(14);
        self.system = ticks(15);
        self.children = ticks(16) + ticks(17);
    }

    fn read_status(&mut self, status: &str) {
        self.resident_kib = field(status, "VmRSS");
        self.peak_kib = field(status, "VmHWM");
        self.threads = field(status, "Threads");
    }
}

/// Processes and threads that were ever started on this kernel.
pub(crate) fn started() -> u64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = stat.lines().find_map(|line| line.strip_prefix("processes "));
    line.and_then(|number| number.trim().parse().ok()).unwrap_or_default()
}

fn field(status: &str, name: &str) -> u64 {
    let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let number = value.and_then(|value| value.split_whitespace().next()?.parse().ok());
    number.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_behind_the_name() {
        let mut usage = Usage::default();
        usage.read_stat(
            "7 (a) b) S 1 7 7 0 -1 4194304 100 200 0 0 31 12 5 6 20 0 4 0 300 1000 50 18446744",
        );
        let [user, system, children] = [310, 120, 110].map(Duration::from_millis);
        assert_eq!((usage.user, usage.system, usage.children), (user, system, children));
        assert_eq!(usage.children_faults, 200);
    }

    #[test]
    fn status_is_read_by_name() {
        let mut usage = Usage::default();
        usage.read_status("Name:\tproxyd\nVmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\nThreads:\t6\n");
        assert_eq!((usage.peak_kib, usage.resident_kib, usage.threads), (2048, 1024, 6));
    }
}
