//! ipset requests to bytes, and the short answers back. Pure; what follows the netlink header,
//! nothing else.

use std::net::IpAddr;

use proxy_core::{Family, Protocol};

use super::{Entry, Mark, Member, SetKind, SetName, SetSpec};
use crate::netlink::attribute::{AttributeWriter, Attributes};

/// The oldest protocol version kernels still take; nothing here needs a newer one.
const PROTOCOL_VERSION: u8 = 6;
/// Length of `struct nfgenmsg`.
const NFGEN_HEADER: usize = 4;
pub(super) const AF_INET: u8 = 2;
pub(super) const AF_INET6: u8 = 10;

/// `IPSET_CMD_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Create = 2,
    Destroy = 3,
    Flush = 4,
    Swap = 6,
    List = 7,
    Add = 9,
    Delete = 10,
    Type = 13,
}

impl Command {
    /// The netlink message type: `NFNL_SUBSYS_IPSET` and the command.
    pub(super) const fn message_type(self) -> u16 {
        (6 << 8) | self as u16
    }
}

/// `IPSET_ATTR_*` at command level.
pub(super) mod top {
    pub(in super::super) const PROTOCOL: u16 = 1;
    pub(in super::super) const SETNAME: u16 = 2;
    pub(in super::super) const TYPENAME: u16 = 3;
    pub(in super::super) const SETNAME2: u16 = 3;
    pub(in super::super) const REVISION: u16 = 4;
    pub(in super::super) const FAMILY: u16 = 5;
    pub(in super::super) const DATA: u16 = 7;
    pub(in super::super) const ADT: u16 = 8;
    pub(in super::super) const LINENO: u16 = 9;
    pub(in super::super) const REVISION_MIN: u16 = 10;
}

/// `IPSET_ATTR_*` inside `DATA`.
pub(super) mod data {
    pub(in super::super) const IP: u16 = 1;
    pub(in super::super) const PORT: u16 = 4;
    pub(in super::super) const PORT_TO: u16 = 5;
    pub(in super::super) const TIMEOUT: u16 = 6;
    pub(in super::super) const PROTO: u16 = 7;
    pub(in super::super) const CADT_FLAGS: u16 = 8;
    pub(in super::super) const LINENO: u16 = 9;
    // On create and in listings only.
    pub(in super::super) const HASHSIZE: u16 = 18;
    pub(in super::super) const MAXELEM: u16 = 19;
    pub(in super::super) const NETMASK: u16 = 20;
    pub(in super::super) const REFERENCES: u16 = 25;
    // In members only.
    pub(in super::super) const IP2: u16 = 20;
    pub(in super::super) const CIDR2: u16 = 21;
    pub(in super::super) const SKBMARK: u16 = 27;
}

/// `IPSET_ATTR_IPADDR_IPV4` and `_IPV6`, inside `IP` and `IP2`.
pub(super) const IPADDR_IPV4: u16 = 1;
pub(super) const IPADDR_IPV6: u16 = 2;
/// `IPSET_FLAG_WITH_SKBINFO`.
pub(super) const WITH_SKBINFO: u32 = 1 << 6;

/// Range of revisions of a set type that the kernel offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Revisions {
    pub(super) min: u8,
    pub(super) max: u8,
}

impl SetKind {
    /// The first revision of the type with skbinfo (Linux 3.18), from the kernel's
    /// `ip_set_*.c`. All that this client uses is in it.
    const fn skbinfo_revision(self) -> u8 {
        match self {
            Self::HashIp(_) => 4,
            Self::HashIpPort(_) | Self::HashIpPortIp(_) => 5,
            Self::HashIpPortNet(_) => 7,
            Self::BitmapPort => 3,
            Self::Other => 0,
        }
    }

    /// The revision to ask for, if the kernel offers one with what `spec` needs.
    pub(super) fn revision(self, offered: Revisions, skbinfo: bool) -> Option<u8> {
        let known = self.skbinfo_revision();
        if skbinfo && offered.max < known {
            return None;
        }
        Some(known.min(offered.max).max(offered.min))
    }
}

/// `struct nfgenmsg` and the protocol version that every message opens with.
fn open(bytes: &mut Vec<u8>) -> AttributeWriter<'_> {
    let mut writer = AttributeWriter::new(bytes);
    writer.raw(&[AF_INET, 0, 0, 0]);
    writer.u8(top::PROTOCOL, PROTOCOL_VERSION);
    writer
}

const fn family_number(kind: SetKind) -> u8 {
    match kind.family() {
        Some(Family::Ipv4) => AF_INET,
        Some(Family::Ipv6) => AF_INET6,
        None => 0,
    }
}

/// Appends a request for the revisions of a type.
pub(super) fn emit_type(bytes: &mut Vec<u8>, kind: SetKind) {
    let mut writer = open(bytes);
    writer.text(top::TYPENAME, kind.type_name());
    writer.u8(top::FAMILY, family_number(kind));
}

