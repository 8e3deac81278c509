//! IPVS messages to bytes and back. Pure; what follows the netlink header, nothing else.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proxy_core::{Family, Protocol};

use super::service::full_prefix;
use super::{
    Config, Destination, DestinationId, DestinationStatus, ForwardMethod, Info, Request,
    SchedulerName, Service, ServiceFlags, ServiceId, ServiceStatus, Stats64,
};
use crate::netlink::attribute::{AttributeWriter, Attributes};

/// `IPVS_GENL_VERSION`.
const VERSION: u8 = 1;
/// Length of `struct genlmsghdr`.
const GENL_HEADER: usize = 4;

/// `IPVS_CMD_*`.
pub(super) mod command {
    pub(in super::super) const NEW_SERVICE: u8 = 1;
    pub(in super::super) const SET_SERVICE: u8 = 2;
    pub(in super::super) const DEL_SERVICE: u8 = 3;
    pub(in super::super) const GET_SERVICE: u8 = 4;
    pub(in super::super) const NEW_DEST: u8 = 5;
    pub(in super::super) const SET_DEST: u8 = 6;
    pub(in super::super) const DEL_DEST: u8 = 7;
    pub(in super::super) const GET_DEST: u8 = 8;
    pub(in super::super) const SET_CONFIG: u8 = 12;
    pub(in super::super) const GET_CONFIG: u8 = 13;
    pub(in super::super) const GET_INFO: u8 = 15;
    pub(in super::super) const ZERO: u8 = 16;
}

/// `IPVS_CMD_ATTR_*`.
mod top {
    pub(super) const SERVICE: u16 = 1;
    pub(super) const DEST: u16 = 2;
    pub(super) const TIMEOUT_TCP: u16 = 4;
    pub(super) const TIMEOUT_TCP_FIN: u16 = 5;
    pub(super) const TIMEOUT_UDP: u16 = 6;
}

/// `IPVS_SVC_ATTR_*`.
mod svc {
    pub(super) const AF: u16 = 1;
    pub(super) const PROTOCOL: u16 = 2;
    pub(super) const ADDR: u16 = 3;
    pub(super) const PORT: u16 = 4;
    pub(super) const FWMARK: u16 = 5;
    pub(super) const SCHED_NAME: u16 = 6;
    pub(super) const FLAGS: u16 = 7;
    pub(super) const TIMEOUT: u16 = 8;
    pub(super) const NETMASK: u16 = 9;
    pub(super) const STATS: u16 = 10;
    pub(super) const STATS64: u16 = 12;
}

/// `IPVS_DEST_ATTR_*`.
mod dest {
    pub(super) const ADDR: u16 = 1;
    pub(super) const PORT: u16 = 2;
    pub(super) const FWD_METHOD: u16 = 3;
    pub(super) const WEIGHT: u16 = 4;
    pub(super) const U_THRESH: u16 = 5;
    pub(super) const L_THRESH: u16 = 6;
    pub(super) const ACTIVE_CONNS: u16 = 7;
    pub(super) const INACT_CONNS: u16 = 8;
    pub(super) const PERSIST_CONNS: u16 = 9;
    pub(super) const STATS: u16 = 10;
    pub(super) const ADDR_FAMILY: u16 = 11;
    pub(super) const STATS64: u16 = 12;
}

const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// Appends a change.
pub(super) fn emit_request(bytes: &mut Vec<u8>, request: &Request) {
    let mut writer = AttributeWriter::new(bytes);
    match request {
        Request::AddService(service) => emit_service(&mut writer, command::NEW_SERVICE, service),
        Request::SetService(service) => emit_service(&mut writer, command::SET_SERVICE, service),
        Request::DeleteService(id) => emit_service_id(&mut writer, command::DEL_SERVICE, id),
        Request::AddDestination(id, destination) => {
            emit_destination(&mut writer, command::NEW_DEST, id, destination);
        }
        Request::SetDestination(id, destination) => {
            emit_destination(&mut writer, command::SET_DEST, id, destination);
        }
        Request::DeleteDestination(id, destination) => {
            emit_service_id(&mut writer, command::DEL_DEST, id);
            writer.nest(top::DEST, |nest| put_destination_id(nest, destination));
        }
        Request::Zero(Some(id)) => emit_service_id(&mut writer, command::ZERO, id),
        Request::Zero(None) => put_header(&mut writer, command::ZERO),
        Request::SetConfig(config) => {
            put_header(&mut writer, command::SET_CONFIG);
            writer.u32(top::TIMEOUT_TCP, config.tcp);
            writer.u32(top::TIMEOUT_TCP_FIN, config.tcp_fin);
            writer.u32(top::TIMEOUT_UDP, config.udp);
        }
    }
}

/// Appends a command without arguments.
pub(super) fn emit_bare(bytes: &mut Vec<u8>, command: u8) {
    put_header(&mut AttributeWriter::new(bytes), command);
}

