//! The node itself behind the addresses of Services: what of it can be reached there, and what not.

use std::net::{IpAddr, SocketAddr};

use proxy_core::{Family, FrontendKind};
use tests::lab::{Application, Client, KernelState, Server, Transport};

use crate::table::Who;
use crate::world::{HERE, THERE, World};

const VIRTUAL: [FrontendKind; 3] =
    [FrontendKind::ClusterIp, FrontendKind::ExternalIp, FrontendKind::LoadBalancer];

const EVERYBODY: [Who; 3] = [Who::Pod, Who::Node, Who::Outside];

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn only_ports_of_the_service_and_ping_are_at_its_addresses() {
    let web = Application::everywhere("web", 65);
    let world = World::serving(&[(&web, &[HERE])]);
    let _daemon_of_the_host = Server::start(&world.node().namespace, "host", 9999);
    for address in virtual_addresses(&world, &web) {
        for who in EVERYBODY {
            for (port, transport) in
                [(9999, Transport::Tcp), (9999, Transport::Udp), (81, Transport::Tcp)]
            {
                let got = world.outcome(who, (address, port).into(), transport);
                assert_eq!(got, ["refused"], "{who} to {address} port {port} over {transport:?}");
            }
            let address = address.to_string();
            let ping = world.namespace(who).exec("ping", &["-c", "1", "-W", "2", &address]);
            assert!(ping.contains("1 received"), "{who}: {ping}");
        }
        let at_node = SocketAddr::new(world.node().address_for(address), 9999);
        for who in EVERYBODY {
            let answer = Client::in_namespace(world.namespace(who)).ask(at_node, Transport::Tcp);
            assert_eq!(answer.unwrap().server, "host", "{who} to {at_node}");
        }
    }
}

fn virtual_addresses(world: &World, service: &Application) -> Vec<IpAddr> {
    let of = |kind| Family::ALL.map(|family| service.target(kind, family, world.node()).ip());
    VIRTUAL.into_iter().flat_map(of).collect()
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn an_external_ip_that_is_the_nodes_own_is_served_and_not_bound() {
    let web = Application::everywhere("web", 66).external_ips(&["192.168.50.11", "fd00:50::11"]);
    let world = World::serving(&[(&web, &[HERE, THERE])]);
    let _daemon_of_the_host = Server::start(&world.node().namespace, "host", 9999);
    world.check(&web, "pod, peer, node, outside -> ExternalIP: here saw gateway, there saw node");
    let routes = KernelState::of(&world.node().namespace).routes;
    assert!(!routes.iter().any(|line| line.contains("local 192.168.50.11 ")), "{routes:?}");
    assert!(!routes.iter().any(|line| line.contains("local fd00:50::11 ")), "{routes:?}");
    for who in EVERYBODY {
        let at_node = "192.168.50.11:9999".parse().unwrap();
        let answer = Client::in_namespace(world.namespace(who)).ask(at_node, Transport::Tcp);
        assert_eq!(answer.unwrap().server, "host", "{who}");
    }
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_node_port_is_at_every_address_of_the_node_but_not_at_loopback_or_at_virtual_addresses() {
    let web = Application::everywhere("web", 67);
    let world = World::serving(&[(&web, &[HERE])]);
    let ask = |who, address: IpAddr| world.outcome(who, (address, 30067).into(), Transport::Tcp);
    for address in ["192.168.50.11", "10.244.1.1", "fd00:50::11", "fd00:244:1::1"] {
        let got = ask(Who::Pod, address.parse().unwrap());
        assert_eq!(got, ["here saw gateway"], "{address}");
    }
    for address in ["127.0.0.1", "::1"] {
        assert_eq!(ask(Who::Node, address.parse().unwrap()), ["refused"], "{address}");
    }
    for address in virtual_addresses(&world, &web) {
        for who in EVERYBODY {
            assert_eq!(ask(who, address), ["refused"], "{who} to {address}");
        }
    }
}
