//! What load balancers and the kubelet are told while the API server, the Node and the kernel come
//! and go.

use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tests::apiserver::{Credentials, History, Options};
use tests::lab::{Application, Endpoint, Transport, wait_until};

use crate::cluster::{SOON, Scene};

const CHECK: u16 = 32000;

fn web() -> Application {
    Application::new("web", &["10.96.0.1", "fd00:96::1"])
        .port(Transport::Tcp, 80, 8080)
        .spec("type: LoadBalancer")
        .spec("externalTrafficPolicy: Local")
        .spec(&format!("healthCheckNodePort: {CHECK}"))
}

/// The status at a port and path of the node; 0 when nobody answers.
fn status(scene: &Scene, port: u16, path: &str) -> u16 {
    let url = format!("http://192.168.50.11:{port}{path}");
    let arguments = ["-s", "-o", "/dev/null", "-m", "2", "-w", "%{http_code}", &url];
    let output = std::process::Command::new("ip")
        .args(["netns", "exec", scene.lab.client.name(), "curl"])
        .args(arguments)
        .output()
        .expect("ip runs");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("curl prints a status")
}

/// `/healthz`, `/livez`, and the Service's health check.
fn health(scene: &Scene) -> [u16; 3] {
    [(10256, "/healthz"), (10256, "/livez"), (CHECK, "/")]
        .map(|(port, path)| status(scene, port, path))
}

#[track_caller]
fn soon(scene: &Scene, expected: [u16; 3]) {
    wait_until(&format!("{expected:?}"), 2 * SOON, || health(scene) == expected);
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn health_is_about_this_node_and_not_about_the_api_server() {
    let scene = Scene::new(Options::default());
    let local = [Endpoint::new(1, 10)];
    scene.apply(&web(), &local);
    scene.configure(&Credentials::Nothing, |text| {
        text.replace("strictARP: false\n  syncPeriod: 0s", "strictARP: false\n  syncPeriod: 2s")
    });
    assert_eq!(health(&scene), [0; 3]);
    // A set of another type, in use by somebody else, cannot be replaced: the kernel fails.
    for arguments in [
        ["create", "KUBE-CLUSTER-IP", "hash:net"],
        ["create", "HOLDER", "list:set"],
        ["add", "HOLDER", "KUBE-CLUSTER-IP"],
    ] {
        let _ = scene.node().namespace.exec("ipset", &arguments);
    }
    let daemon = scene.start();
    daemon.wait_for_log("ipset destroy");
    let is_late = || health(&scene)[..2] == [503; 2];
    wait_until("what waits for the kernel is late", 2 * SOON, is_late);
    let _ = scene.node().namespace.exec("ipset", &["destroy", "HOLDER"]);
    daemon.wait_for_log("synced everything");
    soon(&scene, [200; 3]);
    let node = scene.api.object("nodes", "", "node-1").expect("it is there");

    // The API server is gone for longer than a change may wait.
    scene.api.stop();
    thread::sleep(Duration::from_secs(6));
    assert_eq!(health(&scene), [200; 3], "{}", daemon.log());
    scene.api.start_again(History::Dropped);
    daemon.wait_for_log("Services are watched again");

    scene.apply(&web(), &[Endpoint::new(2, 10)]);
    soon(&scene, [200, 200, 503]);
    scene.apply(&web(), &local);
    soon(&scene, [200; 3]);

    let change = |path: &str, value: Value| {
        let mut node = node.clone();
        *node.pointer_mut(path).expect("it is there") = value;
        scene.api.apply(&node);
    };
    let taint = "ToBeDeletedByClusterAutoscaler";
    let spec = json!({ "taints": [{ "key": taint, "effect": "NoSchedule" }] });
    change("/spec", spec);
    soon(&scene, [503, 200, 200]);
    assert!(scene.api.delete("nodes", "", "node-1"));
    thread::sleep(Duration::from_millis(500));
    assert_eq!(health(&scene), [503, 200, 200], "what was seen last counts");
    scene.api.apply(&node);
    soon(&scene, [200; 3]);
    let mut ending = node.clone();
    ending["metadata"]["deletionTimestamp"] = json!("2026-01-02T03:04:05Z");
    ending["metadata"]["finalizers"] = json!(["example.com/wait"]);
    scene.api.apply(&ending);
    soon(&scene, [503, 200, 200]);
    scene.api.apply(&node);
    soon(&scene, [200; 3]);

    assert!(daemon.stop(Signal::TERM).success());
    assert_eq!(health(&scene), [0; 3]);
}
