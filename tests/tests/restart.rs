//! The daemon may go at any time and come back: traffic flows on meanwhile, what is right is left
//! as it is, and what changed meanwhile is made right.

use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use tests::lab::{
    Application, Client, Cluster, Daemon, Endpoint, InProcess, KernelState, Manifests, Namespace,
    Server, Transport, assert_strangers_untouched, packet_filter, plant_strangers, wait_until,
};

fn db() -> Application {
    Application::new("db", &["10.96.0.10", "fd00:96::a"]).port(Transport::Tcp, 5432, 5432)
}

const REMOTE: Endpoint = Endpoint::new(2, 10);
const LOCAL: Endpoint = Endpoint::new(1, 10);

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn traffic_flows_on_when_the_daemon_is_stopped_and_a_restart_changes_nothing() {
    survives(Signal::TERM);
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn traffic_flows_on_when_the_daemon_is_killed_and_a_restart_changes_nothing() {
    survives(Signal::KILL);
}

fn survives(signal: Signal) {
    let cluster = Cluster::new(1);
    let node = cluster.node(1);
    let (client, server) = (node.pod("client", 20), node.pod("server", 10));
    let _server = Server::start(&server.namespace, &server.name, 8080);
    let manifests = Manifests::of_nodes();
    manifests.write("web.yaml", &Application::web().objects(&[LOCAL]));
    let daemon = Daemon::start(node, manifests.path());
    let state = || (KernelState::of(&node.namespace), node.namespace.enter(packet_filter));
    let before = state();
    let target = Application::web().targets().next().unwrap();
    let stream = Client::in_namespace(&client.namespace).stream(target, Duration::from_millis(20));
    thread::sleep(Duration::from_millis(200));
    let status = daemon.stop(signal);
    assert_eq!(status.success(), signal == Signal::TERM, "{status}");
    thread::sleep(Duration::from_millis(300));
    assert_eq!(state(), before, "it left everything in place");
    let again = Daemon::start(node, manifests.path());
    thread::sleep(Duration::from_millis(200));
    let tally = stream.stop();
    assert_eq!(tally.lost, [], "{tally:?}");
    assert!(tally.answers["server"] > 20, "{tally:?}");
    let log = again.log();
    assert!(log.contains("synced everything kernel_changes=0 failed=0"), "{log}");
    assert_eq!(state(), before);
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_new_backend_finds_all_as_it_should_be_and_sends_no_change() {
    Namespace::new("node").enter(|| {
        let served = || {
            let mut served = InProcess::open();
            for application in [Application::web(), db()] {
                served.read(&application.objects(&[REMOTE, LOCAL]));
            }
            served
        };
        let first = served().resync();
        assert!(first.report.failed.is_empty(), "{:?}", first.report.failed);
        let before = (KernelState::here(), packet_filter());
        assert!(before.1.contains("-A PREROUTING"), "{}", before.1);
        let again = served().resync();
        assert_eq!((again.report.changes, again.traffic.mutations), (0, 0), "{:?}", again.traffic);
        assert_eq!((KernelState::here(), packet_filter()), before);
    });
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn what_changed_while_the_daemon_was_down_is_made_right_and_strangers_are_left_alone() {
    let cluster = Cluster::new(1);
    let node = cluster.node(1);
    node.namespace.enter(plant_strangers);
    let manifests = Manifests::of_nodes();
    manifests.write("web.yaml", &Application::web().objects(&[REMOTE]));
    manifests.write("db.yaml", &db().objects(&[LOCAL]));
    let daemon = Daemon::start(node, manifests.path());
    node.namespace.enter(assert_strangers_untouched);
    manifests.write("db.yaml", &db().objects(&[LOCAL, REMOTE]));
    daemon.wait_for_log("synced changed=2");
    node.namespace.enter(assert_strangers_untouched);
    daemon.stop(Signal::TERM);

    manifests.remove("db.yaml");
    manifests.write("web.yaml", &Application::web().objects(&[LOCAL]));
    let _daemon = Daemon::start(node, manifests.path());
    wait_until("what was drained is gone", Duration::from_secs(5), || {
        !KernelState::of(&node.namespace).services.iter().any(|line| line.ends_with("-w 0"))
    });
    let state = KernelState::of(&node.namespace);
    let ours = |lines: &[String]| -> Vec<String> {
        let strangers = ["192.0.2.", "-f 7", "STRANGERS"];
        let is_ours = |line: &&String| !strangers.iter().any(|word| line.contains(word));
        lines.iter().filter(is_ours).cloned().collect()
    };
    assert_eq!(
        ours(&state.services),
        [
            "-A -t 10.96.0.9:80 -s rr",
            "-A -t [fd00:96::9]:80 -s rr",
            "-A -u 10.96.0.9:80 -s rr",
            "-A -u [fd00:96::9]:80 -s rr",
            "-a -t 10.96.0.9:80 -r 10.244.1.10:8080 -m -w 1",
            "-a -t [fd00:96::9]:80 -r [fd00:244:1::10]:8080 -m -w 1",
            "-a -u 10.96.0.9:80 -r 10.244.1.10:8080 -m -w 1",
            "-a -u [fd00:96::9]:80 -r [fd00:244:1::10]:8080 -m -w 1",
        ]
    );
    assert_eq!(
        ours(&state.members),
        [
            "add KUBE-6-CLUSTER-IP fd00:96::9,tcp:80",
            "add KUBE-6-CLUSTER-IP fd00:96::9,udp:80",
            "add KUBE-6-IPVS-IPS fd00:96::9",
            "add KUBE-6-LOOP-BACK fd00:244:1::10,tcp:8080,fd00:244:1::10",
            "add KUBE-6-LOOP-BACK fd00:244:1::10,udp:8080,fd00:244:1::10",
            "add KUBE-CLUSTER-IP 10.96.0.9,tcp:80",
            "add KUBE-CLUSTER-IP 10.96.0.9,udp:80",
            "add KUBE-IPVS-IPS 10.96.0.9",
            "add KUBE-LOOP-BACK 10.244.1.10,tcp:8080,10.244.1.10",
            "add KUBE-LOOP-BACK 10.244.1.10,udp:8080,10.244.1.10",
        ]
    );
    let addresses: Vec<_> =
        state.routes.iter().filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert_eq!(addresses, ["10.96.0.9", "fd00:96::9"]);
    node.namespace.enter(assert_strangers_untouched);
}