/// The revisions in the answer to [`emit_type`].
pub(super) fn parse_type(payload: &[u8]) -> Option<Revisions> {
    let attributes = attributes(payload)?;
    let max = attributes.find(top::REVISION)?.u8()?;
    let min = attributes.find(top::REVISION_MIN).and_then(|a| a.u8()).unwrap_or(max);
    Some(Revisions { min, max })
}

/// Appends the creation of a set.
pub(super) fn emit_create(bytes: &mut Vec<u8>, spec: &SetSpec, revision: u8) {
    let mut writer = open(bytes);
    writer.text(top::SETNAME, spec.name.as_str());
    writer.text(top::TYPENAME, spec.kind.type_name());
    writer.u8(top::REVISION, revision);
    writer.u8(top::FAMILY, family_number(spec.kind));
    writer.nest(top::DATA, |nest| {
        if spec.kind == SetKind::BitmapPort {
            nest.u16_be(data::PORT, 0);
            nest.u16_be(data::PORT_TO, u16::MAX);
        } else {
            // Left out, the kernel takes 1,024 and 65,536.
            if spec.hash_size != 0 {
                nest.u32_be(data::HASHSIZE, spec.hash_size);
            }
            if spec.max_elements != 0 {
                nest.u32_be(data::MAXELEM, spec.max_elements);
            }
        }
        if spec.skbinfo {
            nest.u32_be(data::CADT_FLAGS, WITH_SKBINFO);
        }
    });
}

/// Appends a command about one set: destroy, flush, list.
pub(super) fn emit_about(bytes: &mut Vec<u8>, name: SetName) {
    open(bytes).text(top::SETNAME, name.as_str());
}

/// Appends a request for a listing of every set.
pub(super) fn emit_list(bytes: &mut Vec<u8>) {
    let _ = open(bytes);
}

/// Appends the exchange of two sets.
pub(super) fn emit_swap(bytes: &mut Vec<u8>, one: SetName, other: SetName) {
    let mut writer = open(bytes);
    writer.text(top::SETNAME, one.as_str());
    writer.text(top::SETNAME2, other.as_str());
}

/// Appends an add or delete of members. More than one get line numbers, counted from 1, and the
/// message one of its own, 0, that the kernel overwrites with the line it refuses.
pub(super) fn emit_members(bytes: &mut Vec<u8>, name: SetName, members: &[Member]) {
    let mut writer = open(bytes);
    writer.text(top::SETNAME, name.as_str());
    if let [member] = members {
        writer.nest(top::DATA, |nest| put_member(nest, member));
        return;
    }
    writer.u32_be(top::LINENO, 0);
    writer.nest(top::ADT, |list| {
        for (line, member) in (1..).zip(members) {
            list.nest(top::DATA, |nest| {
                put_member(nest, member);
                nest.u32_be(data::LINENO, line);
            });
        }
    });
}

/// The line number in the echo of a refused [`emit_members`]; `None` if the message was refused
/// before any line was looked at, or has no lines.
pub(super) fn parse_line(echo: &[u8]) -> Option<u32> {
    attributes(echo)?.find(top::LINENO)?.u32_be().filter(|&line| line != 0)
}

fn put_member(nest: &mut AttributeWriter<'_>, member: &Member) {
    match member.entry {
        Entry::Ip(address) => put_address(nest, data::IP, address),
        Entry::IpPort { address, protocol, port } => put_ip_port(nest, address, protocol, port),
        Entry::IpPortIp { address, protocol, port, source } => {
            put_ip_port(nest, address, protocol, port);
            put_address(nest, data::IP2, source);
        }
        Entry::IpPortNet { address, protocol, port, network } => {
            put_ip_port(nest, address, protocol, port);
            put_address(nest, data::IP2, network.address());
            nest.u8(data::CIDR2, network.prefix_len());
        }
        Entry::Port(port) => nest.u16_be(data::PORT, port),
    }
    if let Some(Mark { value, mask }) = member.mark {
        nest.u64_be(data::SKBMARK, u64::from(value) << 32 | u64::from(mask));
    }
}

fn put_ip_port(nest: &mut AttributeWriter<'_>, address: IpAddr, protocol: Protocol, port: u16) {
    put_address(nest, data::IP, address);
    nest.u16_be(data::PORT, port);
    nest.u8(data::PROTO, protocol.number());
}

fn put_address(nest: &mut AttributeWriter<'_>, kind: u16, address: IpAddr) {
    nest.nest(kind, |inside| match address {
        IpAddr::V4(address) => inside.bytes_be(IPADDR_IPV4, &address.octets()),
        IpAddr::V6(address) => inside.bytes_be(IPADDR_IPV6, &address.octets()),
    });
}

/// What follows the netfilter header.
pub(super) fn attributes(payload: &[u8]) -> Option<Attributes<'_>> {
    payload.get(NFGEN_HEADER..).map(Attributes::new)
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