/// Appends a command about one service.
pub(super) fn emit_about(bytes: &mut Vec<u8>, command: u8, id: &ServiceId) {
    emit_service_id(&mut AttributeWriter::new(bytes), command, id);
}

fn put_header(writer: &mut AttributeWriter<'_>, command: u8) {
    writer.raw(&[command, VERSION, 0, 0]);
}

fn emit_service(writer: &mut AttributeWriter<'_>, command: u8, service: &Service) {
    put_header(writer, command);
    writer.nest(top::SERVICE, |nest| {
        put_service_id(nest, &service.id);
        nest.text(svc::SCHED_NAME, service.scheduler.as_str());
        nest.bytes(svc::FLAGS, &flags_and_mask(service.flags));
        nest.u32(svc::TIMEOUT, service.timeout);
        let prefix = service.persistence_prefix;
        match service.id.family() {
            Family::Ipv4 => nest.bytes(svc::NETMASK, &ipv4_mask(prefix)),
            Family::Ipv6 => nest.u32(svc::NETMASK, u32::from(prefix)),
        }
    });
}

/// `struct ip_vs_flags`: the flags, and which of them are meant. All are.
fn flags_and_mask(flags: ServiceFlags) -> [u8; 8] {
    let mut bytes = [0xff; 8];
    bytes[..4].copy_from_slice(&flags.bits().to_ne_bytes());
    bytes
}

fn ipv4_mask(prefix: u8) -> [u8; 4] {
    let host_bits = 32_u32.saturating_sub(u32::from(prefix));
    u32::MAX.checked_shl(host_bits).unwrap_or(0).to_be_bytes()
}

fn emit_service_id(writer: &mut AttributeWriter<'_>, command: u8, id: &ServiceId) {
    put_header(writer, command);
    writer.nest(top::SERVICE, |nest| put_service_id(nest, id));
}

fn put_service_id(nest: &mut AttributeWriter<'_>, id: &ServiceId) {
    nest.u16(svc::AF, family_number(id.family()));
    match *id {
        ServiceId::Address { protocol, address, port } => {
            nest.u16(svc::PROTOCOL, u16::from(protocol.number()));
            nest.bytes(svc::ADDR, &address_bytes(address));
            nest.bytes(svc::PORT, &port.to_be_bytes());
        }
        ServiceId::Fwmark { mark, .. } => nest.u32(svc::FWMARK, mark),
    }
}

fn emit_destination(
    writer: &mut AttributeWriter<'_>,
    command: u8,
    id: &ServiceId,
    destination: &Destination,
) {
    emit_service_id(writer, command, id);
    writer.nest(top::DEST, |nest| {
        put_destination_id(nest, &destination.id());
        nest.u32(dest::FWD_METHOD, destination.forward.number());
        nest.u32(dest::WEIGHT, destination.weight);
        nest.u32(dest::U_THRESH, destination.upper_threshold);
        nest.u32(dest::L_THRESH, destination.lower_threshold);
    });
}

fn put_destination_id(nest: &mut AttributeWriter<'_>, id: &DestinationId) {
    nest.bytes(dest::ADDR, &address_bytes(id.address));
    nest.bytes(dest::PORT, &id.port.to_be_bytes());
    nest.u16(dest::ADDR_FAMILY, family_number(Family::of(id.address)));
}

/// `union nf_inet_addr`: always sixteen bytes.
fn address_bytes(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&address.octets());
            bytes
        }
        IpAddr::V6(address) => address.octets(),
    }
}

const fn family_number(family: Family) -> u16 {
    match family {
        Family::Ipv4 => AF_INET,
        Family::Ipv6 => AF_INET6,
    }
}

const fn family_of_number(number: u16) -> Option<Family> {
    match number {
        AF_INET => Some(Family::Ipv4),
        AF_INET6 => Some(Family::Ipv6),
        _ => None,
    }
}

fn attributes(payload: &[u8]) -> Option<Attributes<'_>> {
    payload.get(GENL_HEADER..).map(Attributes::new)
}

/// A service, if the message holds one that this crate can name: others are not ours to see.
pub(super) fn parse_service(payload: &[u8]) -> Option<ServiceStatus> {
    let mut family = None;
    let mut protocol = None;
    let mut address = None;
    let mut port = None;
    let mut mark = None;
    let mut scheduler = None;
    let mut flags = 0;
    let mut timeout = 0;
    let mut netmask = None;
    let mut stats = Stats64::default();
    for attribute in attributes(payload)?.find(top::SERVICE)?.nested() {
        match attribute.kind {
            svc::AF => family = attribute.u16().and_then(family_of_number),
            svc::PROTOCOL => protocol = attribute.u16(),
            svc::ADDR => address = Some(attribute.payload),
            svc::PORT => port = attribute.u16_be(),
            svc::FWMARK => mark = attribute.u32(),
            svc::SCHED_NAME => scheduler = attribute.text(),
            svc::FLAGS => flags = attribute.u32().unwrap_or(0),
            svc::TIMEOUT => timeout = attribute.u32().unwrap_or(0),
            svc::NETMASK => netmask = attribute.array(),
            svc::STATS | svc::STATS64 => read_stats(&mut stats, attribute.nested()),
            _ => {}
        }
    }
    let family = family?;
    let id = match mark {
        Some(mark) => ServiceId::Fwmark { family, mark },
        None => ServiceId::Address {
            protocol: u8::try_from(protocol?).ok().and_then(Protocol::from_number)?,
            address: parse_address(family, address?)?,
            port: port?,
        },
    };
    let service = Service {
        id,
        scheduler: SchedulerName::try_from(scheduler?).ok()?,
        flags: ServiceFlags::from_bits(flags),
        timeout,
        persistence_prefix: netmask
            .map_or_else(|| full_prefix(family), |mask| parse_netmask(family, mask)),
    };
    Some(ServiceStatus { service, stats })
}

