//! Virtual servers to ask for, made of what a backend says it can express.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU16;
use std::sync::Arc;

use crate::{
    Admission, Capabilities, DesiredState, Family, FrontendKind, Locality, Pool, Priority,
    RealServer, Resolution, SchedulerFlags, ServiceKey, ServicePortName, SourceAddress, Vip,
    VirtualServer, VirtualServerKey, WhenEmpty,
};

/// The `number`-th virtual server, with the first of everything the backend has, and the real
/// servers 1 and 2.
#[track_caller]
pub(super) fn server(capabilities: &Capabilities, number: u16) -> VirtualServer {
    let family = first(&capabilities.families, "family");
    let kind = first(&capabilities.frontends, "kind of frontend");
    let protocol = first(&capabilities.protocols, "protocol");
    let scheduler = first(&capabilities.schedulers, "scheduler");
    let address = frontend(family, kind, number);
    let pool = pool(family, 1..=2);
    VirtualServer {
        key: VirtualServerKey { address, protocol, port: port(80) },
        origin: ServicePortName {
            service: ServiceKey::new("conformance", format!("service-{number}")),
            port: "".into(),
        },
        kind,
        scheduler,
        scheduler_flags: SchedulerFlags::default_for(scheduler),
        session_affinity: None,
        admission: Admission::Anyone,
        external: pool.clone(),
        internal: pool,
        unchosen: Arc::new([]),
        vip: vip(kind),
        source_address: source_address(kind),
        health_check_port: None,
        drain_limit: None,
        priority: Priority::Normal,
    }
}

fn first<T: Copy>(list: &[T], what: &str) -> T {
    let Some(first) = list.first() else {
        panic!("the capabilities name no {what}: such a backend can serve nothing")
    };
    *first
}

/// The same virtual server in another family: address, and real servers 1 and 2.
pub(super) fn in_family(mut server: VirtualServer, family: Family, number: u16) -> VirtualServer {
    server.key.address = frontend(family, server.kind, number);
    with_pool(server, pool(family, 1..=2))
}

/// The same virtual server as another kind of frontend.
pub(super) fn of_kind(mut server: VirtualServer, kind: FrontendKind, number: u16) -> VirtualServer {
    server.key.address = frontend(server.key.family(), kind, number);
    server.kind = kind;
    server.vip = vip(kind);
    server.source_address = source_address(kind);
    server
}

/// The same virtual server with these real servers for everyone.
pub(super) fn with_pool(mut server: VirtualServer, pool: Pool) -> VirtualServer {
    server.external = pool.clone();
    server.internal = pool;
    server
}

/// The same virtual server with other real servers, given by their numbers.
pub(super) fn with_real_servers(
    server: VirtualServer,
    numbers: impl IntoIterator<Item = u16>,
) -> VirtualServer {
    let pool = pool(server.key.family(), numbers);
    with_pool(server, pool)
}

/// A pool of real servers, given by their numbers in ascending order.
pub(super) fn pool(family: Family, numbers: impl IntoIterator<Item = u16>) -> Pool {
    let real = |number| RealServer {
        address: real_address(family, number),
        port: port(8080),
        weight: NonZeroU16::MIN,
        locality: Locality::Remote,
    };
    Pool { servers: numbers.into_iter().map(real).collect(), when_empty: WhenEmpty::Reject }
}

/// A state of these virtual servers.
pub(super) fn state(servers: &[VirtualServer]) -> DesiredState {
    let mut state = DesiredState::new();
    for server in servers {
        let mut resolution = Resolution::default();
        let service = &server.origin.service;
        let own = servers.iter().filter(|other| other.origin.service == *service);
        resolution.servers = own.cloned().map(Arc::new).collect();
        resolution.servers.sort_by_key(|server| server.key);
        let _ = state.replace(service, resolution);
    }
    assert_eq!(state.len(), servers.len(), "the suite asks for each virtual server once");
    state
}

pub(super) const fn port(number: u16) -> NonZeroU16 {
    match NonZeroU16::new(number) {
        Some(number) => number,
        None => panic!("a port is not 0"),
    }
}

/// The addresses at which the suite asks for node ports, of both families. Some data planes want
/// the node to have them.
#[must_use]
pub fn node_addresses() -> Vec<IpAddr> {
    let of = |family| (1..=4).map(move |number| frontend(family, FrontendKind::NodePort, number));
    Family::ALL.into_iter().flat_map(of).collect()
}

/// Addresses that no lab has for itself: private ones, and those kept for benchmarks (RFC 2544)
/// and documentation (RFC 3849).
fn frontend(family: Family, kind: FrontendKind, number: u16) -> IpAddr {
    let [high, low] = number.to_be_bytes();
    match (family, kind) {
        (Family::Ipv4, FrontendKind::ClusterIp) => Ipv4Addr::new(10, 96, high, low).into(),
        (Family::Ipv4, FrontendKind::LoadBalancer) => Ipv4Addr::new(198, 18, high, low).into(),
        (Family::Ipv4, FrontendKind::ExternalIp) => Ipv4Addr::new(198, 19, high, low).into(),
        (Family::Ipv4, FrontendKind::NodePort) => Ipv4Addr::new(172, 31, high, low).into(),
        (Family::Ipv6, FrontendKind::ClusterIp) => ipv6([0xfd00, 0x96], number),
        (Family::Ipv6, FrontendKind::LoadBalancer) => ipv6([0x2001, 0xdb8], number),
        (Family::Ipv6, FrontendKind::ExternalIp) => ipv6([0x2001, 0xdb8], 0x8000 | number),
        (Family::Ipv6, FrontendKind::NodePort) => ipv6([0xfd00, 0x31], number),
    }
}

fn real_address(family: Family, number: u16) -> IpAddr {
    let [high, low] = number.to_be_bytes();
    match family {
        Family::Ipv4 => Ipv4Addr::new(10, 244, high, low).into(),
        Family::Ipv6 => ipv6([0xfd00, 0x244], number),
    }
}

fn ipv6([first, second]: [u16; 2], last: u16) -> IpAddr {
    Ipv6Addr::new(first, second, 0, 0, 0, 0, 0, last).into()
}

const fn vip(kind: FrontendKind) -> Vip {
    match kind {
        FrontendKind::NodePort => Vip::Leave,
        _ => Vip::Bind,
    }
}

const fn source_address(kind: FrontendKind) -> SourceAddress {
    match kind {
        FrontendKind::ClusterIp => SourceAddress::MasqueradeOffCluster,
        _ => SourceAddress::Masquerade,
    }
}
