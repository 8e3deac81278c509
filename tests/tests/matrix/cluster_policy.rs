//! Services with the policy `Cluster` for clients of every kind, the default.

use tests::lab::Application;

use crate::world::{HERE, THERE, World};

pub(crate) const CLUSTER_IP: &str = "
    pod           -> ClusterIP: here saw pod, there saw pod
    here          -> ClusterIP: here saw gateway, there saw here
    node, outside -> ClusterIP: here saw gateway, there saw node
";

/// Every client has the address of the node that it came to.
pub(crate) const MASQUERADED: &str = "
    pod, peer, node, outside -> ExternalIP, LoadBalancer, NodePort: here saw gateway, there saw node
    here                     -> ExternalIP, LoadBalancer, NodePort: here saw gateway, there saw node
";

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn every_client_gets_every_server_by_every_frontend() {
    let web = Application::everywhere("web", 60);
    let world = World::serving(&[(&web, &[HERE, THERE])]);
    world.check_all(&[(&web, CLUSTER_IP), (&web, MASQUERADED)]);
    let _daemon = world.daemon_on(2, &[]);
    world.check(&web, "peer -> ClusterIP: here saw peer, there saw peer");
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn with_masquerade_all_nobody_keeps_his_address() {
    let web = Application::everywhere("web", 60);
    let world = World::serving_with(&["--masquerade-all"], &[(&web, &[HERE, THERE])]);
    let cluster_ip = "pod, here, node, outside -> ClusterIP: here saw gateway, there saw node";
    world.check_all(&[(&web, cluster_ip), (&web, MASQUERADED)]);
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn it_is_the_same_where_virtual_addresses_are_addresses_of_a_device() {
    let web = Application::everywhere("web", 60);
    let world = World::serving_with(&["--binding", "address"], &[(&web, &[HERE, THERE])]);
    world.check_all(&[(&web, CLUSTER_IP), (&web, MASQUERADED)]);
}
