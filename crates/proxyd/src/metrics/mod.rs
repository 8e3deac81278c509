//! What happens, in numbers, for Prometheus: kube-proxy's metrics under their names, and our own.
//!
//! The driver tells a [`Recorder`] and goes on; what the kernel counts is read by whoever asks.
//! Neither waits for the other. `docs/metrics.md` lists them all, and is written by a test.

mod collect;
mod exposition;
mod families;
mod handles;
mod process;
mod recorder;
mod served;
mod server;
mod statistics;
#[cfg(test)]
mod testing;
mod totals;

use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime};

use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use families::Families;
use served::Served;
use statistics::Statistics;

pub(crate) use exposition::Exposition;
pub(crate) use handles::{Connection, Probes, Requests, Resource, Sources};
pub(crate) use recorder::Recorder;
pub(crate) use server::Pages;
pub(crate) use statistics::{Counters, key_of_id};
pub(crate) use totals::Limits;

/// All metrics of a process, and what writes them.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    families: Families,
    served: Arc<Mutex<Served>>,
    /// Since when the destination that drains longest does.
    draining: Arc<Mutex<Option<Instant>>>,
    statistics: Arc<Mutex<Statistics>>,
    since: SystemTime,
}

impl Metrics {
    /// Those of a process that began at `since`. Nothing is read from the kernel before somebody
    /// asks.
    pub(crate) fn new(limits: Limits, since: SystemTime, requests: Requests) -> Self {
        let mut registry = Registry::default();
        requests.register(&mut registry);
        let families = Families::register(&mut registry);
        let served = Arc::<Mutex<Served>>::default();
        let draining = Arc::default();
        let statistics = Arc::new(Mutex::new(Statistics::new(Arc::clone(&served), limits)));
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("proxyd_build", "The version of this program", version);
        registry.register_collector(Box::new(process::Draining(Arc::clone(&draining))));
        registry.register_collector(Box::new(collect::Traffic(Arc::clone(&statistics))));
        registry.register_collector(Box::new(process::Process));
        Self { registry, families, served, draining, statistics, since }
    }

    /// For the driver.
    pub(crate) fn recorder(&self) -> Recorder {
        let (families, served) = (self.families.clone(), Arc::clone(&self.served));
        Recorder::new(families, served, Arc::clone(&self.draining), self.since)
    }

    /// For what follows the objects.
    pub(crate) fn sources(&self) -> Sources {
        Sources(self.families.clone())
    }

    /// For who answers `/healthz` and `/livez`.
    pub(crate) fn probes(&self) -> Probes {
        Probes(self.families.clone())
    }

    /// What Prometheus would be told, without reading anything anew from the kernel.
    #[cfg(test)]
    pub(crate) fn written(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::prometheus_text::encode(&mut text, &self.registry).unwrap();
        text
    }

    /// What Prometheus is answered.
    pub(crate) fn exposition(self) -> Exposition {
        Exposition::new(self.registry, self.statistics)
    }
}

#[cfg(test)]
#[path = "catalogue_tests.rs"]
mod tests;
