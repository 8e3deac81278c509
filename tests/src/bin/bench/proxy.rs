//! A proxy that runs on the stage, and what it says.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::stage::{NODE, Stage};
use crate::usage::Usage;

/// What is measured.
#[derive(Clone, Debug)]
pub(crate) enum Program {
    Floor,
    File(PathBuf),
}

impl FromStr for Program {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(if text == "floor" { Self::Floor } else { Self::File(text.into()) })
    }
}

/// A running proxy. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Proxy {
    child: Child,
    pub(crate) started: SystemTime,
    log: PathBuf,
}

/// How much it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Talk {
    /// What people let a kube-proxy say in production.
    Usual,
    /// Also how long each audit took.
    More,
}

/// The longest that anything may take.
const PATIENCE: Duration = Duration::from_secs(900);

impl Proxy {
    /// Starts one.
    ///
    /// # Errors
    /// When it cannot be.
    pub(crate) fn start(program: &Path, stage: &Stage, talk: Talk) -> anyhow::Result<Self> {
        Self::run(Command::new(program), stage, talk)
    }

    /// Starts one, and writes down what it and its children ask of the kernel.
    ///
    /// # Errors
    /// When it cannot be.
    pub(crate) fn start_traced(program: &Path, stage: &Stage, to: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new("strace");
        // Everything in full, save strings: they are of no use here.
        command.args(["-f", "-v", "-s", "0", "-o"]).arg(to).arg(program);
        Self::run(command, stage, Talk::Usual)
    }

    fn run(mut command: Command, stage: &Stage, talk: Talk) -> anyhow::Result<Self> {
        let log = stage.logs().join(unique().to_string());
        let file = File::create(&log).context("make a file for the log")?;
        let program = command.get_program().display().to_string();
        command
            .arg(format!("--config={}", stage.config().display()))
            .arg(format!("--hostname-override={NODE}"))
            .arg(if talk == Talk::More { "-v=4" } else { "-v=2" })
            .stdout(file.try_clone().context("share the log")?)
            .stderr(file);
        // A child is in the namespace of the thread that starts it.
        let (started, child) = stage.node.enter(move || (SystemTime::now(), command.spawn()));
        let child = child.with_context(|| format!("run {program}"))?;
        Ok(Self { child, started, log })
    }

    /// What it used so far.
    ///
    /// # Errors
    /// When it has gone.
    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        Usage::of(self.child.id()).context("read what the proxy used")
    }

    /// Waits until a line of its log contains `text`.
    ///
    /// # Errors
    /// When that does not happen.
    pub(crate) fn wait_for(&mut self, text: &str) -> anyhow::Result<Line> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(line) = self.lines().find(|line| line.text.contains(text)) {
                return Ok(line);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the proxy went with {status}:\n{}", self.log());
            }
            if Instant::now() > deadline {
                bail!("no {text:?} in the log:\n{}", self.log());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The lines of its log.
    pub(crate) fn lines(&self) -> impl Iterator<Item = Line> + use<> {
        let lines: Vec<_> = self.log().lines().filter_map(Line::parse).collect();
        lines.into_iter()
    }

    /// All that it said.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Tells it to go, and waits.
    ///
    /// # Errors
    /// When it cannot be told.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.context("a child has a process id")?, Signal::TERM)?;
        self.child.wait().context("wait for the proxy")?;
        Ok(())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A line of a log that begins with the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) at: SystemTime,
    pub(crate) text: String,
}

impl Line {
    fn parse(line: &str) -> Option<Self> {
        let (at, text) = line.split_once(' ')?;
        let at: jiff::Timestamp = at.parse().ok()?;
        Some(Self { at: at.into(), text: text.to_owned() })
    }

    /// The value of a field, as in `took=1.5ms`.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.text.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }
}

/// The time between two moments, none if they are in another order.
pub(crate) fn between(earlier: SystemTime, later: SystemTime) -> Duration {
    later.duration_since(earlier).unwrap_or_default()
}

fn unique() -> u128 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.unwrap_or_default().as_nanos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_a_time_and_fields() {
        let line = "2026-11-25T22:58:40.123456Z  INFO synced everything kernel_changes=7 took=1.5s";
        let line = Line::parse(line).expect("it begins with a time");
        assert_eq!(line.field("kernel_changes"), Some("7"));
        assert_eq!(line.field("took"), Some("1.5s"));
        assert_eq!(line.field("changes"), None);
        assert_eq!(Line::parse("thread panicked"), None);
    }
}
