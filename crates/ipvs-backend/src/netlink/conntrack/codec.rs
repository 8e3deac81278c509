//! Conntrack requests to bytes, and flows back. Pure; what follows the netlink header, nothing
//! else.

use std::net::{IpAddr, SocketAddr};

use proxy_core::Family;

use super::{Flow, Zone};
use crate::netlink::attribute::{Attribute, AttributeWriter, Attributes};

/// Length of `struct nfgenmsg`.
const NFGEN_HEADER: usize = 4;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_UDP: u8 = 17;

/// `IPCTNL_MSG_CT_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Get = 1,
    Delete = 2,
}

impl Command {
    /// The netlink message type: `NFNL_SUBSYS_CTNETLINK` and the command.
    pub(super) const fn message_type(self) -> u16 {
        (1 << 8) | self as u16
    }
}

/// `CTA_*`.
mod top {
    pub(super) const TUPLE_ORIG: u16 = 1;
    pub(super) const TUPLE_REPLY: u16 = 2;
    pub(super) const ID: u16 = 12;
    pub(super) const ZONE: u16 = 18;
    pub(super) const FILTER: u16 = 25;
}

/// `CTA_TUPLE_*`, inside `TUPLE_ORIG` and `TUPLE_REPLY`.
mod tuple {
    pub(super) const IP: u16 = 1;
    pub(super) const PROTO: u16 = 2;
    pub(super) const ZONE: u16 = 3;
}

/// `CTA_IP_*`, inside `tuple::IP`.
mod ip {
    pub(super) const V4_SRC: u16 = 1;
    pub(super) const V4_DST: u16 = 2;
    pub(super) const V6_SRC: u16 = 3;
    pub(super) const V6_DST: u16 = 4;
}

/// `CTA_PROTO_*`, inside `tuple::PROTO`.
mod proto {
    pub(super) const NUM: u16 = 1;
    pub(super) const SRC_PORT: u16 = 2;
    pub(super) const DST_PORT: u16 = 3;
}

/// `CTA_FILTER_*`, inside `FILTER`: which parts of the tuples beside it must match, as bits of
/// `CTA_FILTER_F_*` (`net/netfilter/nf_conntrack_netlink.c`).
mod filter {
    pub(super) const ORIG_FLAGS: u16 = 1;
    pub(super) const REPLY_FLAGS: u16 = 2;
    pub(super) const IP_DST: u32 = 1 << 1;
    pub(super) const PROTO_NUM: u32 = 1 << 3;
    pub(super) const PROTO_DST_PORT: u32 = 1 << 5;
}

/// Which flows the kernel leaves out of a dump by itself. Linux before 5.8 knows no filter and
/// leaves out nothing but the other family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    /// Flows of the other family.
    Family(Family),
    /// Those, and flows of other protocols than UDP.
    Udp(Family),
    /// Those, and UDP flows to anywhere else.
    UdpTo(SocketAddr),
}

impl Filter {
    /// The family of what passes.
    pub(super) const fn family(self) -> Family {
        match self {
            Self::Family(family) | Self::Udp(family) => family,
            Self::UdpTo(destination) => Family::of(destination.ip()),
        }
    }

    /// Whether a flow is what was asked for. The kernel's answer is looked at again: it may know no
    /// filters, and ours is wider than what is wanted for IPv6.
    pub(super) fn passes(self, flow: &Flow) -> bool {
        match self {
            Self::Family(_) | Self::Udp(_) => Family::of(flow.destination.ip()) == self.family(),
            Self::UdpTo(destination) => flow.destination == destination,
        }
    }

    /// Whether this flow shows that the kernel ignored the filter.
    pub(super) fn is_ignored(self, flow: &Flow) -> bool {
        match self {
            Self::Family(_) | Self::Udp(_) => false,
            Self::UdpTo(destination) => flow.destination.port() != destination.port(),
        }
    }
}

/// `struct nfgenmsg`, that every message opens with.
fn open(bytes: &mut Vec<u8>, family: Family) -> AttributeWriter<'_> {
    let mut writer = AttributeWriter::new(bytes);
    let family = match family {
        Family::Ipv4 => AF_INET,
        Family::Ipv6 => AF_INET6,
    };
    writer.raw(&[family, 0, 0, 0]);
    writer
}

