//! Services whose endpoints are nodes, as the API server's own Service.

use proxy_core::Family;
use tests::lab::{Application, Server, Transport, iptables};

use crate::world::{HERE, THERE, World};

/// Where a server on the node that a client came to answers, nothing is masqueraded: its replies
/// cannot but come by this way.
const ROWS: &str = "
    pod     -> ClusterIP: node saw pod, node2 saw pod
    node    -> ClusterIP: node saw node, node2 saw node
    outside -> ClusterIP: node saw outside, node2 saw node
    pod     -> ExternalIP, LoadBalancer, NodePort: node saw pod, node2 saw node
    node    -> ExternalIP, LoadBalancer, NodePort: node saw node, node2 saw node
    outside -> ExternalIP, LoadBalancer, NodePort: node saw outside, node2 saw node
";

/// Over UDP and SCTP a server on all addresses of a host answers from the one that is nearest to the
/// client, whatever it was asked at; nobody can tell what that answers.
const TRANSPORTS: [Transport; 1] = [Transport::Tcp];

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn servers_in_the_network_of_their_nodes_are_reached_by_every_frontend() {
    let api = Application::everywhere("api", 80);
    let world = World::new();
    let nodes = [("node", 1), ("node2", 2)];
    let _servers = nodes
        .map(|(name, number)| Server::start(&world.cluster.node(number).namespace, name, 8080));
    let objects = [
        ("10.244.1.10", "192.168.50.11"),
        ("10.244.2.10", "192.168.50.12"),
        ("fd00:244:1::10", "fd00:50::11"),
        ("fd00:244:2::10", "fd00:50::12"),
    ]
    .iter()
    .fold(api.objects(&[HERE, THERE]), |objects, (pod, node)| objects.replace(pod, node));
    world.manifests.write("api.yaml", &objects);
    let _daemon = world.daemon_on(1, &[]);
    world.check_over(&TRANSPORTS, &[(&api, ROWS)]);
    for family in Family::ALL {
        iptables(&world.node().namespace, family, "-P FORWARD DROP");
    }
    world.check_over(&TRANSPORTS, &[(&api, ROWS)]);
}