fn parse_netmask(family: Family, mask: [u8; 4]) -> u8 {
    let ones = match family {
        Family::Ipv4 => u32::from_be_bytes(mask).leading_ones(),
        Family::Ipv6 => u32::from_ne_bytes(mask),
    };
    u8::try_from(ones).unwrap_or_else(|_| full_prefix(family))
}

/// A destination of a service of `family`, if the message holds one.
pub(super) fn parse_destination(payload: &[u8], family: Family) -> Option<DestinationStatus> {
    // Kernels before 3.18 do not tell the family: then it is the service's.
    let mut family = Some(family);
    let mut address = None;
    let mut port = None;
    let mut forward = 0;
    let [mut weight, mut upper, mut lower, mut active, mut inactive, mut persistent] = [0; 6];
    let mut stats = Stats64::default();
    for attribute in attributes(payload)?.find(top::DEST)?.nested() {
        let number = || attribute.u32().unwrap_or(0);
        match attribute.kind {
            dest::ADDR => address = Some(attribute.payload),
            dest::PORT => port = attribute.u16_be(),
            dest::FWD_METHOD => forward = number(),
            dest::WEIGHT => weight = number(),
            dest::U_THRESH => upper = number(),
            dest::L_THRESH => lower = number(),
            dest::ACTIVE_CONNS => active = number(),
            dest::INACT_CONNS => inactive = number(),
            dest::PERSIST_CONNS => persistent = number(),
            dest::ADDR_FAMILY => family = attribute.u16().and_then(family_of_number),
            dest::STATS | dest::STATS64 => read_stats(&mut stats, attribute.nested()),
            _ => {}
        }
    }
    let destination = Destination {
        address: parse_address(family?, address?)?,
        port: port?,
        forward: ForwardMethod::from_number(forward),
        weight,
        upper_threshold: upper,
        lower_threshold: lower,
    };
    Some(DestinationStatus { destination, active, inactive, persistent, stats })
}

fn parse_address(family: Family, bytes: &[u8]) -> Option<IpAddr> {
    Some(match family {
        Family::Ipv4 => IpAddr::from(Ipv4Addr::from(*bytes.first_chunk::<4>()?)),
        Family::Ipv6 => IpAddr::from(Ipv6Addr::from(*bytes.first_chunk::<16>()?)),
    })
}

/// The timeouts, if the message holds them.
pub(super) fn parse_config(payload: &[u8]) -> Option<Config> {
    let attributes = attributes(payload)?;
    Some(Config {
        tcp: attributes.find(top::TIMEOUT_TCP)?.u32()?,
        tcp_fin: attributes.find(top::TIMEOUT_TCP_FIN)?.u32()?,
        udp: attributes.find(top::TIMEOUT_UDP)?.u32()?,
    })
}

/// Version and table size, if the message holds them (`IPVS_INFO_ATTR_*`).
pub(super) fn parse_info(payload: &[u8]) -> Option<Info> {
    let attributes = attributes(payload)?;
    let [_, major, minor, patch] = attributes.find(1)?.u32()?.to_be_bytes();
    Some(Info { version: (major, minor, patch), connection_table_size: attributes.find(2)?.u32()? })
}

/// Reads statistics in either form: `STATS`, in which most numbers have 32 bits, and `STATS64`
/// (since Linux 4.1), which the kernel puts behind it and which therefore wins.
fn read_stats(stats: &mut Stats64, attributes: Attributes<'_>) {
    for attribute in attributes {
        // `IPVS_STATS_ATTR_*`, in the order of the header.
        let field = match attribute.kind {
            1 => &mut stats.connections,
            2 => &mut stats.packets_in,
            3 => &mut stats.packets_out,
            4 => &mut stats.bytes_in,
            5 => &mut stats.bytes_out,
            6 => &mut stats.connections_per_second,
            7 => &mut stats.packets_in_per_second,
            8 => &mut stats.packets_out_per_second,
            9 => &mut stats.bytes_in_per_second,
            10 => &mut stats.bytes_out_per_second,
            _ => continue,
        };
        *field = attribute.u64().or_else(|| attribute.u32().map(u64::from)).unwrap_or(0);
    }
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
