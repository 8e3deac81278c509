//! `proxyd plan`: what `run` would change in this node's kernel now. Changes nothing.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use ipvs_backend::IpvsBackend;
use ipvs_backend::kernel::Netlink;
use ipvs_backend::netlink::Traffic;
use proxy_core::{DesiredState, Event, Model};

use crate::health::Now;
use crate::node_args::NodeArgs;
use crate::output::{Output, print};
use crate::status::{Difference, moment};

/// Show what `run` would change in this node's kernel now, and change nothing.
///
/// One line for each object, in the order in which it would be done, with + if it is created, ~ if
/// changed and - if removed. What other modes of kube-proxy left goes last.
///
/// With --bundle it is what the daemon still had to change when that was written.
///
/// Exit status 0 when nothing would be changed, 2 when something would.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  proxyd plan --manifests /etc/proxyd/manifests --node-name $(hostname)
  proxyd plan --config /var/lib/kube-proxy/config.conf -o json
  proxyd plan --bundle node-1.tar.gz")]
pub(crate) struct PlanArgs {
    /// Show what was to be changed when `proxyd bundle` wrote this file
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    #[command(flatten)]
    node: NodeArgs,
    /// How to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Output,
}

/// Something would be changed.
pub(crate) const CHANGES: u8 = 2;

pub(crate) fn run(args: &PlanArgs) -> anyhow::Result<ExitCode> {
    let planned = match &args.bundle {
        None => planned(&args.node)?,
        Some(file) => args.node.bundle(file)?.get("/v1/diff")?,
    };
    print(&args.output.written(&planned, Difference::text)?)?;
    eprintln!("proxyd: {} objects would be changed; nothing was", planned.lines.len());
    Ok(if planned.lines.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(CHANGES) })
}

/// What `run` would change.
///
/// # Errors
/// The objects or the kernel cannot be read.
pub(crate) fn planned(node: &NodeArgs) -> anyhow::Result<Difference> {
    let mut look = node.look()?;
    look.changes.problems.iter().for_each(|problem| eprintln!("proxyd: {problem}"));
    let events = look.events();
    let desired = desired(look.model, events);
    let traffic = Arc::new(Traffic::default());
    let kernel = Netlink::open(&traffic)?;
    let mut backend = IpvsBackend::with_kernel(look.config, kernel, traffic);
    let lines = backend.plan(&desired)?.lines().collect();
    let now = Now::read();
    let as_of = moment(now.steady, now);
    Ok(Difference { as_of, lines, ..Difference::default() })
}

fn desired(mut model: Model, events: Vec<Event>) -> DesiredState {
    let mut desired = DesiredState::new();
    for event in events {
        for service in model.apply(event) {
            let resolution = model.resolve(&service);
            let _ = desired.replace(&service, resolution);
        }
    }
    desired
}
