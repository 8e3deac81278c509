//! Addresses for those who are only said to be somewhere: a pod, a client outside.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use anyhow::Context;
use ipnet::IpNet;
use ipvs_backend::IpvsConfig;
use ipvs_backend::explain::Client;
use ipvs_backend::rules::Detector;
use proxy_core::{Endpoint, Event, Family, Node};

use super::subject::Who;

/// What is known of where addresses are.
pub(super) struct Cast {
    node_name: String,
    nodes: Vec<Arc<Node>>,
    /// Address and node of every endpoint.
    endpoints: Vec<(IpAddr, Option<String>)>,
    /// Addresses of this node.
    own: Vec<IpAddr>,
    /// Addresses that somebody has.
    taken: BTreeSet<IpAddr>,
    detector: Detector,
}

impl Cast {
    pub(super) fn new(
        node_name: &str,
        events: &[Event],
        own: Vec<IpAddr>,
        config: &IpvsConfig,
    ) -> Self {
        let mut nodes: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                Event::Node(node) => Some(node.clone()),
                _ => None,
            })
            .collect();
        nodes.sort_unstable_by(|one, two| one.name.cmp(&two.name));
        let endpoint =
            |endpoint: &Endpoint| (endpoint.address, endpoint.node.as_deref().map(str::to_owned));
        let of_event = |event: &Event| match event {
            Event::Slice(slice) => slice.endpoints.iter().map(endpoint).collect(),
            _ => Vec::new(),
        };
        let endpoints: Vec<_> = events.iter().flat_map(of_event).collect();
        let of_services = events.iter().flat_map(|event| match event {
            Event::Service(service) => {
                [&service.external_ips[..], &service.load_balancer_ips].concat()
            }
            _ => Vec::new(),
        });
        let taken = endpoints.iter().map(|(address, _)| *address).chain(own.iter().copied());
        let of_nodes = nodes.iter().flat_map(|node| node.addresses.iter().copied());
        let taken = taken.chain(of_nodes).chain(of_services).collect();
        let (node_name, detector) = (node_name.to_owned(), config.rules.detector.clone());
        Self { node_name, nodes, endpoints, own, taken, detector }
    }

    /// A client of `family`, as its packet comes to this node.
    pub(super) fn client(&self, who: &Who, family: Family) -> anyhow::Result<Client> {
        let other = |address| Client::Other { address, interface: None };
        Ok(match who {
            Who::Node => Client::ThisNode,
            Who::Address(address, _) if Family::of(*address) != family => {
                anyhow::bail!("{address} cannot call an {family} address; give one of that family")
            }
            Who::Address(address, None) if self.own.contains(address) => Client::ThisNode,
            Who::Address(address, None) if self.is_of_this_node(*address) => self.pod(*address),
            Who::Address(address, interface) => {
                Client::Other { address: *address, interface: interface.clone() }
            }
            Who::Pod => {
                let address = self.pod_address(family, |name| *name == *self.node_name);
                self.pod(address.with_context(|| no_pod(family, "this node"))?)
            }
            Who::RemotePod => {
                let address = self.pod_address(family, |name| *name != *self.node_name);
                other(address.with_context(|| no_pod(family, "another node"))?)
            }
            Who::Outside => other(self.outside(family)),
        })
    }

    /// A pod of this node comes through an interface as pods do.
    fn pod(&self, address: IpAddr) -> Client {
        let interface = match &self.detector {
            Detector::Interface(name) => Some(name.trim_end_matches('+').to_owned()),
            Detector::Networks { .. } | Detector::Unknown => None,
        };
        Client::Other { address, interface }
    }

    fn is_of_this_node(&self, address: IpAddr) -> bool {
        let has = |(other, node): &(IpAddr, Option<String>)| {
            *other == address && node.as_deref() == Some(&self.node_name)
        };
        self.networks(|name| *name == *self.node_name).any(|it| it.contains(&address))
            || self.endpoints.iter().any(has)
    }

    /// Of a pod on a node whose name is right: one that no server has, else a server's.
    fn pod_address(
        &self,
        family: Family,
        is_there: impl Fn(&str) -> bool + Copy,
    ) -> Option<IpAddr> {
        let is_of_family = |address: &IpAddr| Family::of(*address) == family;
        let free = self
            .networks(is_there)
            .filter(|network| is_of_family(&network.addr()))
            .find_map(|network| self.free(network));
        let mut servers = self.endpoints.iter().filter(|(address, node)| {
            is_of_family(address) && node.as_deref().is_some_and(is_there)
        });
        free.or_else(|| servers.next().map(|(address, _)| *address))
    }

    /// The pod networks of nodes whose names are right.
    fn networks(&self, is_there: impl Fn(&str) -> bool) -> impl Iterator<Item = IpNet> {
        let nodes = self.nodes.iter().filter(move |node| is_there(&node.name));
        nodes.flat_map(|node| node.pod_cidrs.iter().copied())
    }

    /// The first address of a network that nobody has; the very first are gateways'.
    fn free(&self, network: IpNet) -> Option<IpAddr> {
        network.hosts().skip(1).find(|address| !self.taken.contains(address))
    }

    /// From networks for documentation (RFC 5737, RFC 3849): nobody's.
    fn outside(&self, family: Family) -> IpAddr {
        let host = |number: u8| -> IpAddr {
            match family {
                Family::Ipv4 => Ipv4Addr::new(203, 0, 113, number).into(),
                Family::Ipv6 => {
                    Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, number.into()).into()
                }
            }
        };
        let free = (1..255).map(host).find(|address| !self.taken.contains(address));
        free.unwrap_or_else(|| host(1))
    }
}

fn no_pod(family: Family, place: &str) -> String {
    format!(
        "no {family} pod of {place} is known: neither a Node object's podCIDRs nor an endpoint \
         tells one; give its address"
    )
}
