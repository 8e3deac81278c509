//! How the daemon logs.

use std::io::IsTerminal as _;

use clap::Args;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// Text for people or JSON for machines, on standard error.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    logging_format: LogFormat,
    /// Say more; twice for everything.
    #[arg(short = 'v', action = clap::ArgAction::Count)]
    verbosity: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// Logs from here on, once a process. Libraries of others speak up only to warn.
pub(crate) fn start(args: &LogArgs) {
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
