//! What one virtual server asks of the kernel, as plain values. Pure.

use std::net::IpAddr;

use proxy_core::{
    Admission, FrontendKind, Locality, SchedulerFlags, SourceAddress, Vip, VirtualServer,
    VirtualServerKey,
};

use crate::netlink::ipset::{Entry, Network};
use crate::netlink::ipvs::{
    Destination, DestinationId, SchedulerName, Service, ServiceFlags, ServiceId,
};
use crate::set::{Purpose, SetId};

/// The IPVS service of a virtual server.
#[must_use]
pub fn service(server: &VirtualServer) -> Service {
    let scheduler = SchedulerName::try_from(server.scheduler.name())
        .expect("every scheduler of the enum has a short name");
    let mut service = Service::new(service_id(&server.key), scheduler);
    service.flags = scheduler_flags(server.scheduler_flags);
    match server.session_affinity {
        Some(affinity) => service.persistent(affinity.timeout_seconds.get()),
        None => service,
    }
}

/// The key of the IPVS service of a virtual server.
#[must_use]
pub const fn service_id(key: &VirtualServerKey) -> ServiceId {
    ServiceId::Address { protocol: key.protocol, address: key.address, port: key.port.get() }
}

fn scheduler_flags(flags: SchedulerFlags) -> ServiceFlags {
    let fallback = if flags.fallback { ServiceFlags::SCHED1 } else { ServiceFlags::NONE };
    let port = if flags.port { ServiceFlags::SCHED2 } else { ServiceFlags::NONE };
    fallback | port
}

/// The destinations of the address-keyed service of a virtual server, sorted by their ids.
pub fn destinations(server: &VirtualServer) -> impl Iterator<Item = Destination> {
    server.external.servers.iter().map(|real| {
        let id = DestinationId { address: real.address, port: real.port.get() };
        Destination::new(id, u32::from(real.weight.get()))
    })
}

/// Something in the kernel that several virtual servers can ask for. It exists while one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shared {
    /// A member of a set.
    Member(SetId, Entry),
    /// An address that is local to this node: its route and its place in `KUBE-IPVS-IPS`.
    Vip(IpAddr),
}

/// Everything shared that a virtual server asks for.
#[must_use]
pub fn shared(server: &VirtualServer) -> Vec<Shared> {
    let mut wanted = hairpins(server);
    wanted.extend(frontend_members(server));
    wanted.extend(admission_members(server));
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
    let VirtualServerKey { address, protocol, port } = server.key;
    let keeps_source = server.source_address == SourceAddress::Keep;
    let family = server.key.family();
    let address_and_port = Entry::IpPort { address, protocol, port: port.get() };
    let member = |purpose, entry| Shared::Member(SetId { purpose, family }, entry);
    match server.kind {
        FrontendKind::ClusterIp => vec![member(Purpose::ClusterIp, address_and_port)],
        FrontendKind::ExternalIp if keeps_source => {
            vec![member(Purpose::ExternalIpLocal, address_and_port)]
        }
        FrontendKind::ExternalIp => vec![member(Purpose::ExternalIp, address_and_port)],
        FrontendKind::LoadBalancer => {
            let local = keeps_source.then(|| member(Purpose::LoadBalancerLocal, address_and_port));
            local.into_iter().chain([member(Purpose::LoadBalancer, address_and_port)]).collect()
        }
        FrontendKind::NodePort => {
            let entry = match Purpose::node_port(protocol) {
                Purpose::NodePortSctp => address_and_port,
                _ => Entry::Port(port.get()),
            };
            let local = keeps_source.then(|| member(Purpose::node_port_local(protocol), entry));
            local.into_iter().chain([member(Purpose::node_port(protocol), entry)]).collect()
        }
    }
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
    let guard = Shared::Member(guarded, Entry::IpPort { address, protocol, port });
    ranges.iter().map(range).chain([guard]).collect()
}
