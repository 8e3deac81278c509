//! User-mode Linux: a kernel that is a program, with the host's files as its root.

use std::env;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use super::init::{Machine, OwnKernel};
use super::platform::{self, Platform};
use super::rundir::RunDir;
use super::{shell, utf8, xstate};
use crate::packages::{self, Tool};

const TOOL: Tool = Tool { program: "linux.uml", package: "user-mode-linux" };
const MODULES: &str = "/usr/lib/uml/modules";

/// Installs User-mode Linux if need be and builds its command line.
pub(super) fn prepare(memory_mib: u32, run: &RunDir, results: &Path) -> Result<Platform> {
    if env::consts::ARCH != "x86_64" {
        bail!(
            "User-mode Linux exists only for x86_64; run on a host whose kernel has ip_vs, with --kernel host"
        );
    }
    packages::ensure(&[TOOL])?;
    let mut argv = platform::contained();
    argv.extend(command_line(memory_mib, &run.id(), utf8(run.path())?));
    // A panic makes it look for its control directory in the home directory, creating that if need be.
    let mut env =
        vec![("HOME", utf8(run.path())?.into()), ("TMPDIR", memory_place(memory_mib).into())];
    if let Some(library) = xstate::library(run)? {
        env.push(("LD_PRELOAD", utf8(&library)?.into()));
    }
    Ok(Platform {
        name: "uml",
        argv,
        env,
        machine: Machine {
            mount_channel: mount(utf8(&run.channel())?, "/run/guest/channel"),
            mount_results: mount(utf8(results)?, "/run/guest/results"),
            own_kernel: Some(OwnKernel { modules: MODULES.into() }),
        },
        boot_limit: Duration::from_secs(60),
    })
}

/// The console has no input and goes to our log; the command's output does not pass through it, because a
/// terminal would rewrite line ends and mix in kernel messages.
fn command_line(memory_mib: u32, id: &str, run: &str) -> Vec<String> {
    vec![
        TOOL.program.into(),
        format!("mem={memory_mib}M"),
        "rootfstype=hostfs".into(),
        "rootflags=/".into(),
        "ro".into(),
        format!("init={run}/init"),
        "con=null".into(),
        "con0=null,fd:1".into(),
        "quiet".into(),
        // Its control socket goes to our directory, or it would leave one in the home directory.
        format!("umid={id}"),
        format!("uml_dir={run}/"),
    ]
}

/// Hostfs writes through to the host, so nothing is lost when the kernel dies.
fn mount(from: &str, to: &str) -> String {
    shell::line(["mount", "-t", "hostfs", "-o", from, "hostfs", to])
}

/// The guest's memory is a file in `/dev/shm`. Containers often have little room there, and the kernel would
/// crash once it used more; `/tmp` is slower but large.
fn memory_place(memory_mib: u32) -> &'static str {
    let df = Command::new("df").args(["--output=avail", "-m", "/dev/shm"]).output();
    let room = df.ok().and_then(|df| available_mib(&String::from_utf8_lossy(&df.stdout)));
    if room.is_none_or(|room| room >= u64::from(memory_mib)) { "/dev/shm" } else { "/tmp" }
}

/// The figure in `df --output=avail`.
fn available_mib(df: &str) -> Option<u64> {
    df.lines().nth(1)?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_is_the_measured_one() {
        assert_eq!(
            command_line(512, "run-1", "/tmp/run-1").join(" "),
            "linux.uml mem=512M rootfstype=hostfs rootflags=/ ro init=/tmp/run-1/init con=null con0=null,fd:1 quiet \
             umid=run-1 uml_dir=/tmp/run-1/"
        );
    }

    #[test]
    fn mounts_survive_spaces() {
        assert_eq!(mount("/a b", "/to"), "mount -t hostfs -o '/a b' hostfs /to");
    }

    #[test]
    fn reads_df() {
        assert_eq!(available_mib("Avail\n   64\n"), Some(64));
        assert_eq!(available_mib("Avail\n"), None);
    }
}
