use proxy_core::memory::Fault;
use proxy_core::{Name, VirtualServerKey};

use super::super::testing::{BEGIN, Scene, service, slice};

const SYNC: &str = "kubeproxy_sync_proxy_rules";

fn web() -> proxy_core::Event {
    service("web", "10.96.0.9", "")
}

/// When something was, in seconds since the scene began.
#[track_caller]
fn check_time(scene: &Scene, what: &str, seconds: u64) {
    let begin = f64::from(u32::try_from(BEGIN).unwrap());
    let expected = begin + f64::from(u32::try_from(seconds).unwrap());
    for family in ["IPv4", "IPv6"] {
        scene
            .check(&format!("{SYNC}_{what}_timestamp_seconds{{ip_family=\"{family}\"}}"), expected);
    }
}

#[test]
fn changes_are_pending_until_they_are_in_place() {
    let mut scene = Scene::begin();
    scene.event(web());
    scene.event(slice("web", "n1", 0));
    scene.step();
    for what in ["service", "endpoint"] {
        scene.check(&format!("{SYNC}_{what}_changes_total"), 1.0);
        scene.check(&format!("{SYNC}_{what}_changes_pending"), 1.0);
    }
    scene.check("proxyd_services_pending", 1.0);
    scene.reconciler.start();
    scene.step();
    for what in ["service", "endpoint"] {
        scene.check(&format!("{SYNC}_{what}_changes_total"), 1.0);
        scene.check(&format!("{SYNC}_{what}_changes_pending"), 0.0);
    }
    scene.check("proxyd_services_pending", 0.0);
    // What is told again is no change.
    scene.event(web());
    scene.event(slice("web", "n1", 0));
    scene.check(&format!("{SYNC}_service_changes_total"), 1.0);
    scene.check(&format!("{SYNC}_endpoint_changes_total"), 1.0);
    scene.check("proxyd_kernel_changes_total", 1.0);
}

#[test]
fn a_failure_is_counted_and_leaves_everything_pending() {
    let mut scene = Scene::started();
    check_time(&scene, "last", 0);
    scene.after(5).reconciler.backend_mut().fail(Fault::Before);
    scene.event(web());
    let now = scene.wall();
    scene.recorder.step_begins(&scene.reconciler, now);
    let step = scene.reconciler.step(std::time::Instant::now() + std::time::Duration::from_secs(5));
    scene.recorder.step(&step.outcome, &scene.reconciler, std::time::Duration::from_secs(1), now);
    scene.check("proxyd_sync_failures_total{kind=\"kernel\"}", 1.0);
    scene.check(&format!("{SYNC}_service_changes_pending"), 1.0);
    check_time(&scene, "last", 0);
    check_time(&scene, "last_queued", 5);
    scene.after(10).step();
    scene.check(&format!("{SYNC}_service_changes_pending"), 0.0);
    check_time(&scene, "last", 15);
    check_time(&scene, "last_queued", 5);
}

#[test]
fn what_needs_nothing_from_the_kernel_is_in_place_at_once() {
    let mut scene = Scene::started();
    scene.event(web());
    scene.step();
    scene.after(7).event(slice("other", "n1", 1));
    scene.check(&format!("{SYNC}_endpoint_changes_pending"), 1.0);
    scene.step();
    scene.check(&format!("{SYNC}_endpoint_changes_pending"), 0.0);
    check_time(&scene, "last", 7);
}

#[test]
fn only_the_families_of_a_change_are_timed() {
    let mut scene = Scene::started();
    let count = |scene: &Scene, family: &str| {
        scene.number(&format!("{SYNC}_duration_seconds_count{{ip_family=\"{family}\"}}")).unwrap()
    };
    let before = (count(&scene, "IPv4"), count(&scene, "IPv6"));
    scene.event(web());
    scene.step();
    assert_eq!((count(&scene, "IPv4"), count(&scene, "IPv6")), (before.0 + 1.0, before.1));
    let bucket = format!("{SYNC}_duration_seconds_bucket{{ip_family=\"IPv6\",le=\"0.004\"}}");
    scene.check(&bucket, before.1);
}

#[test]
fn the_way_of_a_change_of_endpoints_is_measured_from_its_cause() {
    let mut scene = Scene::started();
    let measured = |scene: &Scene| {
        let name = "kubeproxy_network_programming_duration_seconds";
        let of = |what: &str| scene.number(&format!("{name}_{what}{{ip_family=\"IPv4\"}}"));
        of("count").zip(of("sum"))
    };
    scene.event(web());
    // A change of before this process is not its doing.
    scene.event(slice("web", "n1", -1));
    scene.step();
    assert_eq!(measured(&scene), Some((0.0, 0.0)));
    scene.after(4).event(slice("web", "n2", 2));
    scene.step();
    assert_eq!(measured(&scene), Some((1.0, 2.0)));
    // Told again, and then gone before it could be in place.
    scene.after(30).event(slice("web", "n2", 2));
    scene.event(slice("web", "n1", 31));
    let key = proxy_core::SliceKey::new("default", "web-1");
    scene.event(proxy_core::Event::SliceRemoved(key));
    scene.step();
    assert_eq!(measured(&scene), Some((1.0, 2.0)));
}

#[test]
fn services_that_a_local_policy_leaves_without_endpoints_are_counted() {
    let mut scene = Scene::started();
    let series = |policy: &str| {
        format!("{SYNC}_no_local_endpoints_total{{traffic_policy=\"{policy}\",ip_family=\"IPv4\"}}")
    };
    let check = |scene: &Scene, internal: f64, external: f64| {
        scene.check(&series("internal"), internal);
        scene.check(&series("external"), external);
    };
    check(&scene, 0.0, 0.0);
    let spec = r#", "internalTrafficPolicy": "Local", "externalTrafficPolicy": "Local",
        "externalIPs": ["192.0.2.1", "192.0.2.2"]"#;
    scene.event(service("web", "10.96.0.9", spec));
    scene.step();
    check(&scene, 0.0, 0.0);
    scene.event(slice("web", "n2", 1));
    scene.step();
    check(&scene, 1.0, 1.0);
    scene.event(service("web", "10.96.0.9", r#", "internalTrafficPolicy": "Local""#));
    scene.step();
    check(&scene, 1.0, 0.0);
    scene.reconciler.request_resync();
    scene.step();
    check(&scene, 1.0, 0.0);
    scene.event(slice("web", "n1", 2));
    scene.step();
    check(&scene, 0.0, 0.0);
}

#[test]
fn refusals_drift_and_conflicts_are_counted() {
    let mut scene = Scene::started();
    let key = VirtualServerKey {
        address: "10.96.0.9".parse().unwrap(),
        protocol: proxy_core::Protocol::Tcp,
        port: 80.try_into().unwrap(),
    };
    scene.reconciler.backend_mut().refuse(key);
    scene.event(web());
    scene.step();
    scene.check("proxyd_sync_failures_total{kind=\"refused\"}", 1.0);
    scene.reconciler.backend_mut().accept_all();
    scene.event(service("rival", "10.96.0.9", ""));
    scene.after(60).step();
    scene.check("proxyd_conflicts", 1.0);
    scene.reconciler.backend_mut().tamper(|servers| {
        servers.clear();
    });
    scene.after(60).step();
    scene.check("proxyd_drift_total{kind=\"missing\"}", 1.0);
    let name = Name::from("rival");
    let key = proxy_core::ServiceKey { namespace: "default".into(), name };
    scene.event(proxy_core::Event::ServiceRemoved(key));
    scene.step();
    scene.check("proxyd_conflicts", 0.0);
}
