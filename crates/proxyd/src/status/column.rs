//! The columns of `proxyd status`: what stands in each, and how rows are sorted by it. Pure.

use std::cmp::{Ordering, Reverse};

use clap::ValueEnum;

use super::document::{Frontend, Servers};

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Column {
    Service,
    Kind,
    Frontend,
    Scheduler,
    Policy,
    Affinity,
    Ready,
    Draining,
    Unused,
    Active,
    Inactive,
    Rate,
    Total,
    In,
    Out,
    Changed,
    Drift,
    Problems,
}

/// How something in a cell is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Plain,
    Notable,
    Bad,
}

impl Column {
    /// What is shown by default.
    pub(crate) const TABLE: [Self; 13] = [
        Self::Service,
        Self::Kind,
        Self::Frontend,
        Self::Scheduler,
        Self::Policy,
        Self::Ready,
        Self::Draining,
        Self::Unused,
        Self::Active,
        Self::Rate,
        Self::Changed,
        Self::Drift,
        Self::Problems,
    ];

    /// The first to go when a terminal is narrow comes first; the others stay.
    pub(crate) const DISPENSABLE: [Self; 14] = [
        Self::Out,
        Self::In,
        Self::Affinity,
        Self::Total,
        Self::Inactive,
        Self::Policy,
        Self::Scheduler,
        Self::Unused,
        Self::Drift,
        Self::Kind,
        Self::Changed,
        Self::Problems,
        Self::Draining,
        Self::Rate,
    ];

    /// What stands above it.
    pub(crate) const fn head(self) -> &'static str {
        match self {
            Self::Service => "SERVICE",
            Self::Kind => "KIND",
            Self::Frontend => "FRONTEND",
            Self::Scheduler => "SCHED",
            Self::Policy => "POLICY",
            Self::Affinity => "AFFINITY",
            Self::Ready => "READY",
            Self::Draining => "DRAIN",
            Self::Unused => "UNUSED",
            Self::Active => "ACTIVE",
            Self::Inactive => "INACTIVE",
            Self::Rate => "CONN/S",
            Self::Total => "TOTAL",
            Self::In => "IN",
            Self::Out => "OUT",
            Self::Changed => "CHANGED",
            Self::Drift => "DRIFT",
            Self::Problems => "PROBLEMS",
        }
    }

    /// Whether numbers stand in it.
    pub(crate) const fn is_number(self) -> bool {
        !matches!(
            self,
            Self::Service | Self::Kind | Self::Frontend | Self::Scheduler | Self::Policy
        )
    }

    /// What stands in it.
    pub(crate) fn cell(self, of: &Frontend) -> String {
        let number = |number: Option<u64>| number.map_or_else(unknown, |number| number.to_string());
        let traffic = of.traffic.as_ref();
        match self {
            Self::Service => service(of),
            Self::Kind => of.kind.clone(),
            Self::Frontend => format!("{} {}", of.protocol, of.address),
            Self::Scheduler => of.scheduler.clone(),
            Self::Policy => of.policy.clone(),
            Self::Affinity => {
                of.affinity_seconds.map_or_else(unknown, |seconds| format!("{seconds}s"))
            }
            Self::Ready => ready(&of.servers),
            Self::Draining => number(of.servers.draining.map(|count| count as u64)),
            Self::Unused => of.servers.unused.to_string(),
            Self::Active => number(traffic.and_then(|traffic| traffic.active)),
            Self::Inactive => number(traffic.and_then(|traffic| traffic.inactive)),
            Self::Rate => traffic.and_then(|traffic| traffic.per_second).map_or_else(unknown, rate),
            Self::Total => number(traffic.map(|traffic| traffic.total)),
            Self::In => traffic.map_or_else(unknown, |traffic| bytes(traffic.bytes_in)),
            Self::Out => traffic.map_or_else(unknown, |traffic| bytes(traffic.bytes_out)),
            Self::Changed => {
                of.changed.as_ref().map_or_else(unknown, |moment| age(moment.age_seconds))
            }
            Self::Drift => of.drift.to_string(),
            Self::Problems => of.problems.to_string(),
        }
    }

    /// Whether somebody should look at it.
    pub(crate) fn mood(self, of: &Frontend) -> Mood {
        let Servers { outside, inside, ready, draining, .. } = of.servers;
        match self {
            Self::Ready if ready == 0 => Mood::Bad,
            Self::Ready if outside == 0 || inside == 0 => Mood::Notable,
            Self::Draining if draining.is_some_and(|count| count > 0) => Mood::Notable,
            Self::Drift if of.drift > 0 => Mood::Notable,
            Self::Problems if of.problems > 0 => Mood::Bad,
            _ => Mood::Plain,
        }
    }

    /// Texts go up, numbers go down, what changed last comes first.
    pub(crate) fn compare(self, one: &Frontend, two: &Frontend) -> Ordering {
        let floating = |number: fn(&Frontend) -> Option<f64>| {
            let [one, two] = [one, two].map(|it| number(it).unwrap_or(f64::NEG_INFINITY));
            two.total_cmp(&one)
        };
        let number =
            |number: fn(&Frontend) -> Option<u64>| Reverse(number(one)).cmp(&Reverse(number(two)));
        match self {
            Self::Service | Self::Kind | Self::Frontend | Self::Scheduler | Self::Policy => {
                self.cell(one).cmp(&self.cell(two))
            }
            Self::Affinity => number(|it| it.affinity_seconds.map(u64::from)),
            Self::Ready => number(|it| Some(it.servers.ready as u64)),
            Self::Draining => number(|it| it.servers.draining.map(|count| count as u64)),
            Self::Unused => number(|it| Some(it.servers.unused as u64)),
            Self::Active => number(|it| it.traffic?.active),
            Self::Inactive => number(|it| it.traffic?.inactive),
            Self::Rate => floating(|it| it.traffic?.per_second),
            Self::Total => number(|it| Some(it.traffic?.total)),
            Self::In => number(|it| Some(it.traffic?.bytes_in)),
            Self::Out => number(|it| Some(it.traffic?.bytes_out)),
            Self::Changed => floating(|it| it.changed.as_ref().map(|moment| -moment.age_seconds)),
            Self::Drift => number(|it| Some(it.drift as u64)),
            Self::Problems => number(|it| Some(it.problems as u64)),
        }
    }
}

fn unknown() -> String {
    "-".to_owned()
}

/// As `namespace/name:port`.
pub(crate) fn service(of: &Frontend) -> String {
    match of.port_name.as_str() {
        "" => of.service.clone(),
        port => format!("{}:{port}", of.service),
    }
}

/// One number, or that for clients outside and the one for those inside.
fn ready(servers: &Servers) -> String {
    let Servers { outside, inside, ready, .. } = servers;
    if outside == inside { ready.to_string() } else { format!("{outside}/{inside}") }
}

fn rate(per_second: f64) -> String {
    match per_second {
        0.0 => "0".to_owned(),
        rate if rate < 10.0 => format!("{rate:.1}"),
        rate => format!("{rate:.0}"),
    }
}

fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut unit = 0;
    let mut rest = bytes;
    while rest >= 10 * 1024 && unit + 1 < UNITS.len() {
        rest /= 1024;
        unit += 1;
    }
    format!("{rest} {}", UNITS[unit])
}

/// A time, in its greatest unit.
pub(crate) fn age(seconds: f64) -> String {
    for (unit, length) in [("d", 86_400.0), ("h", 3_600.0), ("m", 60.0)] {
        if seconds >= 2.0 * length {
            return format!("{:.0}{unit}", (seconds / length).floor());
        }
    }
    format!("{:.0}s", seconds.floor())
}
