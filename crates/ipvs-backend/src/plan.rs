//! From what is wanted and what is observed to an ordered list of ops. Pure: it decides, it does
//! not do; whatever reaches the kernel was in a plan first.

use std::net::IpAddr;

use proxy_core::diff::{Change, diff};
use proxy_core::{Family, Protocol, VirtualServerKey};

use crate::ledger::{Ledger, Touched};
use crate::netlink::ipset::Entry;
use crate::netlink::ipvs::{Destination, ServiceId};
use crate::object::{Shared, destinations, service};
use crate::observe::{NodeIps, Observed, ObservedService};
use crate::op::{Op, Step, vip_route};
use crate::set::{Purpose, SetId};

/// The ops that bring everything in `touched` to what `ledger` wants. Those for urgent virtual
/// servers come first, and within each of the two groups the order is that of
/// [`crate::op::Phase`].
#[must_use]
pub fn plan(
    touched: &Touched,
    ledger: &Ledger,
    observed: &Observed,
    node_ips: NodeIps,
) -> Vec<Step> {
    let mut steps = Vec::new();
    for (id, &server) in &touched.services {
        let ops = service_ops(id, ledger, observed.services.get(id));
        steps.extend(ops.into_iter().map(|op| Step { op, server }));
    }
    for (object, &server) in &touched.shared {
        let ops = match *object {
            Shared::Member(set, entry) => {
                member_op(set, entry, ledger.wants(object), observed).into_iter().collect()
            }
            Shared::Vip(address) => vip_ops(address, ledger.wants(object), observed, node_ips),
        };
        steps.extend(ops.into_iter().map(|op| Step { op, server }));
    }
    let is_urgent = |server: Option<VirtualServerKey>| {
        server.is_some_and(|server| touched.urgent.contains(&server))
    };
    steps.sort_by_key(|step| (!is_urgent(step.server), step.op.phase()));
    steps
}

/// The sets that are missing. They belong to no virtual server and come before everything.
#[must_use]
pub fn missing_sets(observed: &Observed) -> Vec<Step> {
    SetId::all()
        .filter(|set| !observed.sets.contains_key(set))
        .map(|set| Step { op: Op::CreateSet(set, set.spec()), server: None })
        .collect()
}

/// Removes every set of ours that is there. Only possible once no rule refers to it.
#[must_use]
pub fn destroyed_sets(observed: &Observed) -> Vec<Step> {
    observed.sets.keys().map(|&set| Step { op: Op::DestroySet(set), server: None }).collect()
}

fn service_ops(id: &ServiceId, ledger: &Ledger, observed: Option<&ObservedService>) -> Vec<Op> {
    let Some(server) = ledger.server(id) else {
        return observed.map(|_| Op::DeleteService(*id)).into_iter().collect();
    };
    let wanted = service(server);
    let mut ops = Vec::new();
    match observed {
        None => ops.push(Op::AddService(wanted)),
        Some(observed) if observed.service != wanted => ops.push(Op::SetService(wanted)),
        Some(_) => {}
    }
    let there = observed.map_or(&[][..], |observed| &observed.destinations);
    let there = there.iter().map(|destination| (destination.id(), *destination));
    let wanted = destinations(server).map(|destination| (destination.id(), destination));
    ops.extend(diff(there, wanted).filter_map(|(_, change)| destination_op(id, change)));
    ops
}

/// - Wanted and missing: added. Wanted and different, weight 0 included: changed in place, which
///   cuts no connection.
/// - Unwanted TCP: weight 0, so that its connections can end; who watches them removes it.
/// - Unwanted UDP and SCTP: removed, or its flows would go on for ever.
fn destination_op(id: &ServiceId, change: Change<Destination, Destination>) -> Option<Op> {
    match change {
        Change::Added(wanted) => Some(Op::AddDestination(*id, wanted)),
        Change::Kept(there, wanted) if there == wanted => None,
        Change::Kept(_, wanted) => Some(Op::SetDestination(*id, wanted)),
        Change::Removed(there) if !drains(id) => Some(Op::DeleteDestination(*id, there.id())),
        Change::Removed(there) if there.weight == 0 => None,
        Change::Removed(there) => Some(Op::SetDestination(*id, Destination { weight: 0, ..there })),
    }
}

/// Whether destinations of this service are drained before they go.
#[must_use]
pub const fn drains(id: &ServiceId) -> bool {
    matches!(id, ServiceId::Address { protocol: Protocol::Tcp, .. })
}

fn member_op(set: SetId, entry: Entry, wanted: bool, observed: &Observed) -> Option<Op> {
    match (wanted, observed.has_member(set, &entry)) {
        (true, false) => Some(Op::AddMember(set, entry)),
        (false, true) => Some(Op::DeleteMember(set, entry)),
        (true, true) | (false, false) => None,
    }
}

/// An address that an interface of this node has is local already.
fn vip_ops(address: IpAddr, wanted: bool, observed: &Observed, node_ips: NodeIps) -> Vec<Op> {
    let wanted = wanted && !observed.node_addresses.contains(&address);
    let family = Family::of(address);
    let route = vip_route(address, observed.loopback, node_ips.of(family));
    let route_op = match (wanted, observed.routes.get(&address)) {
        (true, None) => Some(Op::AddRoute(route)),
        (true, Some(there)) if *there != route => {
            Some(Op::ReplaceRoute { old: *there, new: route })
        }
        (false, Some(there)) => Some(Op::DeleteRoute(*there)),
        (true, Some(_)) | (false, None) => None,
    };
    let set = SetId { purpose: Purpose::IpvsIps, family };
    let member_op = member_op(set, Entry::Ip(address), wanted, observed);
    route_op.into_iter().chain(member_op).collect()
}
