//! Which destinations drain, and what is removed when they have. Pure.

use std::num::NonZeroU16;

use crate::drain::Cause;
use crate::ledger::Ledger;
use crate::netlink::ipvs::{Destination, DestinationId, ServiceId};
use crate::observe::{Observed, ObservedService};
use crate::op::{Op, Phase, Step};

/// The destinations of a service that wait for their connections to end, and why they go.
pub(super) fn draining(
    id: &ServiceId,
    observed: &ObservedService,
    ledger: &Ledger,
) -> Vec<(DestinationId, Cause)> {
    let wanted = ledger.wanted_service(id).map_or_else(Vec::new, |wanted| wanted.destinations);
    let is_wanted = |id: &DestinationId| wanted.binary_search_by_key(id, Destination::id).is_ok();
    let owner = ledger.owner(id);
    let limit = owner.and_then(|server| server.drain_limit);
    let exists = |id: &DestinationId| {
        let is_it = |address, port: NonZeroU16| (address, port.get()) == (id.address, id.port);
        owner.is_none_or(|server| {
            server.real_servers().any(|real| is_it(real.address, real.port))
                || server.unchosen.iter().any(|&(address, port)| is_it(address, port))
        })
    };
    let unwanted = observed.destinations.iter().filter(|there| there.weight == 0);
    unwanted
        .map(Destination::id)
        .filter(|id| !is_wanted(id))
        .map(|id| (id, if exists(&id) { Cause::Leaving { limit } } else { Cause::Gone }))
        .collect()
}

/// The ops that remove destinations whose time is over, and the service too if it is not wanted
/// and has no others.
pub(super) fn end(
    id: ServiceId,
    ended: &[DestinationId],
    ledger: &Ledger,
    observed: &Observed,
) -> Vec<Step> {
    let server = ledger.owner(&id).map(|server| server.key);
    let there = observed.services.get(&id).map_or(0, |it| it.destinations.len());
    if ledger.wanted_service(&id).is_none() && there == ended.len() {
        return vec![Step { phase: Phase::RemoveServices, op: Op::DeleteService(id), server }];
    }
    let delete = |&destination: &DestinationId| Step {
        phase: Phase::Drain,
        op: Op::DeleteDestination(id, destination),
        server,
    };
    ended.iter().map(delete).collect()
}
