//! What a node must know of itself, decided from its Node object and its interfaces. Pure.

use std::net::IpAddr;
use std::sync::Arc;

use ipvs_backend::NodeIps;
use ipvs_backend::rules::Detector;
use proxy_core::{Family, Node};
use serde::{Deserialize, Serialize};

use crate::config::{DetectLocal, NodePortAddresses};

/// An address that an interface of this node has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) interface: String,
    pub(crate) address: IpAddr,
}

/// What is known of this node, and what follows from it.
#[derive(Debug)]
pub(crate) struct NodeFacts {
    given: Vec<IpAddr>,
    node: Option<Arc<Node>>,
    held: Vec<Held>,
    node_ips: NodeIps,
    node_ports: NodePortAddresses,
    detect_local: DetectLocal,
}

/// How pods are told from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pods {
    /// Pods from clients outside the cluster.
    pub(crate) detector: Detector,
    /// Pods of this node from those of others.
    pub(crate) own: Detector,
}

impl NodeFacts {
    /// With the node IPs that were given, the Node object, and the addresses of interfaces.
    pub(crate) fn new(given: Vec<IpAddr>, node: Option<Arc<Node>>, held: Vec<Held>) -> Self {
        let node_ips = node_ips(&given, node.as_deref(), &held, NodeIps::default());
        let detect_local = DetectLocal::NodeCidr;
        Self { given, node, held, node_ips, node_ports: NodePortAddresses::All, detect_local }
    }

    /// Node ports are served where `node_ports` says, and pods told as `detect_local` says.
    pub(crate) fn reconfigure(&mut self, node_ports: NodePortAddresses, detect_local: DetectLocal) {
        (self.node_ports, self.detect_local) = (node_ports, detect_local);
    }

    /// How pods are told from others.
    pub(crate) fn pods(&self) -> Pods {
        let own = pod_networks(self.node.as_deref());
        Pods { detector: detector(&self.detect_local, &own), own }
    }

    /// The source address of the node's own connections to virtual servers.
    pub(crate) const fn node_ips(&self) -> NodeIps {
        self.node_ips
    }

    /// Addresses on which node ports are served.
    pub(crate) fn node_port_addresses(&self) -> Vec<IpAddr> {
        Family::ALL
            .into_iter()
            .flat_map(|family| {
                node_port_addresses(family, &self.held, &self.node_ports, self.node_ips)
            })
            .collect()
    }

    /// The addresses of its interfaces.
    pub(crate) fn held(&self) -> &[Held] {
        &self.held
    }

    /// Every address of this node's own, loopback ones included.
    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        own_addresses(&self.held).collect()
    }

    /// Whether this machine is `node`: an interface has one of its addresses, or it has none.
    pub(crate) fn is_of(&self, node: &Node) -> bool {
        let has = |address: &IpAddr| self.held.iter().any(|held| held.address == *address);
        node.addresses.is_empty() || node.addresses.iter().any(has)
    }

    /// Takes this machine for `node`, whose interfaces are known by its Node object alone.
    pub(crate) fn take_for(&mut self, node: &Node) {
        let held = |address: &IpAddr| Held { interface: String::new(), address: *address };
        self.set_held(node.addresses.iter().map(held).collect());
    }

    /// The Node object changed. Whether the node IPs did.
    pub(crate) fn set_node(&mut self, node: Arc<Node>) -> bool {
        self.node = Some(node);
        self.decide()
    }

    /// The addresses of interfaces changed. Whether the node IPs did.
    pub(crate) fn set_held(&mut self, held: Vec<Held>) -> bool {
        self.held = held;
        self.decide()
    }

    fn decide(&mut self) -> bool {
        let before = self.node_ips;
        self.node_ips = node_ips(&self.given, self.node.as_deref(), &self.held, before);
        self.node_ips != before
    }
}

