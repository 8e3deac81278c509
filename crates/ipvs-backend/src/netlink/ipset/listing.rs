//! Listings of sets: bytes to values. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use proxy_core::{Family, Protocol};

use super::codec::{
    AF_INET, AF_INET6, IPADDR_IPV4, IPADDR_IPV6, WITH_SKBINFO, attributes, data, top,
};
use super::{Entry, Mark, Member, Network, SetKind, SetName, SetSpec, SetState};
use crate::netlink::attribute::{Attribute, Attributes};

/// Puts the messages of a listing together: a long set comes in several, of which only the
/// first tells its parameters.
#[derive(Debug, Default)]
pub(super) struct Listing {
    sets: Vec<SetState>,
}

impl Listing {
    pub(super) fn into_sets(self) -> Vec<SetState> {
        self.sets
    }

    /// Takes one message; one that is no part of a listing is ignored.
    pub(super) fn push(&mut self, payload: &[u8]) {
        let Some(attributes) = attributes(payload) else {
            return;
        };
        let name = attributes.find(top::SETNAME).and_then(|a| a.text());
        let Some(name) = name.and_then(|name| SetName::try_from(name).ok()) else {
            return;
        };
        if let Some(kind) = attributes.find(top::TYPENAME).and_then(|a| a.text()) {
            let family = attributes.find(top::FAMILY).and_then(|a| a.u8()).unwrap_or(0);
            let parameters = attributes.find(top::DATA).map(|a| a.nested());
            self.sets.push(parse_header(name, kind, family, parameters));
        }
        let Some(set) = self.sets.last_mut().filter(|set| set.spec.name == name) else {
            return;
        };
        if let Some(members) = attributes.find(top::ADT) {
            let members = members.nested().filter(|a| a.kind == top::DATA);
            set.members.extend(members.filter_map(|a| parse_member(set.spec.kind, a.nested())));
        }
    }
}

fn parse_header(
    name: SetName,
    type_name: &str,
    family: u8,
    parameters: Option<Attributes<'_>>,
) -> SetState {
    let mut flags = 0;
    let mut plain = true;
    let mut range = (0, u16::MAX);
    let mut spec = SetSpec { max_elements: 0, hash_size: 0, ..SetSpec::new(name, SetKind::Other) };
    let mut references = 0;
    for attribute in parameters.into_iter().flatten() {
        match attribute.kind {
            data::HASHSIZE => spec.hash_size = attribute.u32_be().unwrap_or(0),
            data::MAXELEM => spec.max_elements = attribute.u32_be().unwrap_or(0),
            data::REFERENCES => references = attribute.u32_be().unwrap_or(0),
            data::CADT_FLAGS => flags = attribute.u32_be().unwrap_or(0),
            data::PORT => range.0 = attribute.u16_be().unwrap_or(0),
            data::PORT_TO => range.1 = attribute.u16_be().unwrap_or(0),
            data::NETMASK | data::TIMEOUT => plain = false,
            _ => {}
        }
    }
    spec.skbinfo = flags & WITH_SKBINFO != 0;
    plain &= flags & !WITH_SKBINFO == 0 && range == (0, u16::MAX);
    if plain && let Some(kind) = parse_kind(type_name, family) {
        spec.kind = kind;
    }
    SetState { spec, references, members: Vec::new() }
}

fn parse_kind(type_name: &str, family: u8) -> Option<SetKind> {
    if type_name == SetKind::BitmapPort.type_name() {
        return Some(SetKind::BitmapPort);
    }
    let family = match family {
        AF_INET => Family::Ipv4,
        AF_INET6 => Family::Ipv6,
        _ => return None,
    };
    [
        SetKind::HashIp(family),
        SetKind::HashIpPort(family),
        SetKind::HashIpPortIp(family),
        SetKind::HashIpPortNet(family),
    ]
    .into_iter()
    .find(|kind| kind.type_name() == type_name)
}

/// A member of a set of `kind`, if this crate can name it: the port of another protocol than
/// TCP, UDP and SCTP, and a member marked `nomatch`, are left out.
pub(super) fn parse_member(kind: SetKind, attributes: Attributes<'_>) -> Option<Member> {
    let mut address = None;
    let mut second = None;
    let mut prefix = None;
    let mut port = None;
    let mut protocol = None;
    let mut mark = None;
    for attribute in attributes {
        match attribute.kind {
            data::IP => address = parse_address(attribute),
            data::PORT => port = attribute.u16_be(),
            data::PROTO => protocol = attribute.u8().and_then(Protocol::from_number),
            data::IP2 => second = parse_address(attribute),
            data::CIDR2 => prefix = attribute.u8(),
            data::SKBMARK => mark = attribute.array().and_then(split_mark),
            data::CADT_FLAGS if attribute.u32_be() != Some(0) => return None,
            _ => {}
        }
    }
    let entry = match kind {
        SetKind::HashIp(_) => Entry::Ip(address?),
        SetKind::HashIpPort(_) => {
            Entry::IpPort { address: address?, protocol: protocol?, port: port? }
        }
        SetKind::HashIpPortIp(_) => {
            Entry::IpPortIp { address: address?, protocol: protocol?, port: port?, source: second? }
        }
        SetKind::HashIpPortNet(_) => Entry::IpPortNet {
            address: address?,
            protocol: protocol?,
            port: port?,
            network: parse_network(second?, prefix)?,
        },
        SetKind::BitmapPort => Entry::Port(port?),
        SetKind::Other => return None,
    };
    // The kernel does not tell one of all zeros from none; nor do we.
    let mark = mark.filter(|mark| *mark != Mark { value: 0, mask: 0 });
    Some(Member { entry, mark })
}

fn split_mark(bytes: [u8; 8]) -> Option<Mark> {
    let value = u32::from_be_bytes(*bytes.first_chunk()?);
    let mask = u32::from_be_bytes(*bytes.last_chunk()?);
    Some(Mark { value, mask })
}

fn parse_network(address: IpAddr, prefix: Option<u8>) -> Option<Network> {
    match prefix {
        Some(prefix) => IpNet::new(address, prefix).ok().map(Network::from),
        None => Some(Network::from(address)),
    }
}

fn parse_address(attribute: Attribute<'_>) -> Option<IpAddr> {
    let inside = attribute.nested().next()?;
    match inside.kind {
        IPADDR_IPV4 => inside.array::<4>().map(|octets| Ipv4Addr::from(octets).into()),
        IPADDR_IPV6 => inside.array::<16>().map(|octets| Ipv6Addr::from(octets).into()),
        _ => None,
    }
}
