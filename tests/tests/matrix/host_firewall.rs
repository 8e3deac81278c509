//! A node whose packet filter drops whatever no rule accepts. Services are served there all the
//! same; what is not theirs is not.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use proxy_core::Family;
use tests::lab::{Application, Server, Transport, iptables};

use crate::cluster_policy;
use crate::local_policy;
use crate::source_ranges;
use crate::table::Who;
use crate::world::{HERE, THERE, World};

/// For a health check; the proxy itself answers it.
const WAIT: Duration = Duration::from_secs(5);

/// Nothing is let in or through, save what IPv6 cannot do without.
fn drop_by_default(world: &World) {
    let node = &world.node().namespace;
    for family in Family::ALL {
        iptables(node, family, "-P INPUT DROP");
        iptables(node, family, "-P FORWARD DROP");
    }
    for kind in ["neighbour-solicitation", "neighbour-advertisement"] {
        let rule = format!("-A INPUT -p ipv6-icmp --icmpv6-type {kind} -j ACCEPT");
        iptables(node, Family::Ipv6, &rule);
    }
}

const GUARDED: &str = "
    outside   -> LoadBalancer, NodePort: here saw gateway
    pod, node -> LoadBalancer: no answer
";

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_node_that_drops_by_default_serves_whom_it_would_serve_otherwise() {
    let web = Application::everywhere("web", 68);
    let local = local_policy::local("local", 69);
    let guarded = source_ranges::guarded(70, source_ranges::OUTSIDE);
    let everywhere = &[HERE, THERE][..];
    let world = World::serving(&[(&web, everywhere), (&local, everywhere), (&guarded, &[HERE])]);
    drop_by_default(&world);
    world.check_all(&[
        (&web, cluster_policy::CLUSTER_IP),
        (&web, cluster_policy::MASQUERADED),
        (&local, local_policy::WITH_A_SERVER_HERE),
        (&guarded, GUARDED),
    ]);
}

const EVERYBODY_IS_REFUSED: &str =
    "pod, node, outside -> ClusterIP, ExternalIP, LoadBalancer, NodePort: refused";

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_node_that_drops_by_default_refuses_where_nobody_serves_and_lets_in_health_checks_alone() {
    let local = local_policy::local("local", 62);
    let world = World::serving(&[(&local, &[])]);
    let _host = Server::start(&world.node().namespace, "host", 9999);
    drop_by_default(&world);
    let telling = [Transport::Tcp, Transport::Udp];
    world.check_over(&telling, &[(&local, EVERYBODY_IS_REFUSED)]);
    for address in ["192.168.50.11", "fd00:50::11"] {
        let at = |port| SocketAddr::new(address.parse().unwrap(), port);
        let outside = world.namespace(Who::Outside);
        let health = outside.enter(move || TcpStream::connect_timeout(&at(32_062), WAIT).is_ok());
        assert!(health, "{address}");
        let host = world.outcome(Who::Outside, at(9999), Transport::Tcp);
        assert_eq!(host, ["no answer"], "{address}");
    }
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn what_a_rule_of_the_node_drops_is_dropped_for_services_too() {
    let web = Application::everywhere("web", 69);
    let world = World::new();
    let node = &world.node().namespace;
    iptables(node, Family::Ipv4, "-A INPUT -s 203.0.113.9 -j DROP");
    iptables(node, Family::Ipv6, "-A INPUT -s 2001:db8:9::9 -j DROP");
    let world = world.serve(&[], &[(&web, &[HERE])]);
    world.check(&web, "pod -> ExternalIP, LoadBalancer, NodePort: here saw gateway");
    world.check_unexplained(
        &web,
        "outside -> ClusterIP, ExternalIP, LoadBalancer, NodePort: no answer",
    );
}
