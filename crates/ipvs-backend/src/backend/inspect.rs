//! Reads virtual servers back from the kernel's objects.

use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;

use proxy_core::{
    Admission, BackendError, DesiredState, FrontendKind, Inspect, Locality, Pool, Priority,
    RealServer, Scheduler, SchedulerFlags, ServiceKey, ServicePortName, SessionAffinity,
    SourceAddress, Vip, VirtualServer, VirtualServerKey, WhenEmpty,
};

use super::IpvsBackend;
use crate::kernel::Kernel;
use crate::netlink::ipset::Entry;
use crate::netlink::ipvs::{Service, ServiceFlags, ServiceId};
use crate::object::internal_service_id;
use crate::observe::{Observed, ObservedService};
use crate::set::{Purpose, SetId};

impl<K: Kernel> Inspect for IpvsBackend<K> {
    /// Which Service a virtual server comes from, and what follows from that alone, is not in the
    /// kernel; those fields have neutral values.
    fn inspect(&mut self) -> Result<Vec<VirtualServer>, BackendError> {
        let observed = self.survey(&DesiredState::new())?.observed;
        let ours = observed.services.iter().filter(|(id, _)| self.ownership.owns(id, &observed));
        Ok(ours.filter_map(|(id, service)| virtual_server(id, service, &observed)).collect())
    }
}

fn virtual_server(
    id: &ServiceId,
    service: &ObservedService,
    observed: &Observed,
) -> Option<VirtualServer> {
    let ServiceId::Address { protocol, address, port } = *id else { return None };
    let key = VirtualServerKey { address, protocol, port: NonZeroU16::new(port)? };
    let external = pool(service);
    let internal = internal_service(&key, observed).map_or_else(|| external.clone(), pool);
    Some(VirtualServer {
        key,
        origin: ServicePortName { service: ServiceKey::new("", ""), port: "".into() },
        kind: FrontendKind::ClusterIp,
        scheduler: service.service.scheduler.as_str().parse().unwrap_or(Scheduler::RoundRobin),
        scheduler_flags: scheduler_flags(service.service.flags),
        session_affinity: session_affinity(&service.service),
        admission: admission(&key, observed),
        external,
        internal,
        unchosen: Arc::new([]),
        vip: if observed.routes.contains_key(&address) { Vip::Bind } else { Vip::Leave },
        source_address: SourceAddress::MasqueradeOffCluster,
        health_check_port: None,
        drain_limit: None,
        priority: Priority::Normal,
    })
}

fn pool(service: &ObservedService) -> Pool {
    let real_server = |destination: crate::netlink::ipvs::Destination| {
        let weight = u16::try_from(destination.weight).unwrap_or(u16::MAX);
        Some(RealServer {
            address: destination.address,
            port: NonZeroU16::new(destination.port)?,
            // One that drains serves nobody new.
            weight: NonZeroU16::new(weight)?,
            locality: Locality::Remote,
        })
    };
    let servers = service.destinations.iter().filter_map(real_server).collect();
    Pool { servers, when_empty: WhenEmpty::Reject }
}

/// The service that packets of inside clients are led to.
fn internal_service<'a>(
    key: &VirtualServerKey,
    observed: &'a Observed,
) -> Option<&'a ObservedService> {
    let set = SetId { purpose: Purpose::InternalMark, family: key.family() };
    let mark = (*observed.sets.get(&set)?.members.get(&frontend(key))?)?;
    observed.services.get(&internal_service_id(key, mark))
}

const fn frontend(key: &VirtualServerKey) -> Entry {
    Entry::IpPort { address: key.address, protocol: key.protocol, port: key.port.get() }
}

const fn scheduler_flags(flags: ServiceFlags) -> SchedulerFlags {
    SchedulerFlags {
        fallback: flags.contains(ServiceFlags::SCHED1),
        port: flags.contains(ServiceFlags::SCHED2),
    }
}

fn session_affinity(service: &Service) -> Option<SessionAffinity> {
    let timeout_seconds = NonZeroU32::new(service.timeout)?;
    let is_persistent = service.flags.contains(ServiceFlags::PERSISTENT);
    is_persistent.then_some(SessionAffinity { timeout_seconds })
}

fn admission(key: &VirtualServerKey, observed: &Observed) -> Admission {
    let family = key.family();
    let guarded = SetId { purpose: Purpose::LoadBalancerFirewall, family };
    if !observed.has_member(guarded, &frontend(key)) {
        return Admission::Anyone;
    }
    let sources = SetId { purpose: Purpose::LoadBalancerSource, family };
    let members = observed.sets.get(&sources).into_iter().flat_map(|set| set.members.keys());
    let ranges = members.filter_map(|entry| match *entry {
        Entry::IpPortNet { address, protocol, port, network }
            if (address, protocol, port) == (key.address, key.protocol, key.port.get()) =>
        {
            Some(network.into())
        }
        _ => None,
    });
    Admission::Only(ranges.collect())
}
