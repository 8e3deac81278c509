//! How the daemon logs.

use std::io::IsTerminal as _;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, reload};

use crate::config::{LogFormat, Logging};

/// Logs from here on, once a process, to standard error. Libraries of others speak up only to
/// warn; the API client's errors are returned to us, and said here once.
pub(crate) fn start(logging: Logging) -> Verbosity {
    let (filter, handle) = reload::Layer::new(filter(logging.verbosity));
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    let registry = tracing_subscriber::registry().with(filter);
    match logging.format {
        LogFormat::Text => registry.with(layer.with_ansi(std::io::stderr().is_terminal())).init(),
        LogFormat::Json => registry.with(layer.json()).init(),
    }
    Verbosity(handle)
}

/// How much is logged, from start to end.
#[derive(Debug)]
pub(crate) struct Verbosity(reload::Handle<Targets, Registry>);

impl Verbosity {
    /// Logs more or less from here on.
    pub(crate) fn set(&self, verbosity: u32) {
        self.0.reload(filter(verbosity)).expect("the subscriber lives as long as the process");
    }
}

fn filter(verbosity: u32) -> Targets {
    let level = level(verbosity);
    Targets::new()
        .with_targets(["proxyd", "proxy_core", "ipvs_backend"].map(|name| (name, level)))
        .with_target("kube_client", LevelFilter::OFF)
        .with_default(LevelFilter::WARN)
}

/// kube-proxy is run with up to 2 in production, with 4 to find a fault, with 6 to see everything.
const fn level(verbosity: u32) -> tracing::Level {
    match verbosity {
        0..=3 => tracing::Level::INFO,
        4..=5 => tracing::Level::DEBUG,
        _ => tracing::Level::TRACE,
    }
}
