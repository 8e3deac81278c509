//! A node that kube-proxy served before.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use ipvs_backend::{IpvsBackend, IpvsConfig};
use proxy_core::{Backend as _, Family};
use rustix::process::Signal;
use tests::lab::{
    Client, Cluster, Daemon, KernelState, Manifests, Namespace, Node, Pod, Server, Transport,
    assert_strangers_untouched, feed, load_packet_filter, packet_filter, plan, plant_strangers,
    run,
};

use super::traffic::{Pace, Traffic};

const SERVICES: &str = include_str!("kube_proxy/services.yaml");

/// What kube-proxy's IPVS mode has for [`SERVICES`], and for one that is gone.
const IPVS: &str = include_str!("kube_proxy/ipvs.txt");
const LINKS: &str = include_str!("kube_proxy/links.txt");
const SETS: &str = include_str!("kube_proxy/sets.txt");
const RULES: &str = include_str!("kube_proxy/rules.txt");

/// What its iptables mode has for them, from a time when `edge` had no endpoints.
const IPTABLES_MODE: &str = include_str!("kube_proxy/iptables_mode.txt");

/// What is planned for the part of that which we do not have.
const LEGACY_RULES: &str = "- IPv4 rules of an earlier kube-proxy: mangle KUBE-PROXY-CANARY; \
    filter KUBE-EXTERNAL-SERVICES, KUBE-NODEPORTS, KUBE-PROXY-CANARY, KUBE-SERVICES, jumps (8); \
    nat KUBE-NODEPORTS, KUBE-PROXY-CANARY, KUBE-EXT-* (1), KUBE-SEP-* (1), KUBE-SVC-* (1), jumps (2)";

/// Chains that no kernel needs once kube-proxy is gone: its IPVS mode's, its iptables mode's.
const STALE: [&str; 10] = [
    "KUBE-IPVS-OUT-FILTER",
    "KUBE-LOAD-BALANCER-SOURCE-IP",
    "KUBE-EXTERNAL-SERVICES",
    "KUBE-NODEPORTS",
    "KUBE-PROXY-CANARY",
    "KUBE-SVC-",
    "KUBE-SEP-",
    "KUBE-EXT-",
    "REJECT --reject-with icmp-port-unreachable -m tcp",
    "has no endpoints",
];

/// The kubelet's part of that.
const KUBELETS: [&str; 5] = [
    ":KUBE-FIREWALL -",
    "-A INPUT -j KUBE-FIREWALL",
    "-A OUTPUT -j KUBE-FIREWALL",
    "-A KUBE-FIREWALL -s 198.51.100.99/32 -j DROP",
    ":KUBE-KUBELET-CANARY -",
];

struct Story {
    cluster: Cluster,
    client: Pod,
    servers: [Pod; 2],
    manifests: Manifests,
}

impl Story {
    fn begin() -> Self {
        let cluster = Cluster::new(2);
        let [here, there] = [1, 2].map(|number| cluster.node(number));
        let client = here.pod("client", 20);
        let servers = [here.pod("local", 10), there.pod("remote", 10)];
        cluster.client.ip("route replace 192.0.2.0/24 via 192.168.50.11");
        let manifests = Manifests::of_nodes();
        manifests.write("services.yaml", SERVICES);
        Self { cluster, client, servers, manifests }
    }

    fn node(&self) -> &Node {
        self.cluster.node(1)
    }

    fn servers(&self) -> [Server; 2] {
        self.servers.each_ref().map(|pod| Server::start(&pod.namespace, &pod.name, 8080))
    }
}

