use std::time::{Duration, Instant, SystemTime};

use proxy_core::memory::{Fault, MemoryBackend};
use proxy_core::reconciler::Schedule;
use proxy_core::{Interner, Model, api};

use super::*;
use crate::health::state::Condition;

/// A driver without a kernel or a clock.
struct Scene {
    reconciler: Reconciler<MemoryBackend>,
    publisher: Publisher,
    published: Receiver<Published>,
    begin: Instant,
    seconds: u64,
}

impl Scene {
    fn begin() -> Self {
        let period = Duration::from_secs(30);
        let (publisher, published) = Publisher::new(period);
        // No delays: what is due is due at once.
        let schedule = Schedule {
            settle: Duration::ZERO,
            min_interval: Duration::ZERO,
            audit_interval: period,
            ..Schedule::default()
        };
        let reconciler = Reconciler::new(MemoryBackend::default(), Model::new("n1"), schedule);
        Self { reconciler, publisher, published, begin: Instant::now(), seconds: 0 }
    }

    fn started() -> Self {
        let mut scene = Self::begin();
        scene.reconciler.start();
        scene.publisher.started(&scene.reconciler, scene.now());
        scene.step();
        scene
    }

    fn now(&self) -> Now {
        let passed = Duration::from_secs(self.seconds);
        Now { steady: self.begin + passed, wall: SystemTime::UNIX_EPOCH + passed }
    }

    fn event(&mut self, event: Event) {
        self.publisher.event(&event, &self.reconciler);
        self.reconciler.handle(event, self.now().steady);
    }

    /// Everything that is due.
    fn step(&mut self) {
        let now = self.now();
        for _ in 0..10 {
            self.publisher.step_begins(&self.reconciler, now);
            let step = self.reconciler.step(now.steady);
            self.publisher.step(&step.outcome, &self.reconciler, now);
        }
    }

    fn after(&mut self, seconds: u64) {
        self.seconds += seconds;
    }

    fn condition(&self) -> Condition {
        self.published.borrow().proxy.verdict(self.now()).condition()
    }

    fn counts(&self) -> Vec<usize> {
        self.published.borrow().checks.iter().map(|check| check.local_endpoints).collect()
    }
}

fn service() -> Event {
    let text = r#"{"metadata": {"name": "web"}, "spec": {"type": "LoadBalancer",
        "clusterIP": "10.96.0.9", "externalTrafficPolicy": "Local", "healthCheckNodePort": 32000,
        "ports": [{"port": 80}]}}"#;
    let object: api::Service = serde_json::from_str(text).unwrap();
    Event::Service(Arc::new(object.parse(&mut Interner::new()).value.unwrap()))
}

fn slice(ready: bool) -> Event {
    let text = format!(
        r#"{{"metadata": {{"name": "web-1", "labels": {{"kubernetes.io/service-name": "web"}}}},
        "addressType": "IPv4", "ports": [{{"port": 80}}],
        "endpoints": [{{"addresses": ["10.1.0.1"], "nodeName": "n1",
            "conditions": {{"ready": {ready}}}}}]}}"#
    );
    let object: api::EndpointSlice = serde_json::from_str(&text).unwrap();
    Event::Slice(Arc::new(object.parse(&mut Interner::new()).value.unwrap()))
}

#[test]
fn counts_follow_what_was_carried_out() {
    let mut scene = Scene::begin();
    scene.event(service());
    scene.step();
    assert_eq!(scene.counts(), [0; 0], "not yet");
    let mut scene = Scene::started();
    scene.event(service());
    scene.step();
    assert_eq!(scene.counts(), [0]);
    scene.event(slice(true));
    scene.step();
    assert_eq!(scene.counts(), [1]);
    scene.reconciler.backend_mut().fail(Fault::Before);
    scene.event(slice(false));
    scene.step();
    assert_eq!(scene.counts(), [1], "the backend serves that endpoint still");
    scene.after(30);
    scene.step();
    assert_eq!(scene.counts(), [0]);
    let known = scene.published.borrow_and_update().checks.clone();
    scene.after(30);
    scene.step();
    assert!(Arc::ptr_eq(&known, &scene.published.borrow().checks), "nothing changed");
    assert!(!scene.published.has_changed().unwrap(), "whoever follows checks sleeps on");
}

#[test]
fn a_change_that_is_not_carried_out_makes_it_late() {
    let mut scene = Scene::started();
    scene.event(service());
    scene.publisher.step_begins(&scene.reconciler, scene.now());
    scene.after(59);
    assert_eq!(scene.condition(), Condition::Healthy);
    scene.after(1);
    assert_eq!(scene.condition(), Condition::Unhealthy, "the backend does not come back");
    scene.step();
    assert_eq!(scene.condition(), Condition::Healthy);
    scene.after(3600);
    assert_eq!(scene.condition(), Condition::Healthy, "nothing waits");
}

#[test]
fn comparisons_that_fail_make_it_late_though_no_change_waits() {
    let mut scene = Scene::started();
    for _ in 0..40 {
        scene.reconciler.backend_mut().fail(Fault::Before);
    }
    scene.reconciler.request_resync();
    scene.step();
    assert_eq!(scene.condition(), Condition::Healthy);
    scene.after(59);
    scene.step();
    assert_eq!(scene.condition(), Condition::Healthy);
    scene.after(1);
    scene.step();
    assert_eq!(scene.condition(), Condition::Unhealthy);
    for _ in 0..40 {
        scene.after(60);
        scene.step();
    }
    assert_eq!(scene.condition(), Condition::Healthy, "it succeeds again");
}

#[test]
fn changes_that_need_nothing_from_the_backend_are_done() {
    let mut scene = Scene::started();
    scene.event(service());
    scene.step();
    // Endpoints of nobody's port: nothing changes for the Service.
    let Event::Slice(object) = slice(true) else { panic!("it is a slice") };
    let mut other = (*object).clone();
    other.ports.clear();
    scene.event(Event::Slice(Arc::new(other)));
    scene.step();
    scene.after(100);
    assert_eq!(scene.condition(), Condition::Healthy);
}
