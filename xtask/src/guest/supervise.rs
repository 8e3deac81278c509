//! One run of a guest, from its start to its certain end.
//!
//! The guest reports through files in the channel directory: `started`, then growing `stdout` and `stderr`,
//! then `status`. We watch them and the clock. A small shell, the supervisor, starts the guest in a process
//! group of its own and holds a pipe from us, the lifeline: when we close it, or die of whatever, the
//! supervisor kills that group and deletes the run's directory. So nothing is left behind, and we need not
//! handle a single signal.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::GuestExit;
use super::platform::Platform;
use super::rundir::RunDir;

/// Where a command's output came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    /// Writes to our own stream of the same kind.
    pub(super) fn pass_on(self, bytes: &[u8]) -> io::Result<()> {
        let out: &mut dyn Write = match self {
            Self::Stdout => &mut io::stdout(),
            Self::Stderr => &mut io::stderr(),
        };
        out.write_all(bytes)?;
        out.flush()
    }
}

/// Is shown a command's output piece by piece; its error ends the guest.
pub(crate) type Sink<'a> = dyn FnMut(Stream, &[u8]) -> io::Result<()> + 'a;

/// The guest ended, or had to be ended, before the command did.
#[derive(Debug)]
pub(crate) struct GuestDied {
    kernel: &'static str,
    death: Death,
    console: String,
}

#[derive(Clone, Copy, Debug)]
enum Death {
    NotBooted(Duration),
    TimedOut(Duration),
    Ended,
}

impl std::error::Error for GuestDied {}

impl fmt::Display for GuestDied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.death {
            Death::NotBooted(limit) => {
                write!(f, "the {} guest did not boot within {} s", self.kernel, limit.as_secs())?
            }
            Death::TimedOut(limit) => {
                write!(
                    f,
                    "the command was still running after {} s in the {} guest",
                    limit.as_secs(),
                    self.kernel
                )?;
            }
            Death::Ended => write!(f, "the {} guest ended before the command did", self.kernel)?,
        }
        if let Some(panic) = panic_line(&self.console) {
            write!(f, ": {panic}")?;
        }
        let lines = telling_lines(&self.console, 20);
        if !lines.is_empty() {
            write!(f, "\nits console said:\n  {}", lines.join("\n  "))?;
        }
        Ok(())
    }
}

/// Boots the guest, hands on the command's output, and returns once nothing of the guest is left.
pub(super) fn follow(
    run: &RunDir,
    platform: &Platform,
    timeout: Duration,
    sink: &mut Sink<'_>,
) -> Result<GuestExit> {
    let channel = run.channel();
    let mut stdout = Tail::create(&channel.join("stdout"), Stream::Stdout)?;
    let mut stderr = Tail::create(&channel.join("stderr"), Stream::Stderr)?;
    let begin = Instant::now();
    let supervisor = Supervisor::start(run, platform)?;
    let mut clock = Clock { begin, started: None, boot_limit: platform.boot_limit, timeout };
    let mut booted_at = 0; // what the kernel says on every boot would hide what it says when it dies
    let death = loop {
        // Asked before the output is read: what came before the end is then read after it.
        let ended = run.path().join("ended").exists();
        let status = read_status(&channel.join("status"));
        if clock.started.is_none() && channel.join("started").exists() {
            clock.started = Some(Instant::now());
            booted_at = console_of(run).len();
        }
        let news = stdout.forward(sink)? | stderr.forward(sink)?;
        if let Some(status) = status {
            return Ok(clock.exit(status));
        }
        if ended {
            break Death::Ended;
        }
        if let Some(death) = clock.expired() {
            break death;
        }
        if !news {
            thread::sleep(Duration::from_millis(10));
        }
    };
    let console = console_of(run).split_off(booted_at);
    drop(supervisor);
    Err(GuestDied {
        kernel: platform.name,
        death,
        console: String::from_utf8_lossy(&console).into_owned(),
    }
    .into())
}

fn console_of(run: &RunDir) -> Vec<u8> {
    fs::read(run.console()).unwrap_or_default()
}

/// How long what takes, and whether it takes too long.
#[derive(Debug)]
struct Clock {
    begin: Instant,
    started: Option<Instant>,
    boot_limit: Duration,
    timeout: Duration,
}

impl Clock {
    fn expired(&self) -> Option<Death> {
        match self.started {
            None => (self.begin.elapsed() > self.boot_limit)
                .then_some(Death::NotBooted(self.boot_limit)),
            Some(started) => {
                (started.elapsed() > self.timeout).then_some(Death::TimedOut(self.timeout))
            }
        }
    }