/// The source address of the node's own connections to virtual servers, for each family:
/// 1. one that was given, if an interface has it or not: whoever gave it knows;
/// 2. else the first address of the Node object that an interface has;
/// 3. else the one used so far, if an interface has it still;
/// 4. else the first address of an interface that other hosts can reach.
fn node_ips(given: &[IpAddr], node: Option<&Node>, held: &[Held], so_far: NodeIps) -> NodeIps {
    let of = |family: Family| {
        let is_of = |address: &IpAddr| Family::of(*address) == family;
        let has = |address: &IpAddr| held.iter().any(|held| held.address == *address);
        let from_node = node.into_iter().flat_map(|node| node.addresses.iter().copied());
        given.iter().copied().find(is_of).or_else(|| {
            let reachable = reachable_addresses(held);
            let known = from_node.filter(is_of).chain(so_far.of(family)).find(has);
            known.or_else(|| reachable.into_iter().find(is_of))
        })
    };
    NodeIps { ipv4: of(Family::Ipv4), ipv6: of(Family::Ipv6) }
}

/// Addresses of a family on which node ports are served:
/// - everywhere, or with networks of which none is of the family, or one of them is all of it: every
///   address that other hosts can reach;
/// - with networks of the family: the addresses in them, save loopback ones;
/// - on the primary address: the node IP, or every address of the family if there is none.
///
/// Never those on the device of virtual servers.
fn node_port_addresses(
    family: Family,
    held: &[Held],
    choice: &NodePortAddresses,
    node_ips: NodeIps,
) -> Vec<IpAddr> {
    let is_of_family = |address: &IpAddr| Family::of(*address) == family;
    let reachable = || reachable_addresses(held).into_iter().filter(is_of_family).collect();
    match choice {
        NodePortAddresses::All => reachable(),
        NodePortAddresses::Primary => node_ips.of(family).map_or_else(reachable, |ip| vec![ip]),
        NodePortAddresses::Cidrs(networks) => {
            let networks: Vec<_> =
                networks.iter().filter(|network| is_of_family(&network.addr())).collect();
            if networks.iter().all(|network| network.prefix_len() > 0) && !networks.is_empty() {
                let is_inside =
                    |address: &IpAddr| networks.iter().any(|network| network.contains(address));
                own_addresses(held).filter(|ip| !ip.is_loopback() && is_inside(ip)).collect()
            } else {
                reachable()
            }
        }
    }
}

/// What other hosts can reach: no loopback or link-local addresses.
fn reachable_addresses(held: &[Held]) -> Vec<IpAddr> {
    own_addresses(held).filter(|ip| ipvs_backend::observe::is_node_address(*ip)).collect()
}

/// All that interfaces have, save the device of virtual servers.
fn own_addresses(held: &[Held]) -> impl Iterator<Item = IpAddr> {
    let own = held.iter().filter(|held| held.interface != ipvs_backend::DUMMY_DEVICE);
    own.map(|held| held.address)
}

fn detector(choice: &DetectLocal, own_pods: &Detector) -> Detector {
    match choice {
        DetectLocal::ClusterCidr { ipv4: None, ipv6: None } => Detector::Unknown,
        DetectLocal::ClusterCidr { ipv4, ipv6 } => Detector::Networks { ipv4: *ipv4, ipv6: *ipv6 },
        DetectLocal::NodeCidr => own_pods.clone(),
        DetectLocal::BridgeInterface(name) => Detector::Interface(name.clone()),
        DetectLocal::InterfaceNamePrefix(prefix) => Detector::Interface(format!("{prefix}+")),
    }
}

/// How pods of a node are told from others: by the networks of its object, the first of each
/// family.
fn pod_networks(node: Option<&Node>) -> Detector {
    let of = |family: Family| {
        let mut networks = node.into_iter().flat_map(|node| node.pod_cidrs.iter().copied());
        networks.find(|network| Family::of(network.addr()) == family)
    };
    match (of(Family::Ipv4), of(Family::Ipv6)) {
        (None, None) => Detector::Unknown,
        (ipv4, ipv6) => Detector::Networks { ipv4, ipv6 },
    }
}

