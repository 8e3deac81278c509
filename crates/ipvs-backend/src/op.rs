//! One request to the kernel, as a value that can be read before it is carried out.

use std::fmt;
use std::net::IpAddr;

use proxy_core::VirtualServerKey;

use crate::netlink::ipset::{Entry, SetSpec};
use crate::netlink::ipvs::{Destination, DestinationId, Service, ServiceId};
use crate::netlink::route::LocalRoute;
use crate::set::SetId;

/// One request to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Create a set.
    CreateSet(SetId, SetSpec),
    /// Remove a set.
    DestroySet(SetId),
    /// Add a member to a set.
    AddMember(SetId, Entry),
    /// Remove a member from a set.
    DeleteMember(SetId, Entry),
    /// Create an IPVS service.
    AddService(Service),
    /// Change an IPVS service in place.
    SetService(Service),
    /// Remove an IPVS service with its destinations.
    DeleteService(ServiceId),
    /// Add a destination.
    AddDestination(ServiceId, Destination),
    /// Change a destination in place; weight 0 drains it.
    SetDestination(ServiceId, Destination),
    /// Remove a destination.
    DeleteDestination(ServiceId, DestinationId),
    /// Make an address local.
    AddRoute(LocalRoute),
    /// Mend the route of a local address.
    ReplaceRoute {
        /// As it is.
        old: LocalRoute,
        /// As it should be.
        new: LocalRoute,
    },
    /// Make an address foreign again.
    DeleteRoute(LocalRoute),
}

impl Op {
    /// Its place in an order that loses no packet: what a packet needs comes before what attracts
    /// it, new servers come before old ones drain, and removal goes the other way.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        use crate::set::Purpose::IpvsIps;
        match self {
            Self::CreateSet(..) => Phase::Sets,
            Self::AddMember(SetId { purpose: IpvsIps, .. }, _) => Phase::Guard,
            Self::AddMember(..) => Phase::Members,
            Self::AddService(_) | Self::SetService(_) => Phase::Services,
            Self::AddDestination(..) => Phase::Destinations,
            Self::SetDestination(_, Destination { weight: 0, .. })
            | Self::DeleteDestination(..) => Phase::Drain,
            Self::SetDestination(..) => Phase::Destinations,
            Self::AddRoute(_) | Self::ReplaceRoute { .. } => Phase::Bind,
            Self::DeleteRoute(_) => Phase::Unbind,
            Self::DeleteService(_) => Phase::RemoveServices,
            Self::DeleteMember(SetId { purpose: IpvsIps, .. }, _) => Phase::Unguard,
            Self::DeleteMember(..) => Phase::RemoveMembers,
            Self::DestroySet(_) => Phase::RemoveSets,
        }
    }

    /// The address of the object, for lists by address.
    #[must_use]
    pub const fn service(&self) -> Option<ServiceId> {
        match self {
            Self::AddService(service) | Self::SetService(service) => Some(service.id),
            Self::DeleteService(id)
            | Self::AddDestination(id, _)
            | Self::SetDestination(id, _)
            | Self::DeleteDestination(id, _) => Some(*id),
            _ => None,
        }
    }
}

/// Where in a round an op belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Sets exist before rules or members refer to them.
    Sets,
    /// Masquerade and admission are decided before a packet comes.
    Members,
    /// From here on unknown ports of an address are refused.
    Guard,
    /// Virtual services.
    Services,
    /// Servers to take connections.
    Destinations,
    /// Addresses begin to attract packets.
    Bind,
    /// Servers that are not wanted stop taking new connections, or go.
    Drain,
    /// Addresses no longer attract packets.
    Unbind,
    /// Virtual services go.
    RemoveServices,
    /// Nothing is refused any more.
    Unguard,
    /// What packets needed goes.
    RemoveMembers,
    /// The sets go.
    RemoveSets,
}

impl Phase {
    /// Whether ops of this phase build something up for a virtual server: they are not worth
    /// trying once an earlier one has failed, and an address must not be bound to a hole.
    #[must_use]
    pub fn builds(self) -> bool {
        self <= Self::Bind
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateSet(_, spec) => write!(f, "+ set {} {}", spec.name, spec.kind),
            Self::DestroySet(set) => write!(f, "- set {set}"),
            Self::AddMember(set, entry) => write!(f, "+ set {set} member {entry}"),
            Self::DeleteMember(set, entry) => write!(f, "- set {set} member {entry}"),
            Self::AddService(service) => write!(f, "+ service {}", Described(service)),
            Self::SetService(service) => write!(f, "~ service {}", Described(service)),
            Self::DeleteService(id) => write!(f, "- service {id}"),
            Self::AddDestination(id, destination) => {
                write!(f, "+ server {id} -> {} weight {}", destination.id(), destination.weight)
            }
            Self::SetDestination(id, destination) => {
                write!(f, "~ server {id} -> {} weight {}", destination.id(), destination.weight)
            }
            Self::DeleteDestination(id, destination) => {
                write!(f, "- server {id} -> {destination}")
            }
            Self::AddRoute(route) => write!(f, "+ address {}", Bound(route)),
            Self::ReplaceRoute { new, .. } => write!(f, "~ address {}", Bound(new)),
            Self::DeleteRoute(route) => write!(f, "- address {}", route.address),
        }
    }
}

/// A service with what matters of its settings.
struct Described<'a>(&'a Service);

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let service = self.0;
        write!(f, "{} {}", service.id, service.scheduler)?;
        if service.timeout > 0 {
            write!(f, " persistent {} s", service.timeout)?;
        }
        match service.flags.bits() & !crate::netlink::ipvs::ServiceFlags::PERSISTENT.bits() {
            0 => Ok(()),
            flags => write!(f, " flags {flags:#x}"),
        }
    }
}

/// A local address with the source address of the node's own connections to it.
struct Bound<'a>(&'a LocalRoute);

impl fmt::Display for Bound<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.address)?;
        match self.0.preferred_source {
            Some(source) => write!(f, " src {source}"),
            None => Ok(()),
        }
    }
}

/// An op, and which virtual server is told if it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What is done.
    pub op: Op,
    /// For whom; `None` for leftovers and what belongs to the node.
    pub server: Option<VirtualServerKey>,
}

/// The address that makes the node's own connections to `vip` come from itself.
#[must_use]
pub(crate) fn vip_route(vip: IpAddr, device: u32, preferred_source: Option<IpAddr>) -> LocalRoute {
    LocalRoute { address: vip, device, preferred_source, protocol: crate::ROUTE_PROTOCOL }
}
