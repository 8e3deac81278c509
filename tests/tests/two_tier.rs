//! The manifests of `examples/two-tier` on a real kernel: nothing but what they ask for is there,
//! and it works.

use std::net::SocketAddr;

use tests::lab::{
    Answer, Client, Cluster, Daemon, KernelState, Manifests, Server, Transport, two_tier_state,
};

const BACKEND: [&str; 2] = ["10.96.0.100:3000", "[fd00:96::100]:3000"];

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn the_kernel_holds_exactly_what_the_manifests_ask_for() {
    let cluster = Cluster::new(1);
    let manifests = Manifests::two_tier();
    let _daemon = Daemon::start(cluster.node(1), manifests.path());
    assert_eq!(KernelState::of(&cluster.node(1).namespace), two_tier_state());
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn every_client_reaches_the_backend_and_is_seen_as_who_it_is_or_as_the_node() {
    let cluster = Cluster::new(2);
    let node = cluster.node(1);
    let frontend = node.pod("frontend", 20);
    let backend = cluster.node(2).pod("backend", 10);
    let _server = Server::start(&backend.namespace, &backend.name, 8080);
    let manifests = Manifests::two_tier();
    let _daemon = Daemon::start(node, manifests.path());
    for target in BACKEND.map(|target| target.parse::<SocketAddr>().unwrap()) {
        let peer = target.ip();
        for (namespace, expected_source) in [
            (&frontend.namespace, frontend.address_for(peer)),
            (&node.namespace, node.address_for(peer)),
            (&cluster.client, node.address_for(peer)),
        ] {
            for transport in [Transport::Tcp, Transport::Udp] {
                let answer = Client::in_namespace(namespace).ask(target, transport);
                let expected = Answer { server: "backend".to_owned(), source: expected_source };
                assert_eq!(answer, Ok(expected), "{} to {target}", namespace.name());
            }
        }
    }
}