#[cfg(test)]
mod tests {
    use ipnet::IpNet;
    use proxy_core::Tenure;

    use super::*;

    fn held(interface: &str, address: &str) -> Held {
        Held { interface: interface.to_owned(), address: address.parse().unwrap() }
    }

    fn interfaces() -> Vec<Held> {
        vec![
            held("lo", "127.0.0.1"),
            held("lo", "::1"),
            held("eth0", "fe80::1"),
            held("eth0", "192.168.10.5"),
            held("eth0", "2001:db8::5"),
            held("eth1", "10.0.0.5"),
            held("kube-ipvs0", "10.96.0.10"),
        ]
    }

    fn node(addresses: &[&str], pod_cidrs: &[&str]) -> Node {
        Node {
            name: "n1".into(),
            zone: None,
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
            pod_cidrs: pod_cidrs.iter().map(|network| network.parse().unwrap()).collect(),
            tenure: Tenure::default(),
        }
    }

    #[track_caller]
    fn check(given: &[&str], node: Option<&Node>, ipv4: &str, ipv6: &str) {
        let given: Vec<IpAddr> = given.iter().map(|address| address.parse().unwrap()).collect();
        let address = |text: &str| text.parse().ok();
        let expected = NodeIps { ipv4: address(ipv4), ipv6: address(ipv6) };
        assert_eq!(node_ips(&given, node, &interfaces(), NodeIps::default()), expected);
    }

    #[test]
    fn the_source_address_is_given_or_the_nodes_or_an_interfaces() {
        check(&[], None, "192.168.10.5", "2001:db8::5");
        check(&[], Some(&node(&["10.0.0.5"], &[])), "10.0.0.5", "2001:db8::5");
        check(&[], Some(&node(&["203.0.113.1"], &[])), "192.168.10.5", "2001:db8::5");
        check(&["10.0.0.5"], Some(&node(&["192.168.10.5"], &[])), "10.0.0.5", "2001:db8::5");
        let none = NodeIps::default();
        assert_eq!(node_ips(&[], None, &[held("lo", "127.0.0.1")], none), none);
    }

    #[test]
    fn the_source_address_follows_the_interfaces_and_the_node_and_stays_where_it_can() {
        let ips = |ipv4: &str| NodeIps { ipv4: ipv4.parse().ok(), ipv6: None };
        let mut facts = NodeFacts::new(vec![], None, vec![held("eth0", "192.168.10.5")]);
        assert_eq!(facts.node_ips(), ips("192.168.10.5"));
        let newer = [held("eth0", "192.168.10.4"), held("eth0", "192.168.10.5")];
        assert!(!facts.set_held(newer.to_vec()));
        assert!(facts.set_held(newer[..1].to_vec()));
        assert_eq!(facts.node_ips(), ips("192.168.10.4"));
        assert!(!facts.set_held(newer.to_vec()));
        assert!(facts.set_node(Arc::new(node(&["192.168.10.5"], &[]))));
        assert_eq!(facts.node_ips(), ips("192.168.10.5"));
        assert!(facts.set_held(vec![]));
        assert_eq!(facts.node_ips(), NodeIps::default());
    }

