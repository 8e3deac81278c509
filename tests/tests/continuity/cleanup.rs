//! Somebody else uses IPVS on the same node.

use std::thread;
use std::time::Duration;

use ipvs_backend::{IpvsBackend, IpvsConfig};
use proxy_core::Backend as _;
use tests::lab::{Application, Cluster, Daemon, Endpoint, KernelState, Manifests, Server, run};

use super::traffic::{Pace, Traffic};

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn start_and_cleanup_leave_the_traffic_of_a_strangers_service_alone() {
    let cluster = Cluster::new(1);
    let node = cluster.node(1);
    let (client, server) = (node.pod("client", 20), node.pod("server", 10));
    let _server = Server::start(&server.namespace, &server.name, 8080);
    node.namespace.ip("addr add 192.0.2.1/32 dev lo");
    node.namespace.enter(|| {
        run("ipvsadm", &["-A", "-t", "192.0.2.1:80", "-s", "rr"]);
        run("ipvsadm", &["-a", "-t", "192.0.2.1:80", "-r", "10.244.1.10:8080", "-m"]);
    });
    let before = KernelState::of(&node.namespace).services;
    let clients = [&client.namespace, &node.namespace];
    let traffic =
        clients.map(|it| Traffic::begin(it, "192.0.2.1:80".parse().unwrap(), Pace::Shared));

    let manifests = Manifests::of_nodes();
    manifests.write("web.yaml", &Application::web().objects(&[Endpoint::from(&server)]));
    drop(Daemon::start(node, manifests.path()));
    thread::sleep(Duration::from_millis(300));
    let web = Application::web();
    let ours = Traffic::begin_both([&client.namespace, &node.namespace], &web, Pace::Shared);
    thread::sleep(Duration::from_millis(300));
    for traffic in ours {
        let _ = traffic.assert_unharmed();
    }
    node.namespace.enter(|| {
        let mut backend = IpvsBackend::open(IpvsConfig::default()).unwrap();
        let report = backend.cleanup().unwrap();
        assert!(report.failed.is_empty() && report.changes > 0, "{report:?}");
    });
    thread::sleep(Duration::from_millis(300));
    for traffic in traffic {
        let _ = traffic.assert_unharmed();
    }
    assert_eq!(KernelState::of(&node.namespace).services, before);
}
