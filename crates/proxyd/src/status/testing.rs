//! A daemon for tests.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use ipvs_backend::netlink::route::LocalRoute;
use ipvs_backend::{IpvsConfig, NodeIps, Tally};
use proxy_core::memory::MemoryBackend;
use proxy_core::reconciler::{Reconciler, Schedule};
use proxy_core::{Interner, Model, api};

use super::client::Client;
use super::document::{State, Status};
use super::inquiry::{Inquiry, Known, Scope};
use super::server::{Desk, Pages, start};
use crate::config::BindFailure;
use crate::driver::{Input, drive};
use crate::health::Publisher;
use crate::logging::Lines;
use crate::manifest::testing::Scratch;
use crate::metrics::{Limits, Metrics, Requests};
use crate::network::Networked;
use crate::node_facts::{NodeFacts, Pods};
use crate::notice::Notices;
use crate::spare::Spare;

impl Networked for MemoryBackend {
    fn follow_network(&mut self, _: NodeIps) {}

    fn follow_pods(&mut self, _: Pods) {}

    fn routes_removed(&mut self, _: &[LocalRoute]) {}

    fn rules_removed(&mut self) {}

    fn config(&self) -> IpvsConfig {
        IpvsConfig::default()
    }

    fn take_tally(&mut self) -> Tally {
        Tally::default()
    }
}

/// A real driver with a backend in memory, asked over a real socket.
pub(crate) struct Scene {
    pub(crate) inputs: mpsc::Sender<Input>,
    pub(crate) client: Client,
    pub(crate) desk: Desk,
    _scratch: Scratch,
}

/// What is in effect.
pub(crate) const CONFIGURATION: &str = r#"{"apiVersion":"kubeproxy.config.k8s.io/v1alpha1",
    "kind":"KubeProxyConfiguration","mode":"ipvs"}"#;

/// What a desk tells besides.
pub(crate) fn pages() -> Pages {
    let metrics = Metrics::new(Limits::default(), std::time::UNIX_EPOCH, Requests::default());
    let metrics = metrics.exposition();
    let configuration = tokio::sync::watch::channel(CONFIGURATION.into()).1;
    Pages { configuration, metrics, lines: Lines::default() }
}

impl Scene {
    /// Nothing is known yet.
    pub(crate) fn new() -> Self {
        let (inputs, receiver) = mpsc::channel();
        let metrics = Metrics::new(Limits::default(), std::time::UNIX_EPOCH, Requests::default());
        let recorder = metrics.recorder();
        thread::spawn(move || {
            let reconciler =
                Reconciler::new(MemoryBackend::default(), Model::new("n1"), Schedule::default());
            let (publisher, _published) = Publisher::new(Duration::from_secs(30));
            let facts = NodeFacts::new(Vec::new(), None, Vec::new());
            let spare = Spare::new(|| ());
            drive(reconciler, facts, publisher, recorder, Notices::default(), spare, &receiver);
        });
        let scratch = Scratch::new();
        let path = scratch.path().join("proxyd.sock");
        let desk = Desk::new(inputs.clone(), pages());
        start(&path, BindFailure::Fatal, desk.clone()).unwrap();
        Self { inputs, client: Client::new(&path), desk, _scratch: scratch }
    }

    /// Tells it of a Service with a server, and that this is all.
    pub(crate) fn serve_web(&self) {
        let names = &mut Interner::new();
        let service: api::Service = serde_json::from_str(
            r#"{"metadata": {"name": "web", "namespace": "default"},
                "spec": {"clusterIP": "10.96.0.9", "ports": [{"name": "http", "port": 80}]}}"#,
        )
        .unwrap();
        let slice: api::EndpointSlice = serde_json::from_str(
            r#"{"metadata": {"name": "web-1", "namespace": "default",
                    "labels": {"kubernetes.io/service-name": "web"}},
                "addressType": "IPv4", "ports": [{"name": "http", "port": 8080}],
                "endpoints": [
                    {"addresses": ["10.1.0.1"], "nodeName": "n1", "zone": "a"},
                    {"addresses": ["10.1.0.2"], "nodeName": "n2", "zone": "b",
                        "conditions": {"ready": false}}]}"#,
        )
        .unwrap();
        let events = vec![
            proxy_core::Event::Service(Arc::new(service.parse(names).value.unwrap())),
            proxy_core::Event::Slice(Arc::new(slice.parse(names).value.unwrap())),
        ];
        self.inputs.send(Input::Events(events)).unwrap();
        self.inputs.send(Input::Complete).unwrap();
    }

    /// What it says once everything is in place.
    pub(crate) fn in_step(&self) -> Status {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let status = self.status();
            if status.state == State::InStep {
                return status;
            }
            assert!(Instant::now() < deadline, "{status:?}");
        }
    }

    /// What its driver knows.
    pub(crate) fn known(&self) -> Known {
        let (sender, answer) = tokio::sync::oneshot::channel();
        self.inputs.send(Input::Asked(Inquiry::Know(Scope::Everything, sender))).unwrap();
        answer.blocking_recv().unwrap()
    }

    /// What it says.
    pub(crate) fn status(&self) -> Status {
        self.client.get("/v1/status").unwrap()
    }
}
