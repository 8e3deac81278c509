//! Which destinations drain, and what is removed when they have.

use std::num::NonZeroU16;
use std::time::Instant;

use proxy_core::{BackendError, Report};

use super::IpvsBackend;
use crate::drain::Cause;
use crate::kernel::Kernel;
use crate::ledger::Ledger;
use crate::netlink::ipvs::{DestinationId, ServiceId};
use crate::observe::{Observed, ObservedService};
use crate::op::{Op, Phase, Step};

impl<K: Kernel> IpvsBackend<K> {
    /// Notes which destinations of `services` are at weight 0 and not wanted, and which marks are
    /// free again.
    pub(super) fn watch_drains<'a>(&mut self, services: impl IntoIterator<Item = &'a ServiceId>) {
        for id in services {
            self.observed.share(id, &self.ledger);
            let observed = self.observed.services.get(id);
            let draining = observed.map_or_else(Vec::new, |it| draining(id, it, &self.ledger));
            self.drains.set(*id, draining);
            if let ServiceId::Fwmark { mark, .. } = *id {
                match observed {
                    Some(_) => self.ledger.marks_mut().take(mark),
                    None => self.ledger.free_mark(mark),
                }
            }
        }
    }

    /// Removes drained destinations whose time is over.
    pub(super) fn end_drains(&mut self, now: Instant) -> Result<Report, BackendError> {
        let mut report = Report::default();
        for id in self.drains.due(now) {
            let statuses = self.kernel.destinations(&id).map_err(|source| BackendError::Io {
                attempt: format!("count the connections of {id}"),
                source,
            })?;
            let ended = self.drains.look(&id, &statuses, now);
            let steps = end(id, &ended, &self.ledger, &self.observed);
            report.merge(self.carry_out(&steps)?);
            self.watch_drains([&id]);
        }
        Ok(report)
    }
}

/// The destinations of a service that wait for their connections to end, and why they go.
fn draining(
    id: &ServiceId,
    observed: &ObservedService,
    ledger: &Ledger,
) -> Vec<(DestinationId, Cause)> {
    let wanted = ledger.wanted_service(id);
    let is_wanted = |id: &DestinationId| wanted.as_ref().is_some_and(|wanted| wanted.has(id));
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
        .map(|there| there.id())
        .filter(|id| !is_wanted(id))
        .map(|id| (id, if exists(&id) { Cause::Leaving { limit } } else { Cause::Gone }))
        .collect()
}

/// The ops that remove destinations whose time is over, and the service too if it is not wanted
/// and has no others.
fn end(id: ServiceId, ended: &[DestinationId], ledger: &Ledger, observed: &Observed) -> Vec<Step> {
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
