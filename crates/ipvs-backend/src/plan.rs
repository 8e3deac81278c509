//! From what is wanted and what is observed to an ordered list of ops. Pure: it decides, it does
//! not do; whatever reaches the kernel was in a plan first.

mod agenda;

use std::net::IpAddr;
use std::sync::Arc;

use proxy_core::diff::{Change, diff};
use proxy_core::{Family, Protocol, SourceAddress, VirtualServer, VirtualServerKey};

use crate::ledger::{Ledger, Touched};
use crate::netlink::ipset::{Entry, Member, SetSpec};
use crate::netlink::ipvs::{Destination, ServiceId};
use crate::object::{Shared, key_of_entry, member, service_id};
use crate::observe::{NodeIps, Observed, ObservedService, ObservedSet};
use crate::op::{Op, Phase, Step, vip_route};
use crate::set::{Purpose, SetId};

pub use agenda::{Agenda, Part};

/// The ops that bring everything in `touched` to what `ledger` wants: those for urgent virtual
/// servers, then the others; within each [`Part`] they are in the order of [`Phase`].
#[must_use]
pub fn plan(touched: &Touched, ledger: &Ledger, observed: &Observed, node: &NodePlan) -> Vec<Step> {
    let steps = |part| {
        let mut agenda = Agenda::new(part, touched, ledger, observed, node);
        std::iter::from_fn(move || agenda.next(usize::MAX, ledger, observed)).flatten()
    };
    Part::ALL.into_iter().flat_map(steps).collect()
}

/// The ops after which every set of ours is there and fit for what is wanted of it:
/// - one that is missing is created;
/// - one of another type is removed and created anew, for no exchange is possible;
/// - one without marks, or without room for its members, is rebuilt beside it and exchanged.
#[must_use]
pub fn set_steps(ledger: &Ledger, observed: &Observed) -> Vec<Step> {
    let step = |op| Step { phase: Phase::Sets, op, server: None };
    let ops = SetId::all().flat_map(|set| match observed.sets.get(&set) {
        None => vec![Op::CreateSet(set, set.spec())],
        Some(there) if there.spec.kind != set.spec().kind => {
            vec![Op::DestroySet(set), Op::CreateSet(set, set.spec())]
        }
        Some(there) if is_fit(set, there, ledger) => vec![],
        Some(there) => rebuild(set, there),
    });
    ops.map(step).collect()
}

/// The ops after which every set has room for the members that it gets. Most of an earlier proxy's
/// sets have less room than ours, and are kept until that is too little.
#[must_use]
pub fn room_steps(agenda: &Agenda<'_>, observed: &Observed) -> Vec<Step> {
    let is_short = |set: SetId, there: &ObservedSet, added| {
        let room = there.spec.max_elements;
        room < set.spec().max_elements && there.members.len() + added > room as usize
    };
    let there = agenda.added.iter().filter_map(|(&set, &added)| {
        observed.sets.get(&set).filter(|there| is_short(set, there, added)).map(|it| (set, it))
    });
    let step = |op| Step { phase: Phase::Sets, op, server: None };
    there.flat_map(|(set, there)| rebuild(set, there)).map(step).collect()
}

fn is_fit(set: SetId, there: &ObservedSet, ledger: &Ledger) -> bool {
    let wanted = set.spec();
    let (room, wanted_room) = (there.spec.max_elements, wanted.max_elements);
    let has_room = room >= wanted_room || ledger.members_of(set) <= room as usize;
    there.spec.skbinfo == wanted.skbinfo && has_room
}

fn rebuild(set: SetId, there: &ObservedSet) -> Vec<Op> {
    let spec = SetSpec { name: set.scratch_name(), ..set.spec() };
    let fill = there.members.keys().map(|&entry| Op::FillScratch(set, entry.into()));
    [Op::DestroyScratch(set), Op::CreateScratch(set, spec)]
        .into_iter()
        .chain(fill)
        .chain([Op::SwapScratch(set), Op::DestroyScratch(set)])
        .collect()
}

