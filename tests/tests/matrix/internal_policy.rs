//! Cluster IPs of Services with `internalTrafficPolicy: Local`.

use tests::lab::Application;

use crate::world::{HERE, THERE, World};

fn local(name: &str, number: u8) -> Application {
    Application::everywhere(name, number).spec("internalTrafficPolicy: Local")
}

const WITH_A_SERVER_HERE: &str = "
    pod                 -> ClusterIP: here saw pod
    here, node, outside -> ClusterIP: here saw gateway
    peer                -> ClusterIP: there saw peer
    pod, node, outside  -> ExternalIP, LoadBalancer, NodePort: here saw gateway, there saw node
";

const WITHOUT: &str = "
    pod, node, outside -> ClusterIP: no answer
    pod, node, outside -> ExternalIP, LoadBalancer, NodePort: there saw node
";

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_cluster_ip_leads_to_servers_of_the_node_or_is_silent_and_other_frontends_lead_to_all() {
    let (with, without) = (local("with", 61), local("without", 62));
    let world = World::serving(&[(&with, &[HERE, THERE]), (&without, &[THERE])]);
    let _daemon = world.daemon_on(2, &[]);
    world.check_all(&[(&with, WITH_A_SERVER_HERE), (&without, WITHOUT)]);
}
