//! Nodes with pods behind them, and a client outside, on one fabric.
//!
//! | who | IPv4 | IPv6 |
//! |---|---|---|
//! | node N | 192.168.50.(10+N) | `fd00:50::(10+N)` |
//! | pods of node N | 10.244.N.0/24 | `fd00:244:N::/64` |
//! | the client outside | 203.0.113.9 | `2001:db8:9::9` |
//!
//! The client has no route to pods, and reaches cluster IPs (10.96.0.0/16, `fd00:96::/112`)
//! through node 1: only a masqueraded connection gets its replies.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Namespace;

/// The whole cluster.
#[derive(Debug)]
pub struct Cluster {
    /// Where all of them are plugged in.
    fabric: Namespace,
    /// The nodes; the first has number 1.
    pub nodes: Vec<Node>,
    /// The client outside.
    pub client: Namespace,
}

/// A node: a namespace with an address on the fabric, and a link to each of its pods.
#[derive(Debug)]
pub struct Node {
    /// From 1.
    pub number: u8,
    /// As manifests call it: `node-N`.
    pub name: String,
    /// Where it lives.
    pub namespace: Namespace,
}

/// A pod: a namespace behind a link of its own to its node, so that all it sends is routed there.
#[derive(Debug)]
pub struct Pod {
    /// As its server calls itself.
    pub name: String,
    /// Its IPv4 address.
    pub ipv4: Ipv4Addr,
    /// Its IPv6 address.
    pub ipv6: Ipv6Addr,
    /// Where it lives.
    pub namespace: Namespace,
}

impl Cluster {
    /// A cluster of `nodes` nodes without pods.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn new(nodes: u8) -> Self {
        let fabric = Namespace::new("fabric");
        fabric.ip("link add br0 type bridge\nlink set br0 up\n");
        let nodes: Vec<_> = (1..=nodes).map(|number| Node::new(number, &fabric)).collect();
        for node in &nodes {
            node.namespace.ip(&routes_to_peers(node, &nodes));
        }
        let client = outsider(&fabric, 9);
        Self { fabric, nodes, client }
    }

    /// One more client outside, with .`host` in the place of the first one's .9 (decimal in IPv4,
    /// the same digits in IPv6).
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn outsider(&self, host: u8) -> Namespace {
        outsider(&self.fabric, host)
    }

    /// Node `number`, from 1.
    ///
    /// # Panics
    /// When there is no such node.
    #[must_use]
    pub fn node(&self, number: u8) -> &Node {
        &self.nodes[usize::from(number) - 1]
    }

    /// Namespace of the fabric.
    #[must_use]
    pub const fn fabric(&self) -> &Namespace {
        &self.fabric
    }
}

impl Node {
    fn new(number: u8, fabric: &Namespace) -> Self {
        let namespace = Namespace::new(&format!("node{number}"));
        plug(fabric, &namespace, "eth0", &format!("node{number}"));
        let host = 10 + u16::from(number);
        namespace.ip(&format!(
            "addr add 192.168.50.{host}/24 dev eth0
            addr add fd00:50::{host}/64 dev eth0 nodad
            route add 203.0.113.0/24 dev eth0
            route add 2001:db8:9::/64 dev eth0
            link add cni0 type dummy
            link set cni0 up
            addr add 10.244.{number}.1/32 dev cni0
            addr add fd00:244:{number}::1/128 dev cni0 nodad",
        ));
        namespace.sysctl("net.ipv4.ip_forward", "1");
        namespace.sysctl("net.ipv6.conf.all.forwarding", "1");
        Self { number, name: format!("node-{number}"), namespace }
    }

    /// Its IPv4 address on the fabric.
    #[must_use]
    pub const fn ipv4(&self) -> Ipv4Addr {
        Ipv4Addr::new(192, 168, 50, 10 + self.number)
    }