/// What a plan depends on besides the two states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodePlan {
    /// The source address of the node's own connections to virtual servers.
    pub ips: NodeIps,
    /// How addresses are made local.
    pub binding: Binding,
    /// Whether `kube-ipvs0` can be had.
    pub device: Device,
}

/// Whether the kernel has dummy devices, as far as is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// It has, or was not asked yet.
    #[default]
    Available,
    /// It has not.
    Unavailable,
}

/// How the address of a virtual server is made local to this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Binding {
    /// By a local route. Its cost does not grow with the number of addresses, and the node's own
    /// connections keep the node's address.
    #[default]
    Route,
    /// By an address on the device `kube-ipvs0`, as kube-proxy does. The kernel takes time
    /// quadratic in the number of addresses, and the node's own connections come from the virtual
    /// server's address.
    Address,
}

/// The device for virtual servers: it is there, as a sign to others that this node uses IPVS, and
/// has addresses only where they are wanted. An earlier proxy's addresses go all at once, when
/// everything that is bound instead is in place.
fn device_steps(touched: &Touched, observed: &Observed, node: &NodePlan) -> Vec<Step> {
    let step = |phase, op| Step { phase, op, server: None };
    match (&observed.device, node.binding) {
        _ if !touched.everything || node.device == Device::Unavailable => vec![],
        (None, _) => vec![step(Phase::Sets, Op::CreateDevice)],
        (Some(device), Binding::Route) if !device.addresses.is_empty() => {
            vec![step(Phase::Unbind, Op::RemoveDevice), step(Phase::Unbind, Op::CreateDevice)]
        }
        (Some(_), _) => vec![],
    }
}

/// Removes every set of ours that is there. Only possible once no rule refers to it.
#[must_use]
pub fn destroyed_sets(observed: &Observed) -> Vec<Step> {
    observed.sets.keys().map(|&set| destruction(Op::DestroySet(set))).collect()
}

/// Removes the rules that only an earlier proxy had.
#[must_use]
pub fn removed_legacy_rules(observed: &Observed) -> Vec<Step> {
    let step = |op| Step { phase: Phase::RemoveRules, op, server: None };
    let rules = observed.legacy_rules.values().map(|rules| Op::RemoveLegacyRules(rules.clone()));
    let tables = observed.legacy_tables.iter().map(|&family| Op::RemoveLegacyTable(family));
    rules.chain(tables).map(step).collect()
}

/// Removes the sets that only an earlier proxy had. Only possible once no rule refers to them.
#[must_use]
pub fn destroyed_legacy_sets(observed: &Observed) -> Vec<Step> {
    observed.legacy_sets.iter().map(|&name| destruction(Op::DestroyLegacySet(name))).collect()
}

const fn destruction(op: Op) -> Step {
    Step { phase: Phase::RemoveSets, op, server: None }
}

fn service_ops(
    id: &ServiceId,
    server: Option<VirtualServerKey>,
    ledger: &Ledger,
    observed: Option<&ObservedService>,
) -> Vec<Op> {
    let Some(wanted) = ledger.wanted_service(id) else {
        return unwanted_service_ops(id, server, ledger, observed);
    };
    let service = wanted.service;
    let mut ops = Vec::new();
    match observed {
        None => ops.push(Op::AddService(service)),
        Some(observed) if observed.service != service => ops.push(Op::SetService(service)),
        Some(_) => {}
    }
    let there = observed.into_iter().flat_map(|observed| observed.destinations.iter());
    let there = there.map(|destination| (destination.id(), destination));
    let wanted = wanted.destinations().map(|destination| (destination.id(), destination));
    let drains = server.is_none_or(|key| drains(key.protocol));
    ops.extend(diff(there, wanted).filter_map(|(_, change)| destination_op(id, change, drains)));
    ops
}