    /// The examples of kube-proxy's documentation, save that addresses of Services never count.
    #[track_caller]
    fn check_node_ports(choice: NodePortAddresses, primary: [&str; 2], expected: &[&str]) {
        let held = [
            held("lo", "127.0.0.1"),
            held("lo", "::1"),
            held("eth0", "192.168.10.5"),
            held("eth0", "2001:db8::5"),
            held("eth0", "fe80::1"),
            held("eth1", "10.0.0.5"),
            held("docker0", "172.17.0.1"),
            held("kube-ipvs0", "10.96.0.10"),
            held("kube-ipvs0", "192.168.10.99"),
        ];
        let [ipv4, ipv6] = primary.map(|text| text.parse().ok());
        let facts = NodeFacts {
            given: Vec::new(),
            node: None,
            held: held.to_vec(),
            node_ips: NodeIps { ipv4, ipv6 },
            node_ports: choice,
            detect_local: DetectLocal::NodeCidr,
        };
        let expected: Vec<IpAddr> = expected.iter().map(|text| text.parse().unwrap()).collect();
        assert_eq!(facts.node_port_addresses(), expected);
    }

    #[test]
    fn node_ports_are_served_on_the_chosen_addresses() {
        let cidrs = |list: &[&str]| {
            NodePortAddresses::Cidrs(list.iter().map(|text| text.parse().unwrap()).collect())
        };
        let none = ["", ""];
        let all4 = ["192.168.10.5", "10.0.0.5", "172.17.0.1"];
        let all = [&all4[..], &["2001:db8::5"]].concat();
        check_node_ports(NodePortAddresses::All, none, &all);
        check_node_ports(cidrs(&["192.168.10.0/24"]), none, &["192.168.10.5", "2001:db8::5"]);
        check_node_ports(cidrs(&["10.0.0.0/8"]), none, &["10.0.0.5", "2001:db8::5"]);
        check_node_ports(cidrs(&["127.0.0.0/8"]), none, &["2001:db8::5"]);
        check_node_ports(cidrs(&["192.168.10.0/24", "0.0.0.0/0"]), none, &all);
        check_node_ports(cidrs(&["::/0"]), none, &all);
        check_node_ports(cidrs(&["fe80::/10"]), none, &[&all4[..], &["fe80::1"]].concat());
        check_node_ports(cidrs(&["192.168.11.0/24"]), none, &["2001:db8::5"]);
        let primary = || NodePortAddresses::Primary;
        let both = ["192.168.10.5", "2001:db8::5"];
        check_node_ports(primary(), both, &both);
        check_node_ports(primary(), ["192.168.10.5", ""], &both);
    }

    #[test]
    fn pods_are_told_as_the_configuration_says() {
        let network = |text: &str| -> Option<IpNet> { text.parse().ok() };
        let node = node(&[], &["10.244.1.0/24", "10.244.9.0/24", "fd00:244:1::/64"]);
        let ipv4 = network("10.244.1.0/24");
        let ipv6 = network("fd00:244:1::/64");
        let own = Detector::Networks { ipv4, ipv6 };
        let check = |node: Option<&Node>, choice, expected, expected_own: &Detector| {
            let mut facts = NodeFacts::new(vec![], node.cloned().map(Arc::new), vec![]);
            facts.reconfigure(NodePortAddresses::All, choice);
            let pods = facts.pods();
            assert_eq!(pods, Pods { detector: expected, own: expected_own.clone() });
        };
        let (node, none) = (Some(&node), Detector::Unknown);
        check(node, DetectLocal::NodeCidr, own.clone(), &own);
        check(None, DetectLocal::NodeCidr, Detector::Unknown, &none);
        let cluster = DetectLocal::ClusterCidr { ipv4: network("10.0.0.0/8"), ipv6: None };
        let expected = Detector::Networks { ipv4: network("10.0.0.0/8"), ipv6: None };
        check(node, cluster, expected, &own);
        // Whoever did not say where pods are may have them anywhere.
        let nowhere = DetectLocal::ClusterCidr { ipv4: None, ipv6: None };
        check(node, nowhere, Detector::Unknown, &own);
        let bridge = DetectLocal::BridgeInterface("cni0".to_owned());
        check(node, bridge, Detector::Interface("cni0".to_owned()), &own);
        let prefix = DetectLocal::InterfaceNamePrefix("veth".to_owned());
        check(node, prefix, Detector::Interface("veth+".to_owned()), &own);
    }
}
