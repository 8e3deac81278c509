//! Somebody takes things away, changes them, or adds some.

use std::thread;
use std::time::Duration;

use proxy_core::Family;
use tests::lab::{
    Application, Cluster, Daemon, Endpoint, KernelState, Manifests, Namespace, Server, Transport,
    iptables, packet_filter, wait_until,
};

use super::traffic::{Pace, Traffic};

/// What somebody does, and what the log says of it.
const DAMAGE: [(&str, &str); 9] = [
    (
        "ipvsadm -d -t 10.96.0.9:80 -r 10.244.1.10:8080",
        "server TCP 10.96.0.9:80 -> 10.244.1.10:8080 weight 1 was missing",
    ),
    (
        "ipset del KUBE-CLUSTER-IP 10.96.0.9,tcp:80",
        "set KUBE-CLUSTER-IP member 10.96.0.9,tcp:80 was missing",
    ),
    ("ip route del local 10.96.0.9 dev lo table local proto 153", "address 10.96.0.9"),
    ("iptables -t nat -F KUBE-POSTROUTING", "IPv4 chain KUBE-POSTROUTING in table nat was changed"),
    (
        "ipvsadm -e -t 10.96.0.9:80 -r 10.244.1.11:8080 -m -w 7",
        "server TCP 10.96.0.9:80 -> 10.244.1.11:8080 weight 1 was changed",
    ),
    (
        "ipvsadm -a -t 10.96.0.9:80 -r 10.244.9.9:8080 -m -w 1",
        "server TCP 10.96.0.9:80 -> 10.244.9.9:8080 weight 0 was changed",
    ),
    ("ipvsadm -D -u 10.96.0.9:80", "service UDP 10.96.0.9:80 rr was missing"),
    (
        "ipset add KUBE-IPVS-IPS 198.51.100.7",
        "set KUBE-IPVS-IPS member 198.51.100.7 was not ours to leave",
    ),
    ("ip link del kube-ipvs0", "device kube-ipvs0 was missing"),
];

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn what_somebody_damages_is_mended_and_said_once_while_other_traffic_flows() {
    let cluster = Cluster::new(1);
    let node = cluster.node(1);
    let client = node.pod("client", 20);
    let pods = [10, 11].map(|host| node.pod(&format!("pod-{host}"), host));
    let _servers = pods.each_ref().map(|pod| Server::start(&pod.namespace, &pod.name, 8080));
    let endpoints = pods.each_ref().map(Endpoint::from);
    let other =
        Application::new("other", &["10.96.0.10", "fd00:96::a"]).port(Transport::Tcp, 80, 8080);
    let manifests = Manifests::of_nodes();
    manifests.write("web.yaml", &Application::web().objects(&endpoints));
    manifests.write("other.yaml", &other.objects(&endpoints));
    let often = ["--ipvs-sync-period", "1s"];
    let daemon = Daemon::spawn(&node.namespace, &node.name, manifests.path(), &often);
    daemon.wait_for_log("synced everything");
    let state = || (KernelState::of(&node.namespace), node.namespace.enter(packet_filter));
    let before = state();
    let traffic = Traffic::begin_both([&client.namespace, &cluster.client], &other, Pace::Shared);
    for (damage, _) in DAMAGE {
        do_damage(&node.namespace, damage);
        thread::sleep(Duration::from_millis(300));
    }
    wait_until("all is as it was", Duration::from_secs(10), || state() == before);
    thread::sleep(Duration::from_secs(3));
    for traffic in traffic {
        let _ = traffic.assert_unharmed();
    }
    let log = daemon.log();
    for (damage, words) in DAMAGE {
        let said =
            log.lines().filter(|line| line.contains("drift mended: ") && line.contains(words));
        assert_eq!(said.count(), 1, "{damage}: {words:?} in\n{log}");
    }
    // With a service its two servers go.
    let expected = DAMAGE.len() + 2;
    assert_eq!(log.matches("drift mended: ").count(), expected, "nothing else:\n{log}");
}

fn do_damage(namespace: &Namespace, line: &'static str) {
    match line.split_once(' ') {
        Some(("iptables", arguments)) => iptables(namespace, Family::Ipv4, arguments),
        Some((program, arguments)) => {
            let arguments: Vec<_> = arguments.split_whitespace().collect();
            let _ = namespace.exec(program, &arguments);
        }
        None => panic!("{line} has no arguments"),
    }
}
