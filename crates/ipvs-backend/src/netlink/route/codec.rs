//! Route netlink messages to bytes and back, through the types of `netlink-packet-route`. Pure.

use std::net::IpAddr;

use netlink_packet_core::{Emitable, Parseable};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{
    AddressAttribute, AddressHeader, AddressHeaderFlags, AddressMessage, AddressScope,
};
use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkHeader, LinkInfo, LinkMessage};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use proxy_core::Family;

use super::{InterfaceAddress, Link, LocalRoute};
use crate::netlink::attribute::Attributes;

/// `RTM_*` of `include/uapi/linux/rtnetlink.h`.
pub(in crate::netlink) mod message_type {
    pub(in crate::netlink) const NEW_LINK: u16 = 16;
    pub(in crate::netlink) const DEL_LINK: u16 = 17;
    pub(in crate::netlink) const GET_LINK: u16 = 18;
    pub(in crate::netlink) const NEW_ADDR: u16 = 20;
    pub(in crate::netlink) const DEL_ADDR: u16 = 21;
    pub(in crate::netlink) const GET_ADDR: u16 = 22;
    pub(in crate::netlink) const NEW_ROUTE: u16 = 24;
    pub(in crate::netlink) const DEL_ROUTE: u16 = 25;
    pub(in crate::netlink) const GET_ROUTE: u16 = 26;
}

/// `RT_TABLE_LOCAL`.
const TABLE_LOCAL: u8 = 255;
/// Metric of our IPv6 routes. Smaller than the 1,024 of a route made by hand, larger than the 0
/// of the kernel's own, and nobody else's: the kernel replaces IPv6 routes by metric.
const IPV6_METRIC: u32 = 512;

/// What a route message is for: some parts must be there on creation only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Create,
    Delete,
}

/// Appends a route.
pub(super) fn emit_route(bytes: &mut Vec<u8>, route: &LocalRoute, purpose: Purpose) {
    let family = Family::of(route.address);
    let mut message = RouteMessage::default();
    message.header = RouteHeader {
        address_family: family_number(family),
        destination_prefix_length: full_prefix(family),
        table: TABLE_LOCAL,
        protocol: RouteProtocol::from(route.protocol),
        scope: RouteScope::Host,
        kind: RouteType::Local,
        ..RouteHeader::default()
    };
    message.attributes.push(RouteAttribute::Destination(RouteAddress::from(route.address)));
    message.attributes.push(RouteAttribute::Oif(route.device));
    if let Some(source) = route.preferred_source {
        message.attributes.push(RouteAttribute::PrefSource(RouteAddress::from(source)));
    }
    if family == Family::Ipv6 && purpose == Purpose::Create {
        message.attributes.push(RouteAttribute::Priority(IPV6_METRIC));
    }
    emit(bytes, &message);
}

/// Appends a wish for the local routes of `family` that `protocol` made. A kernel before 4.20
/// answers with every route of the family.
pub(super) fn emit_route_dump(bytes: &mut Vec<u8>, family: Family, protocol: u8) {
    let mut message = RouteMessage::default();
    message.header = RouteHeader {
        address_family: family_number(family),
        table: TABLE_LOCAL,
        protocol: RouteProtocol::from(protocol),
        kind: RouteType::Local,
        ..RouteHeader::default()
    };
    emit(bytes, &message);
}

/// The route in a message, if it is of the shape [`emit_route`] makes and of `protocol`.
pub(in crate::netlink) fn parse_route(payload: &[u8], protocol: u8) -> Option<LocalRoute> {
    let message = RouteMessage::parse(payload).ok()?;
    let header = &message.header;
    if header.table != TABLE_LOCAL
        || header.kind != RouteType::Local
        || u8::from(header.protocol) != protocol
    {
        return None;
    }
    let mut address = None;
    let mut device = None;
    let mut preferred_source = None;
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(destination) => address = ip_address(destination),
            RouteAttribute::Oif(index) => device = Some(*index),
            RouteAttribute::PrefSource(source) => preferred_source = ip_address(source),
            _ => {}
        }
    }
    let address = address?;
    (header.destination_prefix_length == full_prefix(Family::of(address))).then_some(())?;
    Some(LocalRoute { address, device: device?, preferred_source, protocol })
}

