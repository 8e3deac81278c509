//! What a node tells Prometheus about its API server.

use tests::apiserver::Options;
use tests::lab::{Endpoint, Metrics, run, wait_until};

use crate::cluster::{SOON, Scene, service};

const RESOURCES: [&str; 3] = ["services", "endpointslices", "nodes"];

fn number(scene: &Scene, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    Metrics::of(scene.lab.node(1)).number(name, labels)
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_watch_that_breaks_off_is_told_and_so_is_every_request() {
    let scene = Scene::new(Options::default());
    let _daemon = scene.serve();
    let connected = |expected: f64| {
        RESOURCES.map(|it| number(&scene, "proxyd_watch_connected", &[("resource", it)]))
            == [Some(expected); 3]
    };
    wait_until("all are heard", SOON, || connected(1.0));
    for resource in RESOURCES {
        let heard = "proxyd_watch_last_event_timestamp_seconds";
        assert!(number(&scene, heard, &[("resource", resource)]) > Some(1e9), "{resource}");
    }
    let answered = [("code", "200"), ("method", "GET")];
    assert!(number(&scene, "rest_client_requests_total", &answered) >= Some(4.0));
    scene.api.stop();
    wait_until("it is told that nobody is heard", 4 * SOON, || connected(0.0));
    let failed = [("code", "<error>"), ("method", "GET")];
    assert!(number(&scene, "rest_client_requests_total", &failed) >= Some(1.0));
    scene.api.listen();
    wait_until("it is told that all are heard", 8 * SOON, || connected(1.0));
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn the_way_of_a_change_of_endpoints_is_measured_from_its_cause() {
    let scene = Scene::new(Options::default());
    let web = service(1);
    scene.apply(&web, &[Endpoint::from(&scene.pod)]);
    let _daemon = scene.serve();
    let name = "kubeproxy_network_programming_duration_seconds";
    let measured = |what: &str| {
        let number = number(&scene, &format!("{name}_{what}"), &[("ip_family", "IPv4")]);
        number.expect("it is told")
    };
    assert_eq!(measured("count"), 0.0);
    let now = run("date", &["-u", "+%Y-%m-%dT%H:%M:%S.%NZ"]);
    let cause = format!(
        "  annotations: {{endpoints.kubernetes.io/last-change-trigger-time: \"{}\"}}\n  labels: ",
        now.trim()
    );
    let slices = web.slices(&[Endpoint::from(&scene.pod), Endpoint::new(1, 11)]);
    scene.api.apply_yaml(&slices.replace("  labels: ", &cause));
    wait_until("it is measured", SOON, || measured("count") == 1.0);
    let took = measured("sum");
    assert!(took > 0.0 && took < SOON.as_secs_f64(), "{took} s");
}
