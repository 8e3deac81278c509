//! What one virtual server asks of the kernel, as plain values. Pure.

use std::net::IpAddr;
use std::sync::Arc;

use proxy_core::{
    Admission, FrontendKind, Locality, Pool, Protocol, RealServer, Scheduler, SchedulerFlags,
    SourceAddress, Vip, VirtualServer, VirtualServerKey, WhenEmpty,
};

use crate::netlink::ipset::{Entry, Mark, Member, Network};
use crate::netlink::ipvs::{
    Destination, DestinationId, SchedulerName, Service, ServiceFlags, ServiceId,
};
use crate::set::{Purpose, SetId};

/// The key of the IPVS service that a virtual server's outside clients use, and its inside clients
/// too unless they have one of their own.
#[must_use]
pub const fn service_id(key: &VirtualServerKey) -> ServiceId {
    ServiceId::Address { protocol: key.protocol, address: key.address, port: key.port.get() }
}

/// The key of the IPVS service that inside clients use when it differs.
#[must_use]
pub const fn internal_service_id(key: &VirtualServerKey, mark: u32) -> ServiceId {
    ServiceId::Fwmark { family: key.family(), mark }
}

/// An IPVS service and what its destinations are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedService {
    /// The service.
    pub service: Service,
    /// The real servers of its pool.
    pub servers: Arc<[RealServer]>,
}

impl WantedService {
    /// Its destinations, sorted by their ids.
    pub fn destinations(&self) -> impl Iterator<Item = Destination> {
        self.servers.iter().map(destination)
    }

    /// Whether it has a destination with this id.
    #[must_use]
    pub fn has(&self, id: &DestinationId) -> bool {
        self.servers.binary_search_by_key(id, |real| destination(real).id()).is_ok()
    }
}

/// The IPVS service of a virtual server under one of its two keys.
#[must_use]
pub fn wanted_service(server: &VirtualServer, id: ServiceId) -> WantedService {
    match id {
        ServiceId::Address { .. } => WantedService {
            service: address_service(server, id),
            servers: server.external.servers.clone(),
        },
        ServiceId::Fwmark { .. } => WantedService {
            service: marked_service(server, id),
            servers: server.internal.servers.clone(),
        },
    }
}

fn address_service(server: &VirtualServer, id: ServiceId) -> Service {
    let service = scheduled(id, server.scheduler, server.scheduler_flags);
    match server.session_affinity {
        Some(affinity) => service.persistent(affinity.timeout_seconds.get()),
        None => service,
    }
}

/// A persistent service keyed by a mark does not translate ports, so affinity comes from a
/// scheduler that hashes the client's address, and goes on to the next when a server drains.
fn marked_service(server: &VirtualServer, id: ServiceId) -> Service {
    match server.session_affinity {
        Some(_) => {
            let flags = SchedulerFlags { fallback: true, port: false };
            scheduled(id, Scheduler::MaglevHash, flags)
        }
        None => scheduled(id, server.scheduler, server.scheduler_flags),
    }
}

fn scheduled(id: ServiceId, scheduler: Scheduler, flags: SchedulerFlags) -> Service {
    let name = SchedulerName::try_from(scheduler.name())
        .expect("every scheduler of the enum has a short name");
    let fallback = if flags.fallback { ServiceFlags::SCHED1 } else { ServiceFlags::NONE };
    let port = if flags.port { ServiceFlags::SCHED2 } else { ServiceFlags::NONE };
    Service { flags: fallback | port, ..Service::new(id, name) }
}

/// The destination that a real server becomes.
#[must_use]
pub fn destination(real: &RealServer) -> Destination {
    let id = DestinationId { address: real.address, port: real.port.get() };
    Destination::new(id, u32::from(real.weight.get()))
}

/// Something in the kernel that several virtual servers can ask for. It exists while one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shared {
    /// A member of a set.
    Member(SetId, Entry),
    /// An address that is local to this node: its route and its place in `KUBE-IPVS-IPS`.
    Vip(IpAddr),
}

/// Everything shared that a virtual server asks for. The mark of a member is not part of it: it
/// follows from the virtual server's key.
#[must_use]
pub fn shared(server: &VirtualServer) -> Vec<Shared> {
    let mut wanted = hairpins(server);
    wanted.extend(frontend_members(server));
    wanted.extend(admission_members(server));
    wanted.extend(audience_members(server));
    let family = server.key.family();
    wanted.extend(server.health_check_port.map(|port| {
        let set = SetId { purpose: Purpose::HealthCheckNodePort, family };
        Shared::Member(set, Entry::Port(port.get()))
    }));
    if server.vip == Vip::Bind {
        wanted.push(Shared::Vip(server.key.address));
    }
    wanted
}

