//! What else the program does with the same configuration.

use std::fs;
use std::process::Output;

use rustix::process::Signal;
use tests::apiserver::{Credentials, History, Options};
use tests::lab::{Endpoint, packet_filter};

use crate::cluster::{Scene, service};

/// Everything about a node that a proxy may change.
fn node_state(scene: &Scene) -> String {
    let kernel = scene.kernel();
    scene.node().namespace.enter(move || {
        let sets = tests::lab::run("ipset", &["list", "-n"]);
        let links = tests::lab::run("ip", &["-o", "link", "show", "type", "dummy"]);
        let filter = packet_filter();
        let rules: Vec<_> = filter.lines().filter(|line| line.contains("KUBE")).collect();
        format!("{kernel:#?}\n{rules:#?}\n{sets}\n{links}")
    })
}

fn text(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    format!("{out}{err}")
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn flags_that_only_act_once_do_that_and_no_more() {
    let scene = Scene::new(Options::default());
    scene.apply(&service(1), &[Endpoint::from(&scene.pod)]);
    scene.configure(&Credentials::Nothing, |text| {
        text.replace("strictARP: false", "strictARP: true")
    });
    let pristine = node_state(&scene);
    let run = |command: &[&str], flags: &[&str], status: i32| {
        let output = scene.run(command, flags);
        assert_eq!(output.status.code(), Some(status), "{command:?} {flags:?}: {}", text(&output));
        text(&output)
    };

    let told = run(&[], &["--version"], 0);
    assert!(told.starts_with("proxyd "), "{told}");
    let path = scene.file("written.conf");
    run(&[], &[&format!("--write-config-to={}", path.display())], 0);
    let written = fs::read_to_string(&path).expect("it is written");
    assert!(written.contains("kind: KubeProxyConfiguration"), "{written}");
    assert!(
        written.contains("strictARP: true") && written.contains("syncPeriod: 30s"),
        "{written}"
    );
    assert_eq!(scene.api.request_count(), 0, "no API server is asked for that");
    let kubeadms = fs::read_to_string(scene.config()).expect("it is written");
    for mode in ["\"\"", "iptables", "nftables"] {
        fs::write(scene.config(), kubeadms.replace("mode: ipvs", &format!("mode: {mode}")))
            .unwrap();
        let told = run(&[], &[], 1);
        assert!(told.contains("mode: ipvs") && told.contains("--any-mode"), "{mode}: {told}");
    }
    fs::write(scene.config(), &kubeadms).unwrap();
    assert_eq!(scene.api.request_count(), 0, "a node's mode is not changed unasked");

    // What would be done is told, with everything that the API has, and not done.
    let told = run(&["plan"], &[], 2);
    assert!(told.contains("+ server TCP 10.96.0.1:80 -> 10.244.2.10:8080 weight 1"), "{told}");
    scene.api.stop();
    let told = run(&["plan"], &[], 1);
    assert!(told.contains("read Node node-1: ") && told.contains("refused"), "{told}");
    assert_eq!(node_state(&scene), pristine);
    run(&[], &["--init-only"], 0);
    let setting = scene.node().namespace.exec("sysctl", &["-n", "net.ipv4.conf.all.arp_ignore"]);
    assert_eq!(setting.trim(), "1", "settings are made");
    assert_eq!(node_state(&scene), pristine, "and nothing else");

    scene.api.start_again(History::Kept);
    let daemon = scene.start();
    daemon.wait_for_log("synced everything");
    let serving = node_state(&scene);
    run(&["plan"], &[], 0);
    daemon.stop(Signal::TERM);
    assert_eq!(node_state(&scene), serving);

    scene.api.stop();
    let told = run(&[], &["--cleanup"], 0);
    assert!(told.contains("removed "), "{told}");
    assert_eq!(node_state(&scene), pristine, "an API server is not needed for that");
    let told = run(&[], &["--cleanup"], 0);
    assert!(told.contains("removed 0 objects"), "{told}");
}
