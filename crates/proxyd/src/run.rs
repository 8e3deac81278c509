//! `proxyd run`: serves what a directory of manifests says, and follows it.

use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use ipvs_backend::IpvsBackend;
use ipvs_backend::netlink::monitor::Monitor;
use proxy_core::reconciler::{Reconciler, Schedule};
use proxy_core::{Event, Model};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tracing::{info, warn};

use crate::driver::{Input, drive};
use crate::health::{self, BindAddress, Publisher};
use crate::logging::{self, LogArgs};
use crate::manifest::{Changes, Reader, Severity, Wake, Watcher};
use crate::network;
use crate::node_args::{FirstLook, NodeArgs};

/// Serve the Services of a directory of manifests on this node, and follow every change.
///
/// Reads Service, EndpointSlice and Node objects from the .yaml, .yml and .json files of the
/// directory, as `kubectl get services,endpointslices,nodes -A -o yaml` prints them. Programs
/// IPVS, ipsets, local routes and a few iptables rules in the network namespace it runs in.
///
/// On SIGTERM or SIGINT it goes and leaves everything in place: traffic flows on, and the next
/// start takes it over as it is. On SIGHUP it compares everything with the kernel at once.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  proxyd run --manifests /etc/proxyd/manifests --node-name $(hostname)"
)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    node: NodeArgs,
    /// How often everything is compared with the kernel, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    sync_period: u64,
    /// Where /healthz and /livez are answered over HTTP; an address such as 0.0.0.0 stands for all
    /// addresses of both families. Empty: nowhere.
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:10256")]
    healthz_bind_address: BindAddress,
    #[command(flatten)]
    log: LogArgs,
}

/// How long a directory must be quiet before it is read.
const SETTLE: Duration = Duration::from_millis(50);

/// Between two looks whether the process should stop, in the thread that follows the directory.
const LOOK: Duration = Duration::from_secs(3600);

pub(crate) fn run(args: &RunArgs) -> anyhow::Result<()> {
    logging::start(&args.log);
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP]).context("listen for signals")?;
    let NodeArgs { manifests, node_name, .. } = &args.node;
    // Both listen before the first look, so that nothing between is missed.
    let watcher = Watcher::new(manifests, SETTLE);
    let monitor = Monitor::of_network().context("listen for changes of the network")?;
    let FirstLook { reader, changes: first, node, facts, config } = args.node.look()?;
    if node.is_none() {
        warn!(
            "no Node {node_name} in the manifests: no zone, addresses are the interfaces', and \
             /healthz answers 503"
        );
    }
    let backend = IpvsBackend::open(config)?;
    let sync_period = Duration::from_secs(args.sync_period);
    let schedule = Schedule { audit_interval: sync_period, ..Schedule::default() };
    let model = Model::new(node_name.as_str());
    let reconciler = Reconciler::new(backend, model, schedule);

    let (publisher, published) = Publisher::new(sync_period);
    health::start(args.healthz_bind_address, published).context("start the health servers")?;
    let (inputs, receiver) = mpsc::channel();
    inputs.send(Input::Events(vec![Event::NodePortAddresses(facts.node_port_addresses())]))?;
    let driver = thread::Builder::new()
        .name("driver".to_owned())
        .spawn(move || drive(reconciler, facts, publisher, &receiver))
        .context("start the driver thread")?;
    let follower = inputs.clone();
    thread::Builder::new()
        .name("manifests".to_owned())
        .spawn(move || follow(reader, first, watcher, &follower))
        .context("start the thread that follows the manifests")?;
    // Without it, what happens to the rules is found by the periodic comparison.
    for monitor in [Some(monitor), Monitor::of_rules().ok()].into_iter().flatten() {
        let follower = inputs.clone();
        thread::Builder::new()
            .name("network".to_owned())
            .spawn(move || network::follow(monitor, &follower))
            .context("start a thread that follows the network")?;
    }
    info!(node = node_name, manifests = %manifests.display(), "started");
    obey(&mut signals, &inputs);
    driver.join().map_err(|_| anyhow::anyhow!("the driver thread panicked"))?;
    info!("stopped; everything stays in place");
    Ok(())
}

/// Hands on what the directory says, now and after each change. Programming begins when the
/// directory could be read: an empty list of Services would take every Service away.
fn follow(mut reader: Reader, first: Changes, mut watcher: Watcher, inputs: &Sender<Input>) {
    let mut changes = first;
    let mut is_complete = false;
    loop {
        say_problems(&changes);
        let is_readable =
            !reader.problems().iter().any(|problem| problem.severity == Severity::Unreadable);
        let mut news = vec![Input::Events(changes.events)];
        if is_readable && !is_complete {
            is_complete = true;
            news.push(Input::Complete);
        }
        if news.into_iter().any(|input| inputs.send(input).is_err()) {
            return;
        }
        while watcher.wait(LOOK) == Wake::Timeout {}
        changes = reader.read();
    }
}

fn say_problems(changes: &Changes) {
    for problem in &changes.problems {
        warn!("{problem}");
    }
    for problem in &changes.solved {
        info!("solved: {}", problem.place());
    }
}

/// Turns signals into inputs until one says stop.
fn obey(signals: &mut Signals, inputs: &Sender<Input>) {
    for signal in signals.forever() {
        let input = if signal == SIGHUP { Input::Resync } else { Input::Stop };
        let is_last = matches!(input, Input::Stop);
        if inputs.send(input).is_err() || is_last {
            return;
        }
    }
}
