//! A driver without a kernel or a clock, and the metrics that come of it.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use proxy_core::memory::MemoryBackend;
use proxy_core::reconciler::{Reconciler, Schedule};
use proxy_core::{Event, Interner, Model, api};

use super::{Limits, Metrics, Recorder, Requests};

pub(super) struct Scene {
    pub(super) metrics: Metrics,
    pub(super) requests: Requests,
    pub(super) recorder: Recorder,
    pub(super) reconciler: Reconciler<MemoryBackend>,
    begin: Instant,
    seconds: u64,
}

/// When every scene begins, in seconds since 1970: 2026-01-02T03:04:05Z.
pub(super) const BEGIN: u64 = 1_767_323_045;

/// How long each step takes.
const STEP: Duration = Duration::from_millis(3);

impl Scene {
    pub(super) fn begin() -> Self {
        let begin = SystemTime::UNIX_EPOCH + Duration::from_secs(BEGIN);
        let requests = Requests::default();
        let metrics = Metrics::new(Limits::default(), begin, requests.clone());
        let recorder = metrics.recorder();
        let schedule = Schedule { audit_interval: Duration::from_secs(30), ..Schedule::default() };
        let reconciler = Reconciler::new(MemoryBackend::default(), Model::new("n1"), schedule);
        Self { metrics, requests, recorder, reconciler, begin: Instant::now(), seconds: 0 }
    }

    /// The first lists are complete, and in place.
    pub(super) fn started() -> Self {
        let mut scene = Self::begin();
        scene.reconciler.start();
        scene.step();
        scene
    }

    pub(super) fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(BEGIN + self.seconds)
    }

    pub(super) fn event(&mut self, event: Event) {
        self.recorder.event(&event, &self.reconciler);
        self.reconciler.handle(event, self.begin + Duration::from_secs(self.seconds));
    }

    /// Everything that is due.
    pub(super) fn step(&mut self) {
        let (steady, wall) = (self.begin + Duration::from_secs(self.seconds), self.wall());
        for _ in 0..10 {
            self.recorder.step_begins(&self.reconciler, wall);
            let step = self.reconciler.step(steady);
            self.recorder.step(&step.outcome, &self.reconciler, STEP, wall);
        }
    }

    pub(super) fn after(&mut self, seconds: u64) -> &mut Self {
        self.seconds += seconds;
        self
    }

    /// What Prometheus would be told, of what was read before.
    pub(super) fn text(&self) -> String {
        self.metrics.written()
    }

    /// The number of a time series, by its name with its labels.
    pub(super) fn number(&self, series: &str) -> Option<f64> {
        let text = self.text();
        let number = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
        Some(number.parse().expect("a number"))
    }

    #[track_caller]
    pub(super) fn check(&self, series: &str, expected: impl Into<Option<f64>>) {
        assert_eq!(self.number(series), expected.into(), "{series}");
    }
}

/// A Service with a cluster IP, and with more `spec` in JSON.
pub(super) fn service(name: &str, cluster_ip: &str, spec: &str) -> Event {
    let text = format!(
        r#"{{"metadata": {{"name": "{name}"}},
        "spec": {{"clusterIP": "{cluster_ip}", "ports": [{{"name": "http", "port": 80}}]{spec}}}}}"#
    );
    let object: api::Service = serde_json::from_str(&text).unwrap();
    Event::Service(Arc::new(object.parse(&mut Interner::new()).value.unwrap()))
}

/// The slice of a Service, with one endpoint on `node`, changed so many seconds after the scene
/// began.
pub(super) fn slice(service: &str, node: &str, changed: i64) -> Event {
    let minute = 4 + (5 + changed).div_euclid(60);
    let second = (5 + changed).rem_euclid(60);
    let text = format!(
        r#"{{"metadata": {{"name": "{service}-1",
            "labels": {{"kubernetes.io/service-name": "{service}"}},
            "annotations": {{"endpoints.kubernetes.io/last-change-trigger-time":
                "2026-01-02T03:{minute:02}:{second:02}Z"}}}},
        "addressType": "IPv4", "ports": [{{"name": "http", "port": 8080}}],
        "endpoints": [{{"addresses": ["10.1.0.1"], "nodeName": "{node}"}}]}}"#
    );
    let object: api::EndpointSlice = serde_json::from_str(&text).unwrap();
    Event::Slice(Arc::new(object.parse(&mut Interner::new()).value.unwrap()))
}
