//! A kernel that has IPVS, for one command, as root.
//!
//! Whichever kernel is used, the same script runs the command and the same three files carry its output and
//! exit status to us, so a caller sees no difference. A guest reads the host's file system and can write one
//! directory of it, the results; everything else it did is gone when it ends.
//!
//! This module knows nothing about tests: it runs a command.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::packages;

mod auto;
pub(crate) mod command;
mod cpio;
mod init;
mod initramfs;
mod modules;
mod platform;
mod qemu;
mod rundir;
pub(crate) mod shell;
mod stock;
mod supervise;
mod uml;
mod xstate;

pub(crate) use supervise::{GuestDied, Stream};

/// Which kernel runs the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kernel {
    /// The running kernel when we are root and it has IPVS, else User-mode Linux
    Auto,
    /// The running kernel, in fresh network, mount and process namespaces
    Host,
    /// User-mode Linux 6.1: boots in 2 s, native speed, one CPU, legacy iptables only
    Uml,
    /// The distribution's kernel in QEMU: nf_tables and two CPUs, but slow
    Qemu,
}

/// How to run commands in a guest; every run is a fresh one.
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    pub(crate) kernel: Kernel,
    /// For the command; booting has its own limit.
    pub(crate) timeout: Duration,
    pub(crate) memory_mib: u32,
    /// The one host directory the guest can write, in the guest `$GUEST_RESULTS`; `None` is one that is deleted.
    pub(crate) results: Option<PathBuf>,
    /// The command's environment, besides PATH, HOME, TMPDIR and `GUEST_RESULTS`; ours is not inherited.
    pub(crate) env: Vec<(String, String)>,
}

/// A command that ran to its end in a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) struct GuestExit {
    /// As a shell reports it: 128 + N after signal N, 127 when there is no such program.
    pub(crate) status: u8,
    /// From starting the kernel to the start of our script in it.
    pub(crate) boot: Duration,
    /// From there to the end of the command.
    pub(crate) ran: Duration,
}

/// What a command that ran to its end in a guest said.
#[derive(Clone, Debug)]
#[expect(dead_code, reason = "for commands that only want the answer")]
pub(crate) struct GuestOutput {
    pub(crate) exit: GuestExit,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl Guest {
    /// A guest with the defaults that suit a test.
    pub(crate) fn new(kernel: Kernel) -> Self {
        Self {
            kernel,
            timeout: Duration::from_secs(300),
            memory_mib: 1024,
            results: None,
            env: Vec::new(),
        }
    }

    /// Runs a command, handing on its output to ours as it comes.
    pub(crate) fn run(&self, argv: &[String]) -> Result<GuestExit> {
        self.observe(argv, &mut |stream, bytes| stream.pass_on(bytes))
    }

    /// Runs a command and keeps its output.
    #[expect(dead_code, reason = "for commands that only want the answer")]
    pub(crate) fn output(&self, argv: &[String]) -> Result<GuestOutput> {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let exit = self.observe(argv, &mut |stream, bytes| {
            match stream {
                Stream::Stdout => stdout.extend_from_slice(bytes),
                Stream::Stderr => stderr.extend_from_slice(bytes),
            }
            Ok(())
        })?;
        Ok(GuestOutput { exit, stdout, stderr })
    }

    /// Runs a command, showing `sink` every piece of its output; what was shown stays shown when the guest
    /// dies, which is then a [`GuestDied`].
    pub(crate) fn observe(
        &self,
        argv: &[String],
        sink: &mut supervise::Sink<'_>,
    ) -> Result<GuestExit> {
        if argv.is_empty() {
            bail!("no command given");
        }
        packages::ensure(packages::NETWORK_TOOLS)?;
        let run = rundir::RunDir::create()?;
        let results = self.results_dir(&run)?;
        let platform = platform::prepare(self.kernel, self.memory_mib, &run, &results)?;
        let script = init::script(&init::Job {
            machine: &platform.machine,
            directory: &env::current_dir().context("find the current directory")?,
            env: &self.command_env(platform.name),
            argv,
        })?;
        init::write(&run.init(), &script)?;
        supervise::follow(&run, &platform, self.timeout, sink)
    }

    fn results_dir(&self, run: &rundir::RunDir) -> Result<PathBuf> {
        let dir = self.results.clone().unwrap_or_else(|| run.scratch_results());
        fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
        mountable(dir.canonicalize().with_context(|| format!("resolve {}", dir.display()))?)
    }

    fn command_env(&self, kernel: &str) -> Vec<(String, String)> {
        let fixed = [
            ("PATH", init::PATH),
            ("HOME", "/root"),
            ("TMPDIR", "/tmp"),
            ("GUEST_KERNEL", kernel),
            ("GUEST_RESULTS", init::RESULTS),
        ];
        let fixed = fixed.map(|(key, value)| (key.to_owned(), value.to_owned()));
        fixed.into_iter().chain(self.env.iter().cloned()).collect()
    }
}

/// Mount options are a comma-separated list, so a directory with a comma in its name cannot be handed over.
fn mountable(dir: PathBuf) -> Result<PathBuf> {
    if dir.to_str().is_none_or(|name| name.contains(',')) {
        bail!("a guest cannot mount {}: its name has a comma or is not UTF-8", dir.display());
    }
    Ok(dir)
}

fn utf8(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}
