//! Whether a packet matches the conditions of a rule.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use proxy_core::{Family, Protocol};

use super::DataPlane;
use crate::netlink::ipset::{Entry, Network, SetKind};
use crate::rules::{Match, Side};
use crate::set::SetId;

/// A packet on its way. What rules can ask of it and change about it.
#[derive(Clone, Debug)]
pub(super) struct Flow {
    pub(super) protocol: Protocol,
    pub(super) source: Option<IpAddr>,
    /// None for what this node sends, and where it is not known.
    pub(super) interface: Option<String>,
    pub(super) destination: SocketAddr,
    /// Whether a rule, not IPVS, has changed the destination.
    pub(super) is_translated: bool,
    pub(super) mark: u32,
}

impl Flow {
    /// Whether a condition holds. It is a new connection's first packet, and no reply.
    pub(super) fn meets(&self, condition: &Match, plane: &DataPlane) -> bool {
        match condition {
            Match::Comment(_) | Match::New => true,
            Match::Established | Match::Reply | Match::EchoRequest(_) => false,
            Match::Source(network) => self.comes_from(network),
            Match::NotSource(network) => !self.comes_from(network),
            Match::InInterface(name) => self.comes_through(name),
            Match::NotInInterface(name) => !self.comes_through(name),
            Match::Protocol(protocol) => self.protocol == *protocol,
            Match::InSet(set, sides) => self.member(*set, sides, plane).is_some(),
            Match::NotInSet(set, sides) => self.member(*set, sides, plane).is_none(),
            Match::Marked(bits) => self.mark & bits == *bits,
            Match::NotMarked(bits) => self.mark & bits != *bits,
            Match::SentToPort(port) => {
                self.protocol == Protocol::Tcp
                    && self.destination.port() == *port
                    && self.is_translated
            }
            Match::DestinationIsLocal => plane.is_local(self.destination.ip()),
            Match::SourceIsNotLocal => !self.source.is_some_and(|source| plane.is_local(source)),
        }
    }

    /// The member of a set that these parts of the packet are.
    pub(super) fn member(&self, set: SetId, sides: &[Side], plane: &DataPlane) -> Option<Entry> {
        let set = plane.held.sets.get(&set).filter(|_| set.family == self.family())?;
        let address = |position: usize| match sides.get(position)? {
            Side::Source => self.source,
            Side::Destination => Some(self.destination.ip()),
        };
        let (protocol, port) = (self.protocol, self.destination.port());
        let has = |entry: &Entry| set.members.contains_key(entry);
        match set.spec.kind {
            SetKind::HashIp(_) => Some(Entry::Ip(address(0)?)).filter(has),
            SetKind::HashIpPort(_) => {
                Some(Entry::IpPort { address: address(0)?, protocol, port }).filter(has)
            }
            SetKind::HashIpPortIp(_) => {
                let (address, source) = (address(0)?, address(2)?);
                Some(Entry::IpPortIp { address, protocol, port, source }).filter(has)
            }
            SetKind::HashIpPortNet(_) => {
                let (address, source) = (address(0)?, address(2)?);
                let of = |network| Entry::IpPortNet { address, protocol, port, network };
                around(source).map(of).find(has)
            }
            // The kernel finds the ports of no other protocols there.
            SetKind::BitmapPort if protocol == Protocol::Sctp => None,
            SetKind::BitmapPort => Some(Entry::Port(port)).filter(has),
            SetKind::Other => None,
        }
    }

    pub(super) const fn family(&self) -> Family {
        Family::of(self.destination.ip())
    }

    fn comes_from(&self, network: &IpNet) -> bool {
        self.source.is_some_and(|source| network.contains(&source))
    }

    /// A `+` at the end of `name` matches any rest.
    fn comes_through(&self, name: &str) -> bool {
        let Some(interface) = self.interface.as_deref() else { return false };
        name.strip_suffix('+').map_or(interface == name, |start| interface.starts_with(start))
    }
}

/// The networks around an address, the smallest first.
fn around(address: IpAddr) -> impl Iterator<Item = Network> {
    let longest = IpNet::from(address).max_prefix_len();
    let lengths = (1..=longest).rev();
    lengths.filter_map(move |length| IpNet::new(address, length).ok()).map(Network::from)
}
