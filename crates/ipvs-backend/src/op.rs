//! One request to the kernel, as a value that can be read before it is carried out.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use proxy_core::{Family, VirtualServerKey};

use crate::DUMMY_DEVICE;
use crate::netlink::ipset::{Entry, Member, SetName, SetSpec};
use crate::netlink::ipvs::{Destination, DestinationId, Service, ServiceId};
use crate::netlink::route::LocalRoute;
use crate::rules::{LEGACY_TABLE, LegacyRules};
use crate::set::SetId;

/// One request to the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Create a set.
    CreateSet(SetId, SetSpec),
    /// Remove a set.
    DestroySet(SetId),
    /// Remove a set that only an earlier proxy had.
    DestroyLegacySet(SetName),
    /// Create a set beside one that has to be replaced.
    CreateScratch(SetId, SetSpec),
    /// Add a member to the set beside it.
    FillScratch(SetId, Member),
    /// Exchange the two: rules that refer to the old one refer to the new one from here on.
    SwapScratch(SetId),
    /// Remove the one that was exchanged.
    DestroyScratch(SetId),
    /// Add a member to a set.
    AddMember(SetId, Member),
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
    /// Put an address on the device for virtual servers.
    AddAddress(IpAddr),
    /// Take an address off that device.
    DeleteAddress(IpAddr),
    /// Create that device, down and without addresses.
    CreateDevice,
    /// Remove that device with all of its addresses, in one go.
    RemoveDevice,
    /// Remove rules that only an earlier proxy had.
    RemoveLegacyRules(Arc<LegacyRules>),
    /// Remove the table of `nf_tables` that only an earlier proxy had, of this family.
    RemoveLegacyTable(Family),
}

/// Where in a round an op belongs. In this order no packet is lost or sent to the wrong place:
/// what a packet needs comes before what attracts it, new servers come before old ones drain, and
/// removal goes the other way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Sets exist before rules or members refer to them.
    Sets,
    /// Masquerading is decided, and who is admitted, before a packet comes.
    Members,
    /// From here on some are not let in, and unknown ports of an address are refused.
    Guard,
    /// Clients of a frontend that stays are masqueraded again, before they can reach servers on
    /// other nodes.
    Unkeep,
    /// Virtual services.
    Services,
    /// Servers to take connections.
    Destinations,
    /// Inside clients are led to the servers for them.
    Divert,
    /// Inside clients use the common servers again; nobody is left without an answer.
    Undivert,
    /// Servers that are not wanted stop taking new connections, or go.
    Drain,
    /// Clients keep their addresses, once no server is left that could not answer them; where none
    /// is left at all they are refused.
    Keep,
    /// Addresses begin to attract packets.
    Bind,
    /// Addresses no longer attract packets.
    Unbind,
    /// Virtual services go.
    RemoveServices,
    /// Nothing is refused any more.
    Unguard,
    /// What packets needed goes.
    RemoveMembers,
    /// Rules of an earlier proxy go, once what it served is served without them.
    RemoveRules,
    /// The sets go, to which no rule refers any more.
    RemoveSets,
}

impl Phase {
    /// Whether ops of this phase build something up for a virtual server: they are not worth
    /// trying once an earlier one has failed. An address must not be bound to a hole, and old
    /// servers must not drain when new ones could not be added.
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
            Self::DestroyLegacySet(name) => write!(f, "- set {name}"),
            Self::CreateScratch(set, spec) => {
                write!(f, "+ set {} {} in place of {set}", spec.name, spec.kind)
            }
            Self::FillScratch(set, member) => {
                write!(f, "+ set {} member {}", set.scratch_name(), member.entry)
            }
            Self::SwapScratch(set) => write!(f, "~ set {set} becomes {}", set.scratch_name()),
            Self::DestroyScratch(set) => write!(f, "- set {}", set.scratch_name()),
            Self::AddMember(set, member) => {
                write!(f, "+ set {set} member {}", member.entry)?;
                member.mark.map_or(Ok(()), |mark| write!(f, " mark {mark}"))
            }
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
            Self::AddAddress(address) => write!(f, "+ address {address} on {DUMMY_DEVICE}"),
            Self::DeleteAddress(address) => write!(f, "- address {address} on {DUMMY_DEVICE}"),
            Self::CreateDevice => write!(f, "+ device {DUMMY_DEVICE}"),
            Self::RemoveDevice => write!(f, "- device {DUMMY_DEVICE} with its addresses"),
            Self::RemoveLegacyRules(rules) => write!(f, "- {rules}"),
            Self::RemoveLegacyTable(family) => {
                write!(f, "- {family} table {LEGACY_TABLE} of nf_tables")
            }
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When in a round.
    pub phase: Phase,
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
