//! Nothing changes.

use std::path::Path;
use std::thread;
use std::time::Duration;

use super::cold::{Served, finish, serve};
use crate::proxy::{Line, Proxy, Talk};
use crate::reading::{say, say_time};
use crate::size::Size;
use crate::stage::Audits;

/// After a start there is still something to do, for so long.
const REST: Duration = Duration::from_secs(3);

/// Measures what a proxy does then.
///
/// # Errors
/// When it goes.
pub(crate) fn idle(program: &Path, size: Size, period: Duration) -> anyhow::Result<()> {
    let Served { stage, proxy } = serve(program, size, Audits::Usual)?;
    proxy.stop()?;
    let mut proxy = Proxy::start(program, &stage, Talk::More)?;
    let done = finish(&mut proxy, &stage)?;
    thread::sleep(REST);
    let before = proxy.usage()?;
    thread::sleep(period);
    let used = proxy.usage()?.since(before);
    let share = |part: Duration| part.as_secs_f64() / period.as_secs_f64();
    say("user share", share(used.user), "cores");
    say("system share", share(used.system), "cores");
    say("children share", share(used.children), "cores");
    say("wake-ups", used.waits as f64 / period.as_secs_f64(), "1/s");
    say("child processes", u64::from(used.children_faults > 0), "");
    let lines: Vec<_> = proxy.lines().filter(|line| line.at > done.synced).collect();
    let is_audit = |line: &&Line| line.text.contains("audited");
    say("audits", lines.iter().filter(is_audit).count(), "");
    // What an audit begins is ended by maintenance.
    let passes = lines.iter().filter(|line| is_audit(line) || line.text.contains("maintained"));
    if let Some(longest) = passes.filter_map(|line| duration(line.field("took")?)).max() {
        say_time("longest pass of an audit", longest);
    }
    Ok(())
}

/// A duration as Rust prints it, such as `1.5ms`.
fn duration(text: &str) -> Option<Duration> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let number: f64 = text.strip_suffix(unit)?.parse().ok()?;
    let seconds = match unit {
        "s" => number,
        "ms" => number / 1e3,
        "µs" => number / 1e6,
        "ns" => number / 1e9,
        _ => return None,
    };
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_they_are_printed() {
        for expected in [1_500_000_000, 23_000_000, 4_250, 7].map(Duration::from_nanos) {
            assert_eq!(duration(&format!("{expected:?}")), Some(expected));
        }
        assert_eq!(duration("soon"), None);
    }
}