/// The set member of this entry, with the mark that packets get from it.
#[must_use]
pub fn member(entry: Entry, mark: Option<u32>) -> Member {
    Member { entry, mark: mark.map(|value| Mark { value, mask: u32::MAX }) }
}

/// The virtual server that a member of a frontend set stands for.
#[must_use]
pub fn key_of_entry(entry: &Entry) -> Option<VirtualServerKey> {
    let Entry::IpPort { address, protocol, port } = *entry else { return None };
    Some(VirtualServerKey { address, protocol, port: port.try_into().ok()? })
}

fn frontend_entry(key: &VirtualServerKey) -> Entry {
    Entry::IpPort { address: key.address, protocol: key.protocol, port: key.port.get() }
}

/// A real server on this node can be its own client; then it must see another source address.
fn hairpins(server: &VirtualServer) -> Vec<Shared> {
    let VirtualServerKey { protocol, .. } = server.key;
    let set = SetId { purpose: Purpose::LoopBack, family: server.key.family() };
    let local = server.real_servers().filter(|real| real.locality == Locality::Local);
    local
        .map(|real| {
            let (address, port) = (real.address, real.port.get());
            Shared::Member(set, Entry::IpPortIp { address, protocol, port, source: address })
        })
        .collect()
}

/// The sets that say what kind of frontend an address and port is.
fn frontend_members(server: &VirtualServer) -> Vec<Shared> {
    let protocol = server.key.protocol;
    let family = server.key.family();
    let address_and_port = frontend_entry(&server.key);
    let entry = match (server.kind, protocol) {
        (FrontendKind::NodePort, Protocol::Tcp | Protocol::Udp) => {
            Entry::Port(server.key.port.get())
        }
        _ => address_and_port,
    };
    let keeps_source = server.source_address == SourceAddress::Keep;
    let purposes = match (server.kind, keeps_source) {
        (FrontendKind::ClusterIp, _) => vec![Purpose::ClusterIp],
        (FrontendKind::ExternalIp, false) => vec![Purpose::ExternalIp],
        (FrontendKind::ExternalIp, true) => vec![Purpose::ExternalIpLocal],
        (FrontendKind::LoadBalancer, false) => vec![Purpose::LoadBalancer],
        (FrontendKind::LoadBalancer, true) => {
            vec![Purpose::LoadBalancer, Purpose::LoadBalancerLocal]
        }
        (FrontendKind::NodePort, false) => vec![Purpose::node_port(protocol)],
        (FrontendKind::NodePort, true) => {
            vec![Purpose::node_port(protocol), Purpose::node_port_local(protocol)]
        }
    };
    purposes.into_iter().map(|purpose| Shared::Member(SetId { purpose, family }, entry)).collect()
}

/// Who is let in, for an address that does not let in everybody.
fn admission_members(server: &VirtualServer) -> Vec<Shared> {
    let Admission::Only(ranges) = &server.admission else { return Vec::new() };
    let VirtualServerKey { address, protocol, port } = server.key;
    let (port, family) = (port.get(), server.key.family());
    let source = SetId { purpose: Purpose::LoadBalancerSource, family };
    let guarded = SetId { purpose: Purpose::LoadBalancerFirewall, family };
    let range = |range: &ipnet::IpNet| {
        let network = Network::from(*range);
        Shared::Member(source, Entry::IpPortNet { address, protocol, port, network })
    };
    let guard = Shared::Member(guarded, frontend_entry(&server.key));
    ranges.iter().map(range).chain([guard]).collect()
}

/// Who is led to servers of their own, who gets no answer, and who is refused.
///
/// Without destinations IPVS refuses by itself, with an ICMP error. That is good enough for UDP; a
/// TCP client on the same kernel is not told by it before its second try, a second later, because
/// its socket is still busy connecting. A reset is never lost that way.
fn audience_members(server: &VirtualServer) -> Vec<Shared> {
    let family = server.key.family();
    let Pool { servers, when_empty } = &server.external;
    let answer = servers.is_empty().then_some(when_empty);
    let purposes = match (server.split(), answer) {
        (false, None) => vec![],
        (false, Some(WhenEmpty::Drop)) => vec![Purpose::DropAll],
        (false, Some(WhenEmpty::Reject)) if server.key.protocol != Protocol::Tcp => vec![],
        (false, Some(WhenEmpty::Reject)) => vec![Purpose::Refuse],
        (true, Some(WhenEmpty::Drop)) => vec![Purpose::InternalMark, Purpose::DropExternal],
        (true, _) => vec![Purpose::InternalMark],
    };
    let entry = frontend_entry(&server.key);
    purposes.into_iter().map(|purpose| Shared::Member(SetId { purpose, family }, entry)).collect()
}