/// A service goes at once with its virtual server. One that was for inside clients only, while its
/// virtual server stays, lets its connections end first.
fn unwanted_service_ops(
    id: &ServiceId,
    server: Option<VirtualServerKey>,
    ledger: &Ledger,
    observed: Option<&ObservedService>,
) -> Vec<Op> {
    let Some(observed) = observed else { return Vec::new() };
    let outlives_use = matches!(id, ServiceId::Fwmark { .. })
        && !observed.destinations.is_empty()
        && server.is_none_or(|key| ledger.server(&key).is_some() && drains(key.protocol));
    if !outlives_use {
        return vec![Op::DeleteService(*id)];
    }
    let busy = observed.destinations.iter().filter(|destination| destination.weight > 0);
    busy.map(|there| Op::SetDestination(*id, Destination { weight: 0, ..there })).collect()
}

/// - Wanted and missing: added. Wanted and different, weight 0 included: changed in place, which
///   cuts no connection.
/// - Unwanted, and its connections can end: weight 0, and who watches them removes it.
/// - Unwanted otherwise: removed, or its flows would go on for ever.
fn destination_op(
    id: &ServiceId,
    change: Change<Destination, Destination>,
    drains: bool,
) -> Option<Op> {
    match change {
        Change::Added(wanted) => Some(Op::AddDestination(*id, wanted)),
        Change::Kept(there, wanted) if there == wanted => None,
        Change::Kept(_, wanted) => Some(Op::SetDestination(*id, wanted)),
        Change::Removed(there) if !drains => Some(Op::DeleteDestination(*id, there.id())),
        Change::Removed(there) if there.weight == 0 => None,
        Change::Removed(there) => Some(Op::SetDestination(*id, Destination { weight: 0, ..there })),
    }
}

/// Whether real servers of this protocol are drained before they go.
#[must_use]
pub fn drains(protocol: Protocol) -> bool {
    protocol == Protocol::Tcp
}

fn shared_ops(object: &Shared, ledger: &Ledger, observed: &Observed, node: &NodePlan) -> Vec<Op> {
    let wanted = ledger.wants(object);
    match *object {
        Shared::Vip(address) => vip_ops(address, wanted, observed, node),
        Shared::Member(set, entry) => {
            let mark = ledger.mark_of(set, &entry);
            let is_unmarked = set.purpose == Purpose::InternalMark && mark.is_none();
            let wanted = (wanted && !is_unmarked).then(|| member(entry, mark));
            member_op(set, entry, wanted, observed).into_iter().collect()
        }
    }
}

fn member_op(set: SetId, entry: Entry, wanted: Option<Member>, observed: &Observed) -> Option<Op> {
    let there = observed.sets.get(&set).and_then(|set| set.members.get(&entry));
    match (wanted, there) {
        (Some(wanted), Some(there)) if wanted.mark.map(|mark| mark.value) == *there => None,
        (Some(wanted), _) => Some(Op::AddMember(set, wanted)),
        (None, Some(_)) => Some(Op::DeleteMember(set, entry)),
        (None, None) => None,
    }
}

/// An address that an interface of this node has is local already.
fn vip_ops(address: IpAddr, wanted: bool, observed: &Observed, node: &NodePlan) -> Vec<Op> {
    let wanted = wanted && !observed.node_addresses.contains(&address);
    let family = Family::of(address);
    let route = vip_route(address, observed.loopback, node.ips.of(family));
    let by_route = wanted && node.binding == Binding::Route;
    let route_op = match (by_route, observed.routes.get(&address)) {
        (true, None) => Some(Op::AddRoute(route)),
        (true, Some(there)) if *there != route => {
            Some(Op::ReplaceRoute { old: *there, new: route })
        }
        (false, Some(there)) => Some(Op::DeleteRoute(*there)),
        (true, Some(_)) | (false, None) => None,
    };
    let is_held = observed.device.as_ref().is_some_and(|it| it.addresses.contains(&address));
    let address_op = match (wanted && node.binding == Binding::Address, is_held) {
        (true, false) => Some(Op::AddAddress(address)),
        // The other way of binding removes them all at once.
        (false, true) if node.binding == Binding::Address => Some(Op::DeleteAddress(address)),
        _ => None,
    };
    let set = SetId { purpose: Purpose::IpvsIps, family };
    let entry = Entry::Ip(address);
    let member_op = member_op(set, entry, wanted.then(|| entry.into()), observed);
    route_op.into_iter().chain(address_op).chain(member_op).collect()
}

