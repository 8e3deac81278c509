//! `proxyd run`: serves what an API server or a directory of manifests says, and follows it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use clap::Args;
use ipvs_backend::IpvsBackend;
use ipvs_backend::netlink::monitor::Monitor;
use proxy_core::Event;
use proxy_core::reconciler::Reconciler;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::cleanup;
use crate::config::{self, Configuration, KubeProxyFlags, Settings};
use crate::driver::{Input, drive};
use crate::health::{self, Publisher};
use crate::kernel_settings;
use crate::logging::{self, Lines, Verbosity};
use crate::manifest::{Reader, Wake, Watcher};
use crate::metrics::{Limits, Metrics, Pages, Resource, Sources};
use crate::network;
use crate::node_args::{FirstLook, NodeArgs, Patience, Source};
use crate::notice::{Notices, Reason};
use crate::output::print;
use crate::page::Page;
use crate::reload::{self, Listeners, Live};
use crate::source::{Changes, Severity};
use crate::spare::Spare;
use crate::status;

/// Serve the Services of the cluster on this node, and follow every change.
///
/// Takes kube-proxy's configuration file and flags as they are; `proxyd` with flags and no command
/// is the same. Services, EndpointSlices and this node's Node come from the API server, or from the
/// files of --manifests, as `kubectl get services,endpointslices,nodes -A -o yaml` prints them.
/// Programs IPVS, ipsets, local routes and a few iptables rules in the network namespace it runs in.
///
/// On SIGTERM or SIGINT it goes and leaves everything in place: traffic flows on, and the next
/// start takes it over as it is. On SIGHUP it compares everything with the kernel at once.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  proxyd run --config /var/lib/kube-proxy/config.conf --hostname-override $(hostname)
  proxyd run --manifests /etc/proxyd/manifests")]
pub(crate) struct RunArgs {
    #[command(flatten)]
    node: NodeArgs,
}

/// How long a directory must be quiet before it is read.
const SETTLE: Duration = Duration::from_millis(50);

/// Between two looks whether the process should stop, in the thread that follows the directory.
const LOOK: Duration = Duration::from_secs(3600);

/// Does what the flags say: most often, serves until it is told to stop.
pub(crate) fn run(args: &RunArgs, give_back_memory: fn()) -> anyhow::Result<()> {
    let flags = &args.node.flags;
    if flags.version().is_some() {
        return say_version();
    }
    if flags.cleanup() {
        return cleanup::run(&cleanup::CleanupArgs {});
    }
    let configuration = args.node.configuration()?;
    if let Some(path) = flags.write_config_to() {
        return config::write(&configuration, path);
    }
    let settings = configuration.settings().context("it has no errors")?;
    let (verbosity, lines) = logging::start(settings.logging);
    for problem in configuration.problems() {
        warn!("{}", problem.to_string().trim_start_matches("warning: "));
    }
    if flags.init_only() {
        return prepare(settings);
    }
    let settings = settings.clone();
    let reload = Reload { flags: flags.clone(), configuration, verbosity };
    serve(&settings, reload, lines, Spare::new(give_back_memory))
}

/// What it takes to follow the configuration file.
struct Reload {
    flags: KubeProxyFlags,
    configuration: Configuration,
    verbosity: Verbosity,
}

fn say_version() -> anyhow::Result<()> {
    print(&format!("proxyd {}\n", env!("CARGO_PKG_VERSION")))
}

/// Does what needs more privileges than serving does.
fn prepare(settings: &Settings) -> anyhow::Result<()> {
    IpvsBackend::open(ipvs_backend::IpvsConfig::default())?;
    kernel_settings::apply(settings)?;
    info!("modules are loaded and kernel settings made");
    Ok(())
}