/// Appends an address of full length on a link.
pub(super) fn emit_address(bytes: &mut Vec<u8>, device: u32, address: IpAddr) {
    let family = Family::of(address);
    let mut message = AddressMessage::default();
    message.header = AddressHeader {
        family: family_number(family),
        prefix_len: full_prefix(family),
        flags: match family {
            Family::Ipv4 => AddressHeaderFlags::empty(),
            Family::Ipv6 => AddressHeaderFlags::Nodad,
        },
        scope: AddressScope::Universe,
        index: device,
    };
    message.attributes.push(AddressAttribute::Local(address));
    message.attributes.push(AddressAttribute::Address(address));
    emit(bytes, &message);
}

/// Appends a wish for every address.
pub(super) fn emit_address_dump(bytes: &mut Vec<u8>) {
    emit(bytes, &AddressMessage::default());
}

/// The address in a message; the name of its link is left empty.
pub(in crate::netlink) fn parse_address(payload: &[u8]) -> Option<InterfaceAddress> {
    let message = AddressMessage::parse(payload).ok()?;
    let mut address = None;
    let mut local = None;
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Address(found) => address = Some(*found),
            AddressAttribute::Local(found) => local = Some(*found),
            _ => {}
        }
    }
    let flags = message.header.flags;
    Some(InterfaceAddress {
        index: message.header.index,
        name: String::new(),
        // On a point-to-point link `Address` is the other side's.
        address: local.or(address)?,
        prefix_len: message.header.prefix_len,
        scope: u8::from(message.header.scope),
        is_tentative: flags.contains(AddressHeaderFlags::Tentative)
            && !flags.contains(AddressHeaderFlags::Optimistic),
    })
}

/// Appends a new dummy link.
pub(super) fn emit_dummy_link(bytes: &mut Vec<u8>, name: &str) {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::IfName(name.to_owned()));
    message.attributes.push(LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Dummy)]));
    emit(bytes, &message);
}

/// Appends a link by its index.
pub(super) fn emit_link(bytes: &mut Vec<u8>, index: u32) {
    let mut message = LinkMessage::default();
    message.header = LinkHeader { index, ..LinkHeader::default() };
    emit(bytes, &message);
}

/// Appends a wish for every link.
pub(super) fn emit_link_dump(bytes: &mut Vec<u8>) {
    emit(bytes, &LinkMessage::default());
}

/// The link in a message.
///
/// Read by hand: a link has more attributes than anything else in the kernel, and one that a
/// typed parser dislikes must not hide a link of which three are wanted.
pub(in crate::netlink) fn parse_link(payload: &[u8]) -> Option<Link> {
    /// Length of `struct ifinfomsg`.
    const HEADER: usize = 16;
    const IFF_UP: u32 = 1;
    const IFLA_IFNAME: u16 = 3;
    const IFLA_LINKINFO: u16 = 18;
    const IFLA_INFO_KIND: u16 = 1;

    let header: &[u8; HEADER] = payload.first_chunk()?;
    let attributes = Attributes::new(&payload[HEADER..]);
    let kind = attributes
        .find(IFLA_LINKINFO)
        .and_then(|info| info.nested().find(IFLA_INFO_KIND))
        .and_then(|kind| kind.text());
    Some(Link {
        index: u32::from_ne_bytes([header[4], header[5], header[6], header[7]]),
        name: attributes.find(IFLA_IFNAME)?.text()?.to_owned(),
        kind: kind.map(str::to_owned),
        up: u32::from_ne_bytes([header[8], header[9], header[10], header[11]]) & IFF_UP != 0,
    })
}

fn emit(bytes: &mut Vec<u8>, message: &impl Emitable) {
    let start = bytes.len();
    bytes.resize(start + message.buffer_len(), 0);
    message.emit(&mut bytes[start..]);
}

fn ip_address(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some((*address).into()),
        RouteAddress::Inet6(address) => Some((*address).into()),
        _ => None,
    }
}

const fn full_prefix(family: Family) -> u8 {
    match family {
        Family::Ipv4 => 32,
        Family::Ipv6 => 128,
    }
}

const fn family_number(family: Family) -> AddressFamily {
    match family {
        Family::Ipv4 => AddressFamily::Inet,
        Family::Ipv6 => AddressFamily::Inet6,
    }
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
