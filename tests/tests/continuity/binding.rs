//! Addresses are bound in another way.

use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use tests::lab::{Application, Cluster, Daemon, Endpoint, KernelState, Manifests, Server};

use super::traffic::{Pace, Traffic};

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn the_way_of_binding_is_changed_to_and_fro_and_nobody_notices() {
    let cluster = Cluster::new(1);
    let node = cluster.node(1);
    let (client, server) = (node.pod("client", 20), node.pod("server", 10));
    let _server = Server::start(&server.namespace, &server.name, 8080);
    let manifests = Manifests::of_nodes();
    manifests.write("web.yaml", &Application::web().objects(&[Endpoint::from(&server)]));
    let start = |binding: &str| {
        let arguments = ["--binding", binding];
        let daemon = Daemon::spawn(&node.namespace, &node.name, manifests.path(), &arguments);
        daemon.wait_for_log("synced everything");
        daemon
    };
    let mut daemon = start("route");
    let web = Application::web();
    let mut traffic = Traffic::begin_both([&client.namespace, &cluster.client], &web, Pace::Shared);
    traffic.extend(Traffic::begin_both([&node.namespace; 2], &web, Pace::Shared));
    for binding in ["address", "route", "address", "route"] {
        thread::sleep(Duration::from_millis(300));
        daemon.stop(Signal::TERM);
        daemon = start(binding);
        let held = node.namespace.exec("ip", &["address", "show", "dev", "kube-ipvs0"]);
        let routes = KernelState::of(&node.namespace).routes;
        for address in ["10.96.0.9", "fd00:96::9"] {
            let is_held = held.contains(&format!(" {address}/"));
            assert_eq!(is_held, binding == "address", "{held}");
            let is_routed = routes.iter().any(|route| route.contains(address));
            assert_eq!(is_routed, binding == "route", "{routes:?}");
        }
    }
    thread::sleep(Duration::from_millis(300));
    for traffic in traffic {
        let _ = traffic.assert_unharmed();
    }
}
