//! From the kernel asked for to a command line that boots it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Result;

use super::init::Machine;
use super::rundir::RunDir;
use super::{Kernel, auto, qemu, shell, uml, utf8};

/// A kernel ready to start.
#[derive(Debug)]
pub(super) struct Platform {
    pub(super) name: &'static str,
    /// The program that is the guest, with the init script as its first process.
    pub(super) argv: Vec<String>,
    /// Set for that program only.
    pub(super) env: Vec<(&'static str, String)>,
    pub(super) machine: Machine,
    /// How long booting may take before something must be wrong.
    pub(super) boot_limit: Duration,
}

/// Decides on a kernel and gathers what it needs, which may mean installing packages.
pub(super) fn prepare(
    kernel: Kernel,
    memory_mib: u32,
    run: &RunDir,
    results: &Path,
) -> Result<Platform> {
    match kernel {
        Kernel::Auto => prepare(auto::kernel(), memory_mib, run, results),
        Kernel::Host => host(run, results),
        Kernel::Uml => uml::prepare(memory_mib, run, results),
        Kernel::Qemu => qemu::prepare(memory_mib, run, results),
    }
}

/// The first words of a command line whose processes all end with it, whatever they do, and leave no zombie to
/// a first process that may not reap: a process namespace, where we may make one.
pub(super) fn contained() -> Vec<String> {
    if !may_unshare(&["--pid"]) {
        return Vec::new(); // the process group must do
    }
    let words =
        ["unshare", "--pid", "--fork", "--kill-child", "sh", "-c", r#""$@"; exit $?"#, "guest"];
    words.map(str::to_owned).into()
}

/// Whether we may make such namespaces; root in a container often may not.
pub(super) fn may_unshare(namespaces: &[&str]) -> bool {
    let mut unshare = Command::new("unshare");
    unshare.args(namespaces).args(["--fork", "true"]).stdin(Stdio::null()).stderr(Stdio::null());
    unshare.status().is_ok_and(|status| status.success())
}

/// The running kernel, with namespaces in place of a machine; the process namespace is what lets us end
/// everything the command started.
fn host(run: &RunDir, results: &Path) -> Result<Platform> {
    let unshare =
        ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
    let argv = unshare.into_iter().chain(["sh", utf8(&run.init())?]).map(str::to_owned).collect();
    let bind =
        |from: &Path, to| Ok::<_, anyhow::Error>(shell::line(["mount", "--bind", utf8(from)?, to]));
    Ok(Platform {
        name: "host",
        argv,
        env: Vec::new(),
        machine: Machine {
            mount_channel: bind(&run.channel(), "/run/guest/channel")?,
            mount_results: bind(results, "/run/guest/results")?,
            own_kernel: None,
        },
        boot_limit: Duration::from_secs(10),
    })
}
