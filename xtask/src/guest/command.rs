//! `cargo xtask guest`: run one command on a kernel that has IPVS.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{Guest, Kernel};

/// Run a command as root on a kernel that has IPVS
///
/// Uses the running kernel if it has ip_vs and we are root, else boots one, in a few seconds, from Debian
/// packages that are installed when missing. The guest sees this machine's files read-only, starts in the
/// current directory, and can write one directory of the host, which it knows as $GUEST_RESULTS. What it
/// writes to /tmp is gone when it ends. The network is the guest's own and has only `lo`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: the command's own; 125 when the guest could not run it or died.

Examples:
  cargo xtask guest -- ipvsadm -Ln
  cargo xtask guest -- sh -c 'modprobe ip_vs && cat /proc/net/ip_vs'
  cargo xtask guest --kernel qemu -- iptables -t nat -S
  cargo xtask guest --results out -- sh -c 'ipset list >$GUEST_RESULTS/sets'
  cargo xtask guest --timeout 60 --env RUST_BACKTRACE=1 -- target/debug/deps/netlink-0123 --ignored")]
pub(crate) struct Args {
    /// Which kernel
    #[arg(long, value_enum, default_value = "auto")]
    kernel: Kernel,
    /// End a command that runs longer
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    timeout: u64,
    /// The guest's memory
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    memory: u32,
    /// The host directory the guest may write; created if missing
    #[arg(long, value_name = "DIR")]
    results: Option<PathBuf>,
    /// Set a variable for the command; it inherits none
    #[arg(long, value_name = "K=V", value_parser = variable)]
    env: Vec<(String, String)>,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Runs the command; its exit status is ours.
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let guest = Guest {
        kernel: args.kernel,
        timeout: Duration::from_secs(args.timeout),
        memory_mib: args.memory,
        results: args.results,
        env: args.env,
    };
    Ok(ExitCode::from(guest.run(&args.command)?.status))
}

fn variable(text: &str) -> Result<(String, String)> {
    let (key, value) = text.split_once('=').context("write it as KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}