    /// Its address on the fabric in the family of `peer`.
    ///
    /// # Panics
    /// Never: the text of the IPv6 address is well formed.
    #[must_use]
    pub fn address_for(&self, peer: IpAddr) -> IpAddr {
        match peer {
            IpAddr::V4(_) => self.ipv4().into(),
            IpAddr::V6(_) => format!("fd00:50::{}", 10 + self.number).parse().expect("an address"),
        }
    }

    /// The address at its end of the links to pods in the family of `peer`: what a pod of it sees of the node.
    ///
    /// # Panics
    /// Never: the text of the IPv6 address is well formed.
    #[must_use]
    pub fn gateway_for(&self, peer: IpAddr) -> IpAddr {
        match peer {
            IpAddr::V4(_) => Ipv4Addr::new(10, 244, self.number, 1).into(),
            IpAddr::V6(_) => format!("fd00:244:{}::1", self.number).parse().expect("an address"),
        }
    }

    /// Starts a pod with address .`host` (decimal in IPv4, the same digits in IPv6).
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn pod(&self, name: &str, host: u8) -> Pod {
        let number = self.number;
        let namespace = Namespace::new("pod");
        let port = format!("pod{host}");
        let ipv4 = Ipv4Addr::new(10, 244, number, host);
        let ipv6: Ipv6Addr = format!("fd00:244:{number}::{host}").parse().expect("an address");
        self.namespace.ip(&format!(
            "link add {port} type veth peer name eth0 netns {}
            addr add 10.244.{number}.1/32 dev {port}
            addr add fd00:244:{number}::1/128 dev {port} nodad
            link set {port} up
            route add {ipv4}/32 dev {port}
            route add {ipv6}/128 dev {port}",
            namespace.name()
        ));
        namespace.ip(&format!(
            "link set eth0 up
            addr add {ipv4}/32 dev eth0
            addr add {ipv6}/128 dev eth0 nodad
            route add 10.244.{number}.1 dev eth0
            route add default via 10.244.{number}.1
            route add fd00:244:{number}::1 dev eth0
            route add default via fd00:244:{number}::1 dev eth0"
        ));
        Pod { name: name.to_owned(), ipv4, ipv6, namespace }
    }
}

impl Pod {
    /// Its address in the family of `peer`.
    #[must_use]
    pub const fn address_for(&self, peer: IpAddr) -> IpAddr {
        match peer {
            IpAddr::V4(_) => IpAddr::V4(self.ipv4),
            IpAddr::V6(_) => IpAddr::V6(self.ipv6),
        }
    }
}

fn outsider(fabric: &Namespace, host: u8) -> Namespace {
    let client = Namespace::new("client");
    plug(fabric, &client, "eth0", &format!("outside{host}"));
    client.ip(&format!(
        "addr add 203.0.113.{host}/24 dev eth0
        addr add 2001:db8:9::{host}/64 dev eth0 nodad
        route add 192.168.50.0/24 dev eth0
        route add fd00:50::/64 dev eth0
        route add 10.96.0.0/16 via 192.168.50.11
        route add fd00:96::/112 via fd00:50::11"
    ));
    client
}

/// Joins a namespace to the bridge of the fabric.
fn plug(fabric: &Namespace, namespace: &Namespace, device: &str, port: &str) {
    fabric.ip(&format!(
        "link add {port} type veth peer name {device} netns {}
        link set {port} master br0 up",
        namespace.name()
    ));
    namespace.ip(&format!("link set {device} up"));
}

fn routes_to_peers(node: &Node, nodes: &[Node]) -> String {
    let peers = nodes.iter().filter(|peer| peer.number != node.number);
    let route = |peer: &Node| {
        let (number, host) = (peer.number, 10 + peer.number);
        format!(
            "route add 10.244.{number}.0/24 via 192.168.50.{host}
            route add fd00:244:{number}::/64 via fd00:50::{host}\n"
        )
    };
    peers.map(route).collect()
}
