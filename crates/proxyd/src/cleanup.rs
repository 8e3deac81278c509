//! `proxyd cleanup`: gives the node back.

use anyhow::{Context, bail};
use clap::Args;
use ipvs_backend::{IpvsBackend, IpvsConfig};
use proxy_core::Backend;

use crate::output::print;

/// Remove everything that proxyd, or kube-proxy's IPVS mode, put into this node's kernel.
///
/// That is: the IPVS services of Services, the ipsets named KUBE-..., local routes with protocol
/// 153, the device kube-ipvs0, and the chains and jumps of the static rules, in both families; and
/// what kube-proxy's other modes leave: its chains, and the nf_tables tables named kube-proxy.
/// Nothing else is touched. Traffic to Services ends. Running it twice is fine.
///
/// What cannot be removed is listed, and the exit status is 1 then.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  systemctl stop proxyd && proxyd cleanup")]
pub(crate) struct CleanupArgs {}

pub(crate) fn run(_: &CleanupArgs) -> anyhow::Result<()> {
    let mut backend = IpvsBackend::open(IpvsConfig::default())?;
    let report = backend.cleanup().context("clean up")?;
    let left = report.failed.iter().map(|failure| format!("left: {failure}\n"));
    print(&format!("removed {} objects\n{}", report.changes, left.collect::<String>()))?;
    if !report.failed.is_empty() {
        bail!("{} objects could not be removed; see above", report.failed.len());
    }
    Ok(())
}
