//! How the daemon logs.

use std::collections::VecDeque;
use std::io::{self, IsTerminal as _};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, reload};

use crate::config::{LogFormat, Logging};

/// Logs from here on, once a process, to standard error. Libraries of others speak up only to
/// warn; the API client's errors are returned to us, and said here once.
pub(crate) fn start(logging: Logging) -> (Verbosity, Lines) {
    let (filter, handle) = reload::Layer::new(filter(logging.verbosity));
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    let lines = Lines::default();
    let kept = tracing_subscriber::fmt::layer().with_ansi(false).with_target(false);
    let registry =
        tracing_subscriber::registry().with(filter).with(kept.with_writer(lines.clone()));
    match logging.format {
        LogFormat::Text => registry.with(layer.with_ansi(std::io::stderr().is_terminal())).init(),
        LogFormat::Json => registry.with(layer.json()).init(),
    }
    (Verbosity(handle), lines)
}

/// Lines that are kept at most.
const LINES: usize = 2_000;
/// Bytes that are kept at most.
const BYTES: usize = 512 << 10;

/// The last lines of the log, for those who ask later. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines(Arc<Mutex<Ring>>);

/// The lines in one piece: each by itself would stay among what comes and goes, and keep pages of it.
#[derive(Debug, Default)]
struct Ring {
    /// From the oldest.
    text: VecDeque<u8>,
    /// Of each line.
    lengths: VecDeque<usize>,
    /// How many are gone.
    forgotten: u64,
}

impl Lines {
    /// All that are kept, and how many there were before.
    pub(crate) fn text(&self) -> String {
        let ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = Vec::with_capacity(ring.text.len() + 64);
        if ring.forgotten > 0 {
            text.extend(format!("({} older lines are forgotten)\n", ring.forgotten).bytes());
        }
        let (older, newer) = ring.text.as_slices();
        text.extend_from_slice(older);
        text.extend_from_slice(newer);
        String::from_utf8_lossy(&text).into_owned()
    }

    fn push(&self, line: &[u8]) {
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ring.lengths.push_back(line.len());
        ring.text.extend(line);
        while ring.lengths.len() > LINES || ring.text.len() > BYTES {
            let Some(oldest) = ring.lengths.pop_front() else { break };
            ring.text.drain(..oldest);
            ring.forgotten += 1;
        }
    }
}

/// Each write is a line: that is how the subscriber writes.
impl io::Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// How much is logged, from start to end.
#[derive(Debug)]
pub(crate) struct Verbosity(reload::Handle<Targets, Registry>);

impl Verbosity {
    /// Logs more or less from here on.
    pub(crate) fn set(&self, verbosity: u32) {
        self.0.reload(filter(verbosity)).expect("the subscriber lives as long as the process");
    }
}

fn filter(verbosity: u32) -> Targets {
    let level = level(verbosity);
    Targets::new()
        .with_targets(["proxyd", "proxy_core", "ipvs_backend"].map(|name| (name, level)))
        .with_target("kube_client", LevelFilter::OFF)
        .with_default(LevelFilter::WARN)
}

/// kube-proxy is run with up to 2 in production, with 4 to find a fault, with 6 to see everything.
const fn level(verbosity: u32) -> tracing::Level {
    match verbosity {
        0..=3 => tracing::Level::INFO,
        4..=5 => tracing::Level::DEBUG,
        _ => tracing::Level::TRACE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_no_more() {
        let lines = Lines::default();
        for number in 0..LINES + 5 {
            lines.push(format!("line {number}\n").as_bytes());
        }
        let text = lines.text();
        assert_eq!(text.lines().count(), LINES + 1);
        assert!(text.starts_with("(5 older lines are forgotten)\nline 5\n"), "{text:.80}");
        lines.push(&[b'x'; BYTES]);
        assert_eq!(
            lines.0.lock().unwrap().lengths.len(),
            1,
            "a long line takes the room of others"
        );
    }
}