    fn exit(&self, status: u8) -> GuestExit {
        let started = self.started.unwrap_or(self.begin);
        GuestExit { status, boot: started - self.begin, ran: started.elapsed() }
    }
}

/// The exit status, once its line is complete.
fn read_status(path: &Path) -> Option<u8> {
    fs::read_to_string(path).ok()?.strip_suffix('\n')?.parse().ok()
}

/// A file that grows, read from its start to wherever its end is.
#[derive(Debug)]
struct Tail {
    file: File,
    stream: Stream,
}

impl Tail {
    fn create(path: &Path, stream: Stream) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).read(true).open(path);
        Ok(Self { file: file.with_context(|| format!("create {}", path.display()))?, stream })
    }

    /// Hands on what is new; says whether there was something.
    fn forward(&mut self, sink: &mut Sink<'_>) -> Result<bool> {
        let mut bytes = Vec::new();
        self.file.read_to_end(&mut bytes).context("read the command's output")?;
        if bytes.is_empty() {
            return Ok(false);
        }
        sink(self.stream, &bytes).context("hand on the command's output")?;
        Ok(true)
    }
}

/// The process between us and the guest. Dropping it ends the guest.
#[derive(Debug)]
struct Supervisor {
    child: Child,
    lifeline: Option<ChildStdin>,
}

/// `$1` is the run's directory, the rest is the guest's command line. `setsid` makes the guest's process
/// group; its id is the guest's own, so it is known here and cannot be someone else's. A core file of a dying
/// User-mode Linux would be as large as its memory.
const SUPERVISOR: &str = r#"
trap '' HUP INT QUIT TERM
ulimit -c 0
run=$1; shift
exec 3<&0
setsid "$@" </dev/null >"$run/console" 2>&1 3<&- &
guest=$!
{ read -r _ <&3; [ -e "$run/ended" ] || kill -s KILL -- "-$guest"; } 2>/dev/null &
lifeline=$!
wait "$guest"
kill -s KILL -- "-$guest" 2>/dev/null
: >"$run/ended"
wait "$lifeline"
rm -rf "$run"
"#;

impl Supervisor {
    fn start(run: &RunDir, platform: &Platform) -> Result<Self> {
        let mut child = Command::new("sh")
            .args(["-c", SUPERVISOR, "guest-supervisor"])
            .arg(run.path())
            .args(&platform.argv)
            .envs(platform.env.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Away from the terminal's group: Ctrl-C reaches us alone, and our end reaches the supervisor.
            .process_group(0)
            .spawn()
            .context("start the guest's supervisor")?;
        let lifeline = child.stdin.take();
        Ok(Self { child, lifeline })
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.lifeline = None;
        // It ends by itself now; its exit status says nothing.
        let _ = self.child.wait();
    }
}

fn panic_line(console: &str) -> Option<&str> {
    let line = console.lines().find(|line| line.contains("Kernel panic"))?;
    line.find("Kernel panic").map(|at| line[at..].trim_end())
}

/// A few lines around a panic, else the last ones.
fn telling_lines(console: &str, count: usize) -> Vec<&str> {
    let lines: Vec<&str> =
        console.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let last = lines.len().saturating_sub(count);
    let panic = lines.iter().position(|line| line.contains("Kernel panic"));
    let first = panic.map_or(last, |panic| panic.saturating_sub(count / 2).min(last));
    lines.into_iter().skip(first).take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONSOLE: &str =
        "booting\n[    3.1] Kernel panic - not syncing: sysrq triggered crash\r\n\nCPU: 0\n";

    #[test]
    fn a_death_names_the_panic_and_shows_the_console() {
        let died = GuestDied { kernel: "uml", death: Death::Ended, console: CONSOLE.into() };
        assert_eq!(
            died.to_string(),
            "the uml guest ended before the command did: Kernel panic - not syncing: sysrq triggered crash\n\
             its console said:\n  booting\n  \
             [    3.1] Kernel panic - not syncing: sysrq triggered crash\n  CPU: 0"
        );
    }

    #[test]
    fn the_last_lines_are_shown_or_those_around_a_panic() {
        assert_eq!(telling_lines("a\nb\nc\n", 2), ["b", "c"]);
        assert_eq!(telling_lines("a\nb\nKernel panic\nc\nd\n", 2), ["b", "Kernel panic"]);
        assert_eq!(telling_lines("", 2), [""; 0]);
    }

    #[test]
    fn a_status_counts_once_its_line_is_complete() {
        let dir = RunDir::create().unwrap();
        let path = dir.path().join("status");
        for (content, expected) in [("", None), ("7", None), ("7\n", Some(7)), ("137\n", Some(137))]
        {
            fs::write(&path, content).unwrap();
            assert_eq!(read_status(&path), expected, "{content:?}");
        }
    }
}
