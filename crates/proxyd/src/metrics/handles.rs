//! What others write their numbers with.

use std::time::{Duration, SystemTime};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family as Labelled;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::families::{Buckets, Families};
use super::recorder::{number, seconds};

/// For what follows the objects.
#[derive(Clone, Debug)]
pub(crate) struct Sources(pub(super) Families);

/// Kinds of objects that are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Resource {
    Services,
    EndpointSlices,
    Nodes,
}

impl Resource {
    pub(crate) const ALL: [Self; 3] = [Self::Services, Self::EndpointSlices, Self::Nodes];

    /// As it stands in the API's paths.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Services => "services",
            Self::EndpointSlices => "endpointslices",
            Self::Nodes => "nodes",
        }
    }

    const fn label(self) -> super::families::Label {
        [("resource", self.name())]
    }
}

/// Whether the API server tells of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connection {
    Up,
    Down,
}

impl Sources {
    /// The API server said something about such objects, be it only that nothing changed.
    pub(crate) fn heard(&self, resource: Resource, now: SystemTime) {
        self.0.last_event.get_or_create(&resource.label()).set(seconds(now));
    }

    /// Following such objects began, or broke off.
    pub(crate) fn connection(&self, resource: Resource, connection: Connection) {
        let is_up = connection == Connection::Up;
        self.0.connected.get_or_create(&resource.label()).set(is_up.into());
    }

    /// So many fields of such objects cannot be used now.
    pub(crate) fn rejected(&self, resource: Resource, count: usize) {
        self.0.rejections.get_or_create(&resource.label()).set(number(count));
    }
}

/// For the client of the API server, which is there before the metrics are.
#[derive(Clone, Debug)]
pub(crate) struct Requests {
    answers: Labelled<[(&'static str, String); 3], Counter>,
    durations: Labelled<[(&'static str, String); 2], Histogram, Buckets>,
}

/// Those of Go's client, from 5 ms to a minute.
fn request_buckets() -> Vec<f64> {
    vec![0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0]
}

impl Default for Requests {
    fn default() -> Self {
        let durations = Labelled::new_with_constructor(Buckets(request_buckets));
        Self { answers: Labelled::default(), durations }
    }
}

impl Requests {
    /// The answer to a request began after `took`, or it failed: then `code` is `<error>`, as it is
    /// in Go's client.
    pub(crate) fn done(&self, method: &str, host: &str, code: &str, took: Duration) {
        let labels =
            [("verb", method), ("host", host)].map(|(label, value)| (label, value.to_owned()));
        self.durations.get_or_create(&labels).observe(took.as_secs_f64());
        let labels = [("code", code), ("method", method), ("host", host)];
        let labels = labels.map(|(label, value)| (label, value.to_owned()));
        self.answers.get_or_create(&labels).inc();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Requests to the API server that were answered, and those that were not";
        registry.register("rest_client_requests", help, self.answers.clone());
        let help = "How long the API server took to begin an answer, or the request to fail";
        registry.register("rest_client_request_duration_seconds", help, self.durations.clone());
    }
}

/// For who answers `/healthz` and `/livez`.
#[derive(Clone, Debug)]
pub(crate) struct Probes(pub(super) Families);

impl Probes {
    /// It was answered with this status.
    pub(crate) fn answered(&self, path: &str, status: u16) {
        let counters = match path {
            "/healthz" => &self.0.healthz,
            "/livez" => &self.0.livez,
            _ => return,
        };
        let code = if status == 200 { "200" } else { "503" };
        counters.get_or_create(&[("code", code)]).inc();
    }
}
