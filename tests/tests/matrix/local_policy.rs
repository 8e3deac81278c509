//! Services with `externalTrafficPolicy: Local`: clients outside get the servers of the node that
//! they came to and keep their addresses, clients inside get every server and keep theirs.

use tests::lab::Application;

use crate::world::{HERE, THERE, World};

/// `number` is in its health-check node port too.
pub(crate) fn local(name: &str, number: u8) -> Application {
    Application::everywhere(name, number)
        .spec("externalTrafficPolicy: Local")
        .spec(&format!("healthCheckNodePort: 320{number}"))
}

/// A pod of another node that calls this one is outside.
pub(crate) const WITH_A_SERVER_HERE: &str = "
    outside -> ExternalIP, LoadBalancer, NodePort: here saw outside
    peer    -> ExternalIP, LoadBalancer, NodePort: here saw peer
    pod     -> ExternalIP, LoadBalancer, NodePort: here saw pod, there saw pod
    node    -> ExternalIP, LoadBalancer, NodePort: here saw node, there saw node
    here    -> ExternalIP, LoadBalancer, NodePort: here saw gateway, there saw here
    pod     -> ClusterIP: here saw pod, there saw pod
    outside -> ClusterIP: here saw gateway, there saw node
";

const WITHOUT: &str = "
    outside, peer -> ExternalIP, LoadBalancer, NodePort: no answer
    pod           -> ExternalIP, LoadBalancer, NodePort: there saw pod
    node          -> ExternalIP, LoadBalancer, NodePort: there saw node
    pod           -> ClusterIP: there saw pod
    outside       -> ClusterIP: there saw node
";

/// On its own node it is inside.
const PEER_ON_ITS_NODE: &str = "
    peer -> ClusterIP, ExternalIP, LoadBalancer: here saw peer, there saw peer
    peer -> NodePort: here saw peer
";

/// Where the pods of all nodes count as inside, one of another node reaches every server through
/// this one too, masqueraded so that the replies pass here.
const PEER_AT_A_FOREIGN_NODE_PORT: &str = "
    peer    -> NodePort: here saw gateway, there saw node
    pod     -> NodePort: here saw pod, there saw pod
    node    -> NodePort: here saw node, there saw node
    outside -> NodePort: here saw outside
";

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_pod_of_another_node_gets_its_replies_where_all_pods_count_as_inside() {
    let with = local("with", 62);
    let pods = ["--detect-local-mode=ClusterCIDR", "--cluster-cidr", "10.244.0.0/16,fd00:244::/32"];
    let world = World::serving_with(&pods, &[(&with, &[HERE, THERE])]);
    world.check(&with, PEER_AT_A_FOREIGN_NODE_PORT);
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn outside_clients_get_servers_of_the_node_or_no_answer_and_inside_clients_get_all() {
    let (with, without) = (local("with", 62), local("without", 63));
    let world = World::serving(&[(&with, &[HERE, THERE]), (&without, &[THERE])]);
    world.check_all(&[(&with, WITH_A_SERVER_HERE), (&without, WITHOUT)]);
    let _daemon = world.daemon_on(2, &[]);
    world.check(&with, PEER_ON_ITS_NODE);
}

/// The daemon is told how pods come to the node, not from which networks.
#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn pods_can_be_told_by_their_interfaces() {
    let with = local("with", 62);
    let by_prefix =
        ["--detect-local-mode=InterfaceNamePrefix", "--pod-interface-name-prefix", "pod"];
    let world = World::serving_with(&by_prefix, &[(&with, &[HERE, THERE])]);
    world.check(&with, WITH_A_SERVER_HERE);
    drop(world);
    let by_name = ["--detect-local-mode=BridgeInterface", "--pod-bridge-interface", "pod20"];
    let world = World::serving_with(&by_name, &[(&with, &[HERE, THERE])]);
    world.check(
        &with,
        "outside -> NodePort: here saw outside
        pod     -> NodePort: here saw pod, there saw pod
        pod     -> ClusterIP: here saw pod, there saw pod
        outside -> ClusterIP: here saw gateway, there saw node",
    );
}
