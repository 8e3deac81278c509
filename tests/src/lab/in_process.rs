//! The path of a change without a process around it: the text of objects in, requests to the
//! kernel of the calling thread's network namespace out, counted at the socket.

use std::sync::Arc;
use std::time::Instant;

use ipvs_backend::netlink::TrafficCounts;
use ipvs_backend::rules::{Detector, RuleConfig};
use ipvs_backend::{IpvsBackend, IpvsConfig, NodePlan};
use proxy_core::reconciler::{Outcome, Reconciler, Schedule};
use proxy_core::{Event, Interner, Model, Report, ServiceKey, api};

/// A reconciler with an IPVS backend, on node 1 of the laboratory.
#[derive(Debug)]
pub struct InProcess {
    reconciler: Reconciler<IpvsBackend>,
    names: Interner,
}

/// What a piece of work was.
#[derive(Debug)]
pub struct Work {
    /// What the backend said.
    pub report: Report,
    /// What crossed the netlink sockets.
    pub traffic: TrafficCounts,
}

impl InProcess {
    /// Opens the backend. Nothing is programmed yet.
    ///
    /// # Panics
    /// When the kernel lacks something.
    #[must_use]
    pub fn open() -> Self {
        Self::open_excluding(&[])
    }

    /// The same; nothing with an address in one of these networks is taken for an earlier proxy's.
    ///
    /// # Panics
    /// When the kernel lacks something, or a network is not one.
    #[must_use]
    pub fn open_excluding(networks: &[&str]) -> Self {
        let excluded = networks.iter().map(|network| network.parse().expect("a network"));
        let config = IpvsConfig { excluded: excluded.collect(), ..config() };
        let backend = IpvsBackend::open(config).unwrap_or_else(|error| panic!("{error}"));
        let reconciler = Reconciler::new(backend, Model::new("node-1"), Schedule::default());
        Self { reconciler, names: Interner::new() }
    }

    /// Takes in the objects of a YAML text.
    ///
    /// # Panics
    /// When one is not valid.
    pub fn read(&mut self, yaml: &str) {
        for document in yaml.split("---\n") {
            let event = event(document, &mut self.names);
            self.reconciler.handle(event, Instant::now());
        }
    }

    /// Takes in that a Service is gone.
    pub fn remove_service(&mut self, name: &str) {
        let key = ServiceKey { namespace: "default".into(), name: name.into() };
        self.reconciler.handle(Event::ServiceRemoved(key), Instant::now());
    }

    /// Reads back everything and mends it.
    ///
    /// # Panics
    /// When that fails as a whole.
    pub fn resync(&mut self) -> Work {
        self.reconciler.start();
        self.reconciler.request_resync();
        self.work(|outcome| match outcome {
            Outcome::Resynced(report) => report,
            other => panic!("a resync was due, not {other:?}"),
        })
    }

    /// Carries out what changed.
    ///
    /// # Panics
    /// When nothing did, or that fails as a whole.
    pub fn apply(&mut self) -> Work {
        self.work(|outcome| match outcome {
            Outcome::Applied { report, .. } => report,
            other => panic!("a change was due, not {other:?}"),
        })
    }

    /// Finds that nothing is to be done. Returns what crossed the netlink sockets all the same.
    ///
    /// # Panics
    /// When something was.
    pub fn idle(&mut self) -> TrafficCounts {
        let work = self.work(|outcome| match outcome {
            Outcome::Idle => Report::default(),
            other => panic!("nothing was due, not {other:?}"),
        });
        work.traffic
    }

    /// Does what the backend has to do by itself.
    ///
    /// # Panics
    /// When nothing is due, or that fails.
    pub fn maintain(&mut self) -> Work {
        self.work(|outcome| match outcome {
            Outcome::Maintained(report) => report,
            other => panic!("maintenance was due, not {other:?}"),
        })
    }

    /// The backend.
    pub const fn backend_mut(&mut self) -> &mut IpvsBackend {
        self.reconciler.backend_mut()
    }

    fn work(&mut self, report: impl FnOnce(Outcome) -> Report) -> Work {
        let before = self.reconciler.backend().traffic();
        let step = self.reconciler.step(Instant::now());
        assert!(step.parked.is_empty(), "the backend can serve all: {:?}", step.parked);
        let traffic = self.reconciler.backend().traffic().since(before);
        Work { report: report(step.outcome), traffic }
    }
}

fn config() -> IpvsConfig {
    let network = |text: &str| Some(text.parse().expect("a network"));
    let detector =
        Detector::Networks { ipv4: network("10.244.1.0/24"), ipv6: network("fd00:244:1::/64") };
    IpvsConfig {
        node: NodePlan::default(),
        rules: RuleConfig { detector, ..RuleConfig::default() },
        ..IpvsConfig::default()
    }
}

fn event(document: &str, names: &mut Interner) -> Event {
    if document.contains("kind: EndpointSlice\n") {
        let slice: api::EndpointSlice = serde_saphyr::from_str(document).expect("it is YAML");
        Event::Slice(Arc::new(slice.parse(names).value.expect("the slice is valid")))
    } else {
        let service: api::Service = serde_saphyr::from_str(document).expect("it is YAML");
        Event::Service(Arc::new(service.parse(names).value.expect("the Service is valid")))
    }
}