fn phase(op: &Op, ledger: &Ledger, observed: &Observed) -> Phase {
    match op {
        Op::CreateDevice
        | Op::CreateSet(..)
        | Op::CreateScratch(..)
        | Op::FillScratch(..)
        | Op::SwapScratch(_)
        | Op::DestroyScratch(_) => Phase::Sets,
        Op::AddMember(set, member) => adding_phase(*set, member.entry, observed),
        Op::DeleteMember(set, entry) => removing_phase(*set, *entry, ledger),
        Op::AddService(_) | Op::SetService(_) => Phase::Services,
        Op::SetDestination(_, Destination { weight: 0, .. }) | Op::DeleteDestination(..) => {
            Phase::Drain
        }
        Op::AddDestination(..) | Op::SetDestination(..) => Phase::Destinations,
        Op::AddRoute(_) | Op::ReplaceRoute { .. } | Op::AddAddress(_) => Phase::Bind,
        Op::DeleteRoute(_) | Op::DeleteAddress(_) | Op::RemoveDevice => Phase::Unbind,
        Op::DeleteService(_) => Phase::RemoveServices,
        Op::RemoveLegacyRules(_) | Op::RemoveLegacyTable(_) => Phase::RemoveRules,
        Op::DestroySet(_) | Op::DestroyLegacySet(_) => Phase::RemoveSets,
    }
}

/// Clients of a new frontend keep their addresses from the start; those of one that is there
/// already, once it has no servers on other nodes.
fn adding_phase(set: SetId, entry: Entry, observed: &Observed) -> Phase {
    match set.purpose {
        Purpose::IpvsIps
        | Purpose::LoadBalancerFirewall
        | Purpose::DropExternal
        | Purpose::DropAll => Phase::Guard,
        Purpose::InternalMark => Phase::Divert,
        Purpose::Refuse => Phase::Keep,
        purpose => match purpose.masqueraded() {
            Some(purpose) if is_served(SetId { purpose, ..set }, entry, observed) => Phase::Keep,
            _ => Phase::Members,
        },
    }
}

/// Whether a frontend, which is in `masqueraded` when its clients are, is there already.
fn is_served(masqueraded: SetId, entry: Entry, observed: &Observed) -> bool {
    let service = key_of_entry(&entry).map(|key| service_id(&key));
    service.is_some_and(|id| observed.services.contains_key(&id))
        || observed.has_member(masqueraded, &entry)
}

fn removing_phase(set: SetId, entry: Entry, ledger: &Ledger) -> Phase {
    match set.purpose {
        Purpose::IpvsIps | Purpose::LoadBalancerFirewall => Phase::Unguard,
        Purpose::InternalMark | Purpose::DropExternal | Purpose::DropAll | Purpose::Refuse => {
            Phase::Undivert
        }
        purpose if purpose.keeps_source() => {
            let masqueraded = purpose.masqueraded().map(|purpose| SetId { purpose, ..set });
            let stays = masqueraded.is_some_and(|set| ledger.wants(&Shared::Member(set, entry)));
            // It may have become a frontend of another kind.
            let server = key_of_entry(&entry).and_then(|key| ledger.server(&key));
            let is_masqueraded = |it: &Arc<VirtualServer>| it.source_address != SourceAddress::Keep;
            if stays || server.is_some_and(is_masqueraded) {
                Phase::Unkeep
            } else {
                Phase::RemoveMembers
            }
        }
        _ => Phase::RemoveMembers,
    }
}
