//! The process is killed with a large piece of work half done.

use std::fmt::Write as _;
use std::time::Duration;

use rustix::process::Signal;
use tests::lab::{
    Application, Cluster, Daemon, Endpoint, KernelState, Manifests, Node, Server, Transport,
    wait_until,
};

use super::traffic::{Pace, Traffic};

const MANY: usize = 3_000;

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn what_a_kill_left_half_done_is_completed_and_others_lose_nothing() {
    let cluster = Cluster::new(1);
    let node = cluster.node(1);
    let (client, server) = (node.pod("client", 20), node.pod("server", 10));
    let _server = Server::start(&server.namespace, &server.name, 8080);
    let manifests = Manifests::of_nodes();
    let endpoint = [Endpoint::from(&server)];
    manifests.write("web.yaml", &Application::web().objects(&endpoint));
    let daemon = Daemon::start(node, manifests.path());
    let target = Application::web().targets().next().unwrap();
    let traffic = Traffic::begin(&client.namespace, target, Pace::Shared);

    manifests.write("many.yaml", &many(&endpoint));
    let is_partial = || (200..MANY).contains(&services(node));
    wait_until("a part is there", Duration::from_secs(30), is_partial);
    daemon.stop(Signal::KILL);
    eprintln!("killed at {} services", services(node));
    assert!(is_partial(), "it was killed before the end");

    // The next one finds the rest as one piece of work, and is killed too.
    let before = services(node);
    let daemon = Daemon::spawn(&node.namespace, &node.name, manifests.path(), &[]);
    wait_until("more is there", Duration::from_secs(30), || services(node) > before + 100);
    daemon.stop(Signal::KILL);
    eprintln!("killed at {} services", services(node));

    let daemon = Daemon::spawn(&node.namespace, &node.name, manifests.path(), &[]);
    wait_until("the rest is there", Duration::from_secs(60), || {
        daemon.log().contains("synced everything")
    });
    let _ = traffic.assert_unharmed();
    let state = KernelState::of(&node.namespace);
    let lines = |lines: &[String], start: &str, text: &str| {
        lines.iter().filter(|line| line.starts_with(start) && line.contains(text)).count()
    };
    assert_eq!(lines(&state.services, "-A ", "10.97."), MANY);
    assert_eq!(lines(&state.services, "-a ", "10.97."), MANY);
    assert_eq!(lines(&state.members, "add KUBE-CLUSTER-IP ", "10.97."), MANY);
    assert_eq!(lines(&state.members, "add KUBE-IPVS-IPS ", "10.97."), MANY);
    assert_eq!(lines(&state.routes, "local ", "10.97."), MANY);
}

/// How many virtual services over IPv4 a node has.
fn services(node: &Node) -> usize {
    let table = node.namespace.enter(|| std::fs::read_to_string("/proc/thread-self/net/ip_vs"));
    let table = table.unwrap_or_default();
    table.lines().filter(|line| line.starts_with("TCP  0A61")).count()
}

fn many(endpoints: &[Endpoint]) -> String {
    let mut text = String::new();
    for number in 0..MANY {
        let ip = format!("10.97.{}.{}", number / 250, number % 250 + 1);
        let application =
            Application::new(&format!("s{number}"), &[&ip]).port(Transport::Tcp, 80, 8080);
        let _ = writeln!(text, "---\n{}", application.objects(endpoints));
    }
    text
}
