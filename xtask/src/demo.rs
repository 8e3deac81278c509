//! `cargo xtask demo`: a small cluster at work, on a kernel that has IPVS.
//!
//! Builds two programs and runs one of them in a guest; what is shown, and whether it holds, is that program's
//! business (`tests/src/bin/demo`).

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::guest::{Guest, GuestDied, Kernel};
use crate::test::artifacts;
use crate::workspace;

/// Watch proxyd serve a small cluster
///
/// Makes three nodes, their pods and a client outside out of network namespaces, runs proxyd on every node with
/// the manifests of examples/two-tier, and walks through what happens to them. Each step prints what a person
/// would type, who answered and which source address the server saw, often what `proxyd explain` says of it, and
/// whether that is what it should be. The last step has an API server in the place of the manifests.
/// Nothing on this machine changes, except that missing Debian packages are installed if we are root.
#[derive(Clone, Copy, Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0 when every step showed what it promises, 1 when one did not; 125 when the demo could not be run.

Examples:
  cargo xtask demo
  cargo xtask demo --kernel qemu         on the distribution's kernel, much slower")]
pub(crate) struct Args {
    /// Which kernel
    #[arg(long, value_enum, default_value = "auto")]
    kernel: Kernel,
}

/// QEMU without hardware support takes minutes; every wait of the demo has its own limit.
const LIMIT: Duration = Duration::from_secs(900);

/// Builds and runs the demo; its exit status is ours.
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let programs = build()?;
    eprintln!("starting a kernel");
    let guest = Guest {
        timeout: LIMIT,
        env: vec![("PROXYD".to_owned(), utf8(programs.proxyd)?)],
        ..Guest::new(args.kernel)
    };
    let colour = io::stdout().is_terminal().then(|| "--color".to_owned());
    let command: Vec<_> = [utf8(programs.demo)?].into_iter().chain(colour).collect();
    let exit = guest.run(&command).map_err(advise)?;
    Ok(ExitCode::from(exit.status))
}

#[derive(Debug)]
struct Programs {
    proxyd: PathBuf,
    demo: PathBuf,
}

fn build() -> Result<Programs> {
    eprintln!("building proxyd and the demo");
    let flags = ["build", "--message-format=json-render-diagnostics", "--package=proxyd"];
    let built = Command::new(workspace::cargo())
        .args(flags)
        .args(["--package=tests", "--bin=proxyd", "--bin=demo"])
        .current_dir(workspace::root())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("start cargo")?;
    if !built.status.success() {
        bail!("proxyd and the demo do not build");
    }
    let artifacts = artifacts::parse(&String::from_utf8_lossy(&built.stdout))?;
    let program = |wanted: &str| {
        let found = artifacts.programs.iter().find(|(name, _)| name == wanted);
        found.map(|(_, path)| path.clone()).with_context(|| format!("cargo built no {wanted}"))
    };
    Ok(Programs { proxyd: program("proxyd")?, demo: program("demo")? })
}

fn utf8(path: PathBuf) -> Result<String> {
    path.into_os_string().into_string().ok().context("the target directory's name is not UTF-8")
}

/// A kernel that crashes says nothing about proxyd.
fn advise(error: anyhow::Error) -> anyhow::Error {
    if error.is::<GuestDied>() {
        error.context("the demo did not reach its end; try again, or with another --kernel")
    } else {
        error
    }
}
