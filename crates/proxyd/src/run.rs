//! `proxyd run`: serves what a directory of manifests says, and follows it.

use std::io::IsTerminal as _;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use ipnet::IpNet;
use ipvs_backend::netlink::monitor::Monitor;
use ipvs_backend::rules::{Masquerade, RuleConfig};
use ipvs_backend::{Binding, IpvsBackend, IpvsConfig, NodePlan};
use proxy_core::reconciler::{Reconciler, Schedule};
use proxy_core::{Event, Model, Node};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tracing::level_filters::LevelFilter;
use tracing::{info, warn};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::driver::{Input, drive};
use crate::manifest::{Changes, Reader, Severity, Wake, Watcher};
use crate::network::{self, held_addresses};
use crate::node_facts::{NodeFacts, detector};

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
    /// Directory with the manifests.
    #[arg(long, value_name = "DIR")]
    manifests: PathBuf,
    /// Name of this node, as endpoints and the Node object spell it.
    #[arg(long, value_name = "NAME")]
    node_name: String,
    /// Source address of the node's own connections to Services, one a family. Default: the
    /// Node object's address that an interface has, else an interface's.
    #[arg(long = "node-ip", value_name = "IP")]
    node_ips: Vec<IpAddr>,
    /// Networks of the pods, one a family; clients from elsewhere reach cluster IPs masqueraded.
    /// Default: the podCIDRs of this node's Node object.
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    cluster_cidr: Vec<IpNet>,
    /// How the addresses of Services are made local to this node: by local routes, or as addresses
    /// on kube-ipvs0, as kube-proxy does.
    #[arg(long, value_enum, default_value_t = BindingArg::Route)]
    binding: BindingArg,
    /// Masquerade every connection to a cluster IP.
    #[arg(long)]
    masquerade_all: bool,
    /// How often everything is compared with the kernel, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    sync_period: u64,
    /// Text for people or JSON for machines, on standard error.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    logging_format: LogFormat,
    /// Say more; twice for everything.
    #[arg(short = 'v', action = clap::ArgAction::Count)]
    verbosity: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum BindingArg {
    Route,
    Address,
}

impl From<BindingArg> for Binding {
    fn from(binding: BindingArg) -> Self {
        match binding {
            BindingArg::Route => Self::Route,
            BindingArg::Address => Self::Address,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// How long a directory must be quiet before it is read.
const SETTLE: Duration = Duration::from_millis(50);

/// Between two looks whether the process should stop, in the thread that follows the directory.
const LOOK: Duration = Duration::from_secs(3600);

pub(crate) fn run(args: &RunArgs) -> anyhow::Result<()> {
    start_logging(args);
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP]).context("listen for signals")?;
    let watcher = Watcher::new(&args.manifests, SETTLE);
    let mut reader = Reader::new(&args.manifests);
    let first = reader.read();
    let node = this_node(&first, &args.node_name);
    if node.is_none() {
        warn!(
            "no Node {} in the manifests: no zone, and addresses are the interfaces'",
            args.node_name
        );
    }
    let monitor = Monitor::of_network().context("listen for changes of the network")?;
    let held = held_addresses().context("read the addresses of interfaces")?;
    let facts = NodeFacts::new(args.node_ips.clone(), node.clone(), held);
    let backend = IpvsBackend::open(ipvs_config(args, node.as_deref(), &facts))?;
    let schedule =
        Schedule { audit_interval: Duration::from_secs(args.sync_period), ..Schedule::default() };
    let model = Model::new(args.node_name.as_str());
    let reconciler = Reconciler::new(backend, model, schedule);

    let (inputs, receiver) = mpsc::channel();
    inputs.send(Input::Events(vec![Event::NodePortAddresses(facts.node_port_addresses())]))?;
    let driver = thread::Builder::new()
        .name("driver".to_owned())
        .spawn(move || drive(reconciler, facts, &receiver))
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
    info!(node = args.node_name, manifests = %args.manifests.display(), "started");
    obey(&mut signals, &inputs);
    driver.join().map_err(|_| anyhow::anyhow!("the driver thread panicked"))?;
    info!("stopped; everything stays in place");
    Ok(())
}

fn start_logging(args: &RunArgs) {
    let level = match args.verbosity {
        0 => tracing::Level::INFO,
        1 => tracing::Level::DEBUG,
        _ => tracing::Level::TRACE,
    };
    let ours = ["proxyd", "proxy_core", "ipvs_backend"].map(|name| (name, level));
    let filter = Targets::new().with_targets(ours).with_default(LevelFilter::WARN);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    let registry = tracing_subscriber::registry().with(filter);
    match args.logging_format {
        LogFormat::Text => registry.with(layer.with_ansi(std::io::stderr().is_terminal())).init(),
        LogFormat::Json => registry.with(layer.json()).init(),
    }
}

fn this_node(changes: &Changes, name: &str) -> Option<Arc<Node>> {
    changes.events.iter().find_map(|event| match event {
        Event::Node(node) if &*node.name == name => Some(node.clone()),
        _ => None,
    })
}

fn ipvs_config(args: &RunArgs, node: Option<&Node>, facts: &NodeFacts) -> IpvsConfig {
    let masquerade = if args.masquerade_all { Masquerade::All } else { Masquerade::OffCluster };
    let detector = detector(&args.cluster_cidr, node);
    IpvsConfig {
        node: NodePlan {
            ips: facts.node_ips(),
            binding: args.binding.into(),
            ..NodePlan::default()
        },
        rules: RuleConfig { masquerade, detector, ..RuleConfig::default() },
        ..IpvsConfig::default()
    }
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
