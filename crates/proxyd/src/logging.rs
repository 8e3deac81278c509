//! How the daemon logs.

use std::io::IsTerminal as _;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{LogFormat, Logging};

/// Logs from here on, once a process, to standard error. Libraries of others speak up only to
/// warn; the API client's errors are returned to us, and said here once.
pub(crate) fn start(logging: Logging) {
    let level = level(logging.verbosity);
    let ours = ["proxyd", "proxy_core", "ipvs_backend"].map(|name| (name, level));
    let filter = Targets::new()
        .with_targets(ours)
        .with_target("kube_client", LevelFilter::OFF)
        .with_default(LevelFilter::WARN);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    let registry = tracing_subscriber::registry().with(filter);
    match logging.format {
        LogFormat::Text => registry.with(layer.with_ansi(std::io::stderr().is_terminal())).init(),
        LogFormat::Json => registry.with(layer.json()).init(),
    }
}

/// kube-proxy is run with up to 2 in production, with 4 to find a fault, with 6 to see everything.
const fn level(verbosity: u32) -> tracing::Level {
    match verbosity {
        0..=3 => tracing::Level::INFO,
        4..=5 => tracing::Level::DEBUG,
        _ => tracing::Level::TRACE,
    }
}
