//! Beside rules and virtual servers of other software.

use proxy_core::Family;
use tests::lab::{Application, InProcess, Server, Transport, iptables};

use crate::cluster_policy;
use crate::table::Who;
use crate::world::{HERE, THERE, World};

/// What a network plugin does for a pod with a `hostPort`.
fn forward_port_80_to_a_pod(world: &World) {
    for (family, pod) in [(Family::Ipv4, "10.244.1.20"), (Family::Ipv6, "[fd00:244:1::20]")] {
        for chain in ["PREROUTING", "OUTPUT"] {
            let rule = format!(
                "-t nat -A {chain} -p tcp --dport 80 -m addrtype --dst-type LOCAL \
                 -j DNAT --to-destination {pod}:8080"
            );
            iptables(&world.node().namespace, family, &rule);
        }
    }
}

/// The pod that has the host port is no client here.
const CLUSTER_IP: &str = "
    here          -> ClusterIP: here saw gateway, there saw here
    node, outside -> ClusterIP: here saw gateway, there saw node
";

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_host_port_with_the_number_of_a_service_takes_the_nodes_address_and_no_service() {
    let web = Application::everywhere("web", 70);
    let world = World::serving(&[(&web, &[HERE, THERE])]);
    let _server = Server::start(&world.pod.namespace, "hostport", 8080);
    forward_port_80_to_a_pod(&world);
    world.check_all(&[(&web, CLUSTER_IP), (&web, cluster_policy::MASQUERADED)]);
    for address in ["192.168.50.11", "fd00:50::11"] {
        let at_node = (address.parse::<std::net::IpAddr>().unwrap(), 80).into();
        let got = world.outcome(Who::Outside, at_node, Transport::Tcp);
        assert_eq!(got, ["hostport saw outside"], "{address}");
    }
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_virtual_server_in_an_excluded_network_serves_on_although_it_looks_like_ours() {
    let world = World::new();
    let node = &world.node().namespace;
    let virtual_server = |address: &str| {
        node.ip(&format!("addr add {address}/32 dev lo"));
        let service = format!("{address}:80");
        let here = format!("{}:8080", world.here.ipv4);
        let _ = node.exec("ipvsadm", &["-A", "-t", &service, "-s", "rr"]);
        let _ = node.exec("ipvsadm", &["-a", "-t", &service, "-r", &here, "-m"]);
        let member = format!("{address},tcp:80");
        let _ = node.exec("ipset", &["add", "KUBE-CLUSTER-IP", &member]);
    };
    let _ = node.exec("ipset", &["create", "KUBE-CLUSTER-IP", "hash:ip,port"]);
    let [kept, stale] = ["10.96.7.1", "10.96.9.1"];
    [kept, stale].into_iter().for_each(virtual_server);
    let served = |address: &str| {
        world.outcome(Who::Pod, format!("{address}:80").parse().unwrap(), Transport::Tcp)
    };
    assert_eq!([served(kept), served(stale)], [["here saw pod"], ["here saw pod"]]);
    node.enter(|| {
        InProcess::open_excluding(&["10.96.7.0/24"]).resync();
    });
    assert_eq!([served(kept), served(stale)], [["here saw pod"], ["refused"]]);
}