fn target(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn what_the_ipvs_mode_served_is_taken_over_without_losing_a_request() {
    let story = Story::begin();
    let _servers = story.servers();
    let node = &story.node().namespace;
    node.ip(LINKS);
    node.sysctl("net.ipv4.vs.conntrack", "1");
    node.enter(|| {
        plant_strangers();
        feed("ipvsadm", &["-R"], IPVS);
        feed("ipset", &["restore"], SETS);
        load_packet_filter(Family::Ipv4, RULES);
    });
    let (told, _) = plan(story.node(), story.manifests.path());
    for legacy in ["filter KUBE-IPVS-OUT-FILTER", "- set KUBE-LOAD-BALANCER-SOURCE-IP"] {
        assert!(told.iter().any(|line| line.contains(legacy)), "{legacy} is in {told:#?}");
    }
    let (pod, outside) = (&story.client.namespace, &story.cluster.client);
    let traffic = [
        (pod, "10.96.0.30:80"),
        (pod, "192.0.2.30:80"),
        (outside, "192.168.50.11:30080"),
        (outside, "192.0.2.30:80"),
        (outside, "192.0.2.31:80"),
        (node, "10.96.0.31:80"),
        (node, "192.0.2.30:80"),
    ]
    .map(|(namespace, at)| Traffic::begin(namespace, target(at), Pace::Shared));
    thread::sleep(Duration::from_millis(500));
    let daemon = Daemon::start(story.node(), story.manifests.path());
    thread::sleep(Duration::from_secs(1));
    for traffic in traffic {
        let tally = traffic.assert_unharmed();
        assert!(tally.answers["local"] > 10, "{tally:?}");
    }
    assert_nothing_stale(story.node());
    assert_eq!(plan(story.node(), story.manifests.path()), (Vec::new(), Some(0)));
    let state = KernelState::of(node);
    assert!(!state.services.iter().any(|line| line.contains("10.96.0.99")), "{state:?}");
    let bound = state.routes.iter().filter_map(|line| line.split_whitespace().nth(1));
    let expected = ["10.96.0.30", "10.96.0.31", "192.0.2.30", "192.0.2.31"];
    assert_eq!(bound.collect::<Vec<_>>(), expected);
    let admitted = |from, at| Client::in_namespace(from).ask(target(at), Transport::Tcp);
    assert!(admitted(outside, "192.0.2.31:80").is_ok());
    assert!(admitted(pod, "192.0.2.31:80").is_err(), "it is not in the source ranges");
    node.enter(assert_strangers_untouched);

    daemon.stop(Signal::TERM);
    let again = Daemon::start(story.node(), story.manifests.path());
    let log = again.log();
    assert!(log.contains("synced everything kernel_changes=0 failed=0"), "{log}");
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn what_the_iptables_mode_left_rejects_nobody_any_more() {
    let story = Story::begin();
    let _servers = story.servers();
    let node = &story.node().namespace;
    node.enter(|| {
        plant_strangers();
        load_packet_filter(Family::Ipv4, IPTABLES_MODE);
    });
    let rules = node.enter(packet_filter);
    let (told, _) = plan(story.node(), story.manifests.path());
    assert_eq!(told.last().map(String::as_str), Some(LEGACY_RULES), "{told:#?}");
    assert_eq!(node.enter(packet_filter), rules, "a plan changes nothing");
    let refused = |at| Client::in_namespace(node).ask(target(at), Transport::Tcp).is_err();
    assert!(refused("10.96.0.30:80"));
    let daemon = Daemon::start(story.node(), story.manifests.path());
    let (pod, outside) = (&story.client.namespace, &story.cluster.client);
    let calls = [
        (pod, "10.96.0.30:80"),
        (node, "10.96.0.30:80"),
        (outside, "192.168.50.11:30080"),
        (outside, "192.0.2.30:80"),
        (pod, "10.96.0.31:80"),
        (outside, "192.0.2.31:80"),
    ];
    for (namespace, at) in calls {
        let answers = Client::in_namespace(namespace).ask_often(target(at), Transport::Tcp, 4);
        assert!(answers.is_ok(), "{} to {at}: {answers:?}", namespace.name());
    }
    assert_nothing_stale(story.node());
    assert_eq!(plan(story.node(), story.manifests.path()), (Vec::new(), Some(0)));
    let rules = node.enter(packet_filter);
    for kept in KUBELETS {
        assert!(rules.lines().any(|line| line == kept), "{kept} is the kubelet's:\n{rules}");
    }
    daemon.stop(Signal::TERM);
    node.enter(clean_up);
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn what_either_mode_left_can_be_cleaned_up_by_who_never_served() {
    let ipvs_mode: fn() = || {
        feed("ipvsadm", &["-R"], IPVS);
        feed("ipset", &["restore"], SETS);
        load_packet_filter(Family::Ipv4, RULES);
    };
    let iptables_mode: fn() = || load_packet_filter(Family::Ipv4, IPTABLES_MODE);
    for plant in [ipvs_mode, iptables_mode] {
        Namespace::new("node").enter(move || {
            plant_strangers();
            plant();
            clean_up();
            let left = packet_filter();
            let ours = left.lines().filter(|line| line.contains("KUBE-"));
            let ours: Vec<_> = ours.filter(|line| !KUBELETS.contains(line)).collect();
            assert!(ours.is_empty(), "{ours:#?}");
            assert_eq!(run("ipset", &["list", "-n"]).trim(), "STRANGERS");
        });
    }
}

/// Cleans up as a process that knows nothing.
#[track_caller]
fn clean_up() {
    let mut backend = IpvsBackend::open(IpvsConfig::default()).unwrap();
    let report = backend.cleanup().unwrap();
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    assert_strangers_untouched();
}

#[track_caller]
fn assert_nothing_stale(node: &Node) {
    let (rules, sets) = node.namespace.enter(|| (packet_filter(), run("ipset", &["list", "-n"])));
    let of_ipv4 = rules.split("\n:").chain(sets.lines());
    for text in of_ipv4 {
        for stale in STALE {
            assert!(!text.contains(stale), "{stale} is still there:\n{text}");
        }
    }
    let held = node.namespace.exec("ip", &["address", "show", "dev", "kube-ipvs0"]);
    assert!(!held.contains("inet"), "{held}");
    for legacy in ["KUBE-NODE-PORT-SCTP", "KUBE-LOAD-BALANCER-SOURCE-IP"] {
        assert!(!sets.lines().any(|name| name == legacy), "{legacy} is still there");
    }
}