fn serve(settings: &Settings, reload: Reload, lines: Lines, spare: Spare) -> anyhow::Result<()> {
    // They listen before the first look, so that nothing between is missed.
    let watcher = settings.manifests.as_ref().map(|directory| Watcher::new(directory, SETTLE));
    let monitor = Monitor::of_network().context("listen for changes of the network")?;
    // The first process of a container is not ended by a signal that it does not handle, and the
    // look may take long.
    let is_starting = Arc::new(AtomicBool::new(true));
    for signal in [SIGTERM, SIGINT] {
        flag::register_conditional_shutdown(signal, 0, Arc::clone(&is_starting))
            .context("listen for signals")?;
    }
    let look = FirstLook::new(settings, Patience::Daemon)?;
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP]).context("listen for signals")?;
    is_starting.store(false, Ordering::SeqCst);
    let FirstLook { node_name, node, facts, config, model, source } = look;
    if node.is_none() {
        warn!(
            "no Node {node_name} is known: no zone, addresses are the interfaces', and /healthz \
             answers 503"
        );
    }
    let backend = IpvsBackend::open(config)?.timed_with(Instant::now);
    kernel_settings::apply(settings)?;
    let reconciler = Reconciler::new(backend, model, Live::of(settings).schedule);

    let (publisher, published) = Publisher::new(settings.sync_period);
    let (inputs, receiver) = mpsc::channel();
    inputs.send(Input::Events(vec![Event::NodePortAddresses(facts.node_port_addresses())]))?;
    let metrics = Metrics::new(Limits::default(), SystemTime::now(), source.requests());
    let recorder = metrics.recorder();
    let notices = follow_source(source, watcher, metrics.sources(), &inputs)?;
    notices.node(Reason::Starting, String::new());
    let (failure, probes) = (settings.bind_failure, metrics.probes());
    health::start(settings.healthz, failure, published.clone(), probes, notices.clone())
        .inspect_err(|it| notices.last(Reason::FailedToStartProxierHealthcheck, it.to_string()))
        .context("start the health servers")?;
    let metrics = metrics.exposition();
    let (in_effect, configuration) = watch::channel(reload.configuration.json().into());
    let pages =
        status::Pages { configuration: configuration.clone(), metrics: metrics.clone(), lines };
    let desk = status::Desk::new(inputs.clone(), pages);
    if let Some(address) = settings.metrics {
        let page = Page::new(desk.clone(), settings.page, address.ip());
        let pages = Pages { configuration, published, page };
        metrics
            .serve(address, failure, pages)
            .inspect_err(|it| notices.last(Reason::FailedToStartMetricServer, it.to_string()))
            .context("start the metrics server")?;
    }
    if let Some(socket) = &settings.socket {
        status::start(socket, failure, desk).context("start the status server")?;
    }
    let driver = thread::Builder::new()
        .name("driver".to_owned())
        .spawn(move || drive(reconciler, facts, publisher, recorder, notices, spare, &receiver))
        .context("start the driver thread")?;
    follow_network(monitor, &inputs)?;
    follow_configuration(reload, in_effect, &inputs)?;
    info!(node = node_name, version = env!("CARGO_PKG_VERSION"), "started");
    obey(&mut signals, &inputs);
    driver.join().map_err(|_| anyhow::anyhow!("the driver thread panicked"))?;
    info!("stopped; everything stays in place");
    Ok(())
}

/// Starts the thread that hands on what the source says. Returns where notices go.
fn follow_source(
    source: Source,
    watcher: Option<Watcher>,
    sources: Sources,
    inputs: &Sender<Input>,
) -> anyhow::Result<Notices> {
    let inputs = inputs.clone();
    match (source, watcher) {
        (Source::Cluster { cluster, parser }, _) => cluster.start(parser, sources, inputs),
        (Source::Manifests { reader, first }, Some(watcher)) => thread::Builder::new()
            .name("manifests".to_owned())
            .spawn(move || follow_manifests(*reader, first, watcher, &sources, &inputs))
            .context("start the thread that follows the manifests")
            .map(|_| Notices::default()),
        (Source::Manifests { .. }, None) => {
            unreachable!("a directory is watched before it is read")
        }
    }
}

fn follow_configuration(
    reload: Reload,
    in_effect: watch::Sender<Arc<str>>,
    inputs: &Sender<Input>,
) -> anyhow::Result<()> {
    let Reload { flags, configuration, verbosity } = reload;
    let listeners = Listeners { verbosity, in_effect, inputs: inputs.clone() };
    thread::Builder::new()
        .name("config".to_owned())
        .spawn(move || reload::follow(&flags, configuration, &listeners))
        .context("start the thread that follows the configuration file")?;
    Ok(())
}

/// Follows addresses, routes and, where the kernel tells of them, rules: what happens to rules
/// otherwise is found by the periodic comparison.
fn follow_network(monitor: Monitor, inputs: &Sender<Input>) -> anyhow::Result<()> {
    for monitor in [Some(monitor), Monitor::of_rules().ok()].into_iter().flatten() {
        let inputs = inputs.clone();
        thread::Builder::new()
            .name("network".to_owned())
            .spawn(move || network::follow(monitor, &inputs))
            .context("start a thread that follows the network")?;
    }
    Ok(())
}

/// Hands on what the directory says, now and after each change. Programming begins when the
/// directory could be read: an empty list of Services would take every Service away.
fn follow_manifests(
    mut reader: Reader,
    first: Changes,
    mut watcher: Watcher,
    sources: &Sources,
    inputs: &Sender<Input>,
) {
    let mut changes = first;
    let mut is_complete = false;
    loop {
        changes.say_problems(&Notices::default());
        for resource in Resource::ALL {
            let problems = reader.problems();
            sources.rejected(resource, problems.iter().filter(|it| it.rejects(resource)).count());
        }
        let is_readable =
            !reader.problems().iter().any(|problem| problem.severity == Severity::Unreadable);
        let mut news = Vec::from_iter(Input::of_problems(&mut changes));
        news.push(Input::Events(changes.events));
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

/// Turns signals into inputs until one says stop.
fn obey(signals: &mut Signals, inputs: &Sender<Input>) {
    for signal in signals.forever() {
        let input = if signal == SIGHUP { Input::Audit } else { Input::Stop };
        let is_last = matches!(input, Input::Stop);
        if inputs.send(input).is_err() || is_last {
            return;
        }
    }
}
