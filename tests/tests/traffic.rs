//! Real connections through Services of every shape: who answers, and whom the server saw.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tests::lab::{
    Answer, Application, Client, Cluster, Daemon, Endpoint, Manifests, Namespace, Node, Pod,
    Refusal, Server, Transport,
};

const BOTH: [Transport; 2] = [Transport::Tcp, Transport::Udp];

/// A node that serves `web` with `pods`, and what must live as long.
fn serve(cluster: &Cluster, pods: &[&Pod]) -> (Manifests, Daemon) {
    let manifests = Manifests::of_nodes();
    let endpoints: Vec<_> = pods.iter().map(|&pod| Endpoint::from(pod)).collect();
    manifests.write("web.yaml", &Application::web().objects(&endpoints));
    let daemon = Daemon::start(cluster.node(1), manifests.path());
    (manifests, daemon)
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_pod_that_calls_itself_sees_the_address_of_its_gateway() {
    let cluster = Cluster::new(1);
    let node = cluster.node(1);
    let pod = node.pod("pod", 20);
    let _server = Server::start(&pod.namespace, &pod.name, 8080);
    let _serving = serve(&cluster, &[&pod]);
    for target in Application::web().targets() {
        for transport in BOTH {
            let answer = ask(&pod.namespace, target, transport);
            assert_eq!(answer.source, node.gateway_for(target.ip()), "{target} {transport:?}");
        }
    }
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_pod_on_the_same_node_is_reached_by_peers_as_they_are_and_by_the_node_as_its_gateway() {
    let cluster = Cluster::new(1);
    let node = cluster.node(1);
    let (server, peer) = (node.pod("server", 20), node.pod("peer", 21));
    let _server = Server::start(&server.namespace, &server.name, 8080);
    let _serving = serve(&cluster, &[&server]);
    for target in Application::web().targets() {
        for transport in BOTH {
            let source = |namespace: &Namespace| ask(namespace, target, transport).source;
            assert_eq!(source(&peer.namespace), peer.address_for(target.ip()));
            assert_eq!(source(&node.namespace), node.gateway_for(target.ip()));
            assert_eq!(source(&cluster.client), node.gateway_for(target.ip()));
        }
    }
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn three_servers_get_a_third_each() {
    let cluster = Cluster::new(1);
    let node = cluster.node(1);
    let client = node.pod("client", 20);
    let pods = [10, 11, 12].map(|host| node.pod(&format!("server-{host}"), host));
    let _servers =
        pods.iter().map(|pod| Server::start(&pod.namespace, &pod.name, 8080)).collect::<Vec<_>>();
    let _serving = serve(&cluster, &pods.each_ref());
    for target in Application::web().targets() {
        for transport in BOTH {
            let client = Client::in_namespace(&client.namespace);
            let answers = client.ask_often(target, transport, 15).unwrap();
            let shares: Vec<_> = answers.values().copied().collect();
            assert_eq!(shares, [5, 5, 5], "{target} {transport:?}: {answers:?}");
        }
    }
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_service_without_endpoints_refuses_at_once() {
    let cluster = Cluster::new(1);
    let pod = cluster.node(1).pod("pod", 20);
    let _serving = serve(&cluster, &[]);
    for namespace in [&pod.namespace, &cluster.node(1).namespace, &cluster.client] {
        for target in Application::web().targets() {
            assert_refused(namespace, target);
        }
    }
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn an_unknown_port_of_a_service_refuses_at_once() {
    let cluster = Cluster::new(1);
    let pod = cluster.node(1).pod("pod", 20);
    let _server = Server::start(&pod.namespace, &pod.name, 8080);
    let _serving = serve(&cluster, &[&pod]);
    for namespace in [&pod.namespace, &cluster.node(1).namespace, &cluster.client] {
        for target in Application::web().targets() {
            assert_refused(namespace, (target.ip(), 81).into());
        }
    }
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn what_listens_on_all_addresses_of_the_node_is_not_at_the_address_of_a_service() {
    let cluster = Cluster::new(1);
    let node = cluster.node(1);
    let pod = node.pod("pod", 20);
    let _host_process = Server::start(&node.namespace, "host", 9999);
    let _server = Server::start(&pod.namespace, &pod.name, 8080);
    let _serving = serve(&cluster, &[&pod]);
    for namespace in [&pod.namespace, &node.namespace, &cluster.client] {
        for target in Application::web().targets() {
            assert_refused(namespace, (target.ip(), 9999).into());
            // A pod gets UDP answers from the nearest address.
            let is_pod = namespace.name() == pod.namespace.name();
            let nearest = if is_pod { Node::gateway_for } else { Node::address_for };
            let at_node = (nearest(node, target.ip()), 9999).into();
            for transport in BOTH {
                assert_eq!(ask(namespace, at_node, transport).server, "host");
            }
        }
    }
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn the_address_of_a_service_answers_a_ping() {
    let cluster = Cluster::new(1);
    let pod = cluster.node(1).pod("pod", 20);
    let _serving = serve(&cluster, &[&pod]);
    for namespace in [&pod.namespace, &cluster.node(1).namespace, &cluster.client] {
        for target in Application::web().targets() {
            let address = target.ip().to_string();
            let answered = namespace.exec("ping", &["-c", "1", "-W", "2", &address]);
            assert!(answered.contains("1 received"), "{answered}");
        }
    }
}

#[track_caller]
fn ask(namespace: &Namespace, target: SocketAddr, transport: Transport) -> Answer {
    let answer = Client::in_namespace(namespace).ask(target, transport);
    answer.unwrap_or_else(|refusal| {
        panic!("{} to {target} over {transport:?}: {refusal:?}", namespace.name())
    })
}

/// Both transports are refused, and nobody waits for it.
#[track_caller]
fn assert_refused(namespace: &Namespace, target: SocketAddr) {
    for transport in BOTH {
        let begin = Instant::now();
        let answer = Client::in_namespace(namespace).ask(target, transport);
        let took = begin.elapsed();
        let who = namespace.name();
        assert_eq!(answer, Err(Refusal::Refused), "{who} to {target} over {transport:?}");
        assert!(took < Duration::from_millis(200), "{who} to {target}: {took:?}");
    }
}