/// Appends a request for a dump.
///
/// An IPv6 address is never filtered by: Linux, 6.18 included, compares it the wrong way round and
/// leaves out exactly what was asked for (`ctnetlink_filter_match_tuple`). The port will do.
pub(super) fn emit_dump(bytes: &mut Vec<u8>, filter: Filter) {
    let mut writer = open(bytes, filter.family());
    let (address, port) = match filter {
        Filter::Family(_) => return,
        Filter::Udp(_) => (None, None),
        Filter::UdpTo(SocketAddr::V4(to)) => (Some(*to.ip()), Some(to.port())),
        Filter::UdpTo(SocketAddr::V6(to)) => (None, Some(to.port())),
    };
    let mut flags = filter::PROTO_NUM;
    writer.nest(top::TUPLE_ORIG, |nest| {
        if let Some(address) = address {
            flags |= filter::IP_DST;
            nest.nest(tuple::IP, |nest| nest.bytes_be(ip::V4_DST, &address.octets()));
        }
        nest.nest(tuple::PROTO, |nest| {
            nest.u8(proto::NUM, IPPROTO_UDP);
            if let Some(port) = port {
                flags |= filter::PROTO_DST_PORT;
                nest.u16_be(proto::DST_PORT, port);
            }
        });
    });
    writer.nest(top::FILTER, |nest| {
        nest.u32(filter::ORIG_FLAGS, flags);
        nest.u32(filter::REPLY_FLAGS, 0);
    });
}

/// Appends the deletion of one flow. The kernel takes one without a tuple for a flush of the whole
/// table, so there is no way to leave it out.
pub(super) fn emit_delete(bytes: &mut Vec<u8>, flow: &Flow) {
    let mut writer = open(bytes, Family::of(flow.destination.ip()));
    writer.nest(top::TUPLE_ORIG, |nest| {
        nest.nest(tuple::IP, |nest| {
            put_address(nest, [ip::V4_SRC, ip::V6_SRC], flow.source.ip());
            put_address(nest, [ip::V4_DST, ip::V6_DST], flow.destination.ip());
        });
        nest.nest(tuple::PROTO, |nest| {
            nest.u8(proto::NUM, IPPROTO_UDP);
            nest.u16_be(proto::SRC_PORT, flow.source.port());
            nest.u16_be(proto::DST_PORT, flow.destination.port());
        });
        if let Zone::Original(zone) = flow.zone {
            nest.u16_be(tuple::ZONE, zone);
        }
    });
    if let Zone::Both(zone) = flow.zone {
        writer.u16_be(top::ZONE, zone);
    }
    if let Some(id) = flow.id {
        writer.u32_be(top::ID, id);
    }
}

fn put_address(nest: &mut AttributeWriter<'_>, [v4, v6]: [u16; 2], address: IpAddr) {
    match address {
        IpAddr::V4(address) => nest.bytes_be(v4, &address.octets()),
        IpAddr::V6(address) => nest.bytes_be(v6, &address.octets()),
    }
}

/// The flow of a message of a dump; `None` if it is not UDP, or makes no sense.
pub(super) fn parse_flow(payload: &[u8]) -> Option<Flow> {
    let attributes = Attributes::new(payload.get(NFGEN_HEADER..)?);
    let original = attributes.find(top::TUPLE_ORIG)?;
    let (source, destination) = parse_tuple(original)?;
    let (reply_source, _) = parse_tuple(attributes.find(top::TUPLE_REPLY)?)?;
    let zone_in = |attributes: &Attributes<'_>, kind| attributes.find(kind)?.u16_be();
    let zone = match (zone_in(&attributes, top::ZONE), zone_in(&original.nested(), tuple::ZONE)) {
        (Some(zone), _) => Zone::Both(zone),
        (None, Some(zone)) => Zone::Original(zone),
        (None, None) => Zone::Default,
    };
    let id = attributes.find(top::ID).and_then(|id| id.u32_be());
    Some(Flow { source, destination, reply_source, zone, id })
}

/// Source and destination of a UDP tuple.
fn parse_tuple(tuple: Attribute<'_>) -> Option<(SocketAddr, SocketAddr)> {
    let parts = tuple.nested();
    let ports = parts.find(tuple::PROTO)?.nested();
    if ports.find(proto::NUM)?.u8()? != IPPROTO_UDP {
        return None;
    }
    let port = |kind| ports.find(kind)?.u16_be();
    let addresses = parts.find(tuple::IP)?.nested();
    let address = |v4, v6| -> Option<IpAddr> {
        match addresses.find(v4) {
            Some(address) => address.array::<4>().map(IpAddr::from),
            None => addresses.find(v6)?.array::<16>().map(IpAddr::from),
        }
    };
    Some((
        SocketAddr::new(address(ip::V4_SRC, ip::V6_SRC)?, port(proto::SRC_PORT)?),
        SocketAddr::new(address(ip::V4_DST, ip::V6_DST)?, port(proto::DST_PORT)?),
    ))
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
