//! Whoever looks at a Service or a node with kubectl sees what is wrong with it.

use serde_json::Value;
use tests::apiserver::{Credentials, Options};
use tests::lab::{Daemon, Endpoint, wait_until};

use crate::cluster::{SOON, Scene, service};

/// The Events about an object, as `reason: note`.
fn told(scene: &Scene, kind: &str, name: &str) -> Vec<String> {
    let text = |event: &Value, path: &str| {
        event.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let events = scene.api.objects("events").into_iter();
    let about = events.filter(|event| {
        text(event, "/regarding/kind") == kind && text(event, "/regarding/name") == name
    });
    about.map(|event| format!("{}: {}", text(&event, "/reason"), text(&event, "/note"))).collect()
}

#[track_caller]
fn is_told(scene: &Scene, daemon: &Daemon, (kind, name): (&str, &str), words: &[&str]) {
    let is_there = || {
        let all = told(scene, kind, name);
        all.iter().any(|one| words.iter().all(|word| one.contains(word)))
    };
    wait_until(
        &format!("an Event on {kind} {name} says {words:?}: {}", daemon.log()),
        2 * SOON,
        is_there,
    );
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn an_address_that_cannot_be_had_is_an_event_if_that_is_the_end() {
    let scene = Scene::new(Options::default());
    for (path, name, place) in [
        ("healthzBindAddress", "FailedToStartProxierHealthcheck", "/healthz"),
        ("metricsBindAddress", "FailedToStartMetricServer", "/metrics"),
    ] {
        scene.configure(&Credentials::Nothing, |text| {
            text.replace(&format!("{path}: \"\""), &format!("{path}: 192.0.2.99:1000"))
                .replace("bindAddressHardFail: false", "bindAddressHardFail: true")
        });
        let output = scene.run(&[], &[]);
        assert!(!output.status.success(), "{output:?}");
        let told = told(&scene, "Node", "node-1");
        let said = format!("{name}: {place} cannot be answered at 192.0.2.99:1000: ");
        assert!(told.iter().any(|one| one.starts_with(&said)), "{said} {told:#?} {output:?}");
    }
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn what_a_service_does_not_get_is_an_event_on_it() {
    let scene = Scene::new(Options::default());
    let (good, rival) = (service(1), service(2));
    scene.apply(&good, &[Endpoint::from(&scene.pod)]);
    let often = "strictARP: false\n  syncPeriod: 1s";
    scene.configure(&Credentials::Nothing, |text| {
        text.replace("strictARP: false\n  syncPeriod: 0s", often)
    });
    let daemon = scene.start();
    daemon.wait_for_log("synced everything");
    is_told(&scene, &daemon, ("Node", "node-1"), &["Starting"]);

    let taken = "  externalIPs: [not-an-address, 10.96.0.1]\n";
    let rival = rival.service().replace("spec:\n", &format!("spec:\n{taken}"));
    scene.api.apply_yaml(&rival);
    let rival = ("Service", "web-2");
    is_told(&scene, &daemon, rival, &["InvalidField", "spec.externalIPs[0]", "not-an-address"]);
    is_told(&scene, &daemon, rival, &["FrontendConflict", "10.96.0.1:80", "default/web-1"]);
    assert_eq!(told(&scene, "Service", "web-1"), Vec::<String>::new());
    assert!(scene.ask(&good).is_ok(), "the other Service goes on");
    let said = daemon.log().lines().filter(|line| line.contains("not-an-address")).count();
    assert_eq!(said, 1, "{}", daemon.log());

    let _ = scene.lab.node(1).namespace.exec("ipset", &["flush", "KUBE-CLUSTER-IP"]);
    is_told(&scene, &daemon, ("Node", "node-1"), &["DriftMended", "KUBE-CLUSTER-IP"]);
}
