//! From what is touched to the kernel, a portion at a time.

use proxy_core::{BackendError, Failure, ObjectError, Report};

use super::{IpvsBackend, attempting};
use crate::exec::Round;
use crate::kernel::Kernel;
use crate::ledger::Touched;
use crate::netlink::ipvs::ServiceId;
use crate::object::Shared;
use crate::op::{Op, Step};
use crate::ownership;
use crate::plan::{Agenda, Device, Part, room_steps};

/// How many ops are made and carried out in one go: enough to fill many sends, and little beside
/// what a cluster takes.
const PORTION: usize = 1_024;

impl<K: Kernel> IpvsBackend<K> {
    /// Compares everything in `touched`, mends it and notes what drains. `told` is told what is
    /// about to be done.
    pub(super) fn mend(
        &mut self,
        touched: &Touched,
        told: &mut dyn FnMut(&[Step]),
    ) -> Result<Report, BackendError> {
        let mut report = self.change(touched, told)?;
        report.failed.extend(no_mark_left(touched));
        self.forget_stale_flows(&mut report);
        self.watch_drains(touched.services.keys());
        Ok(report)
    }

    /// Brings everything in `touched` to what is wanted.
    pub(super) fn change(
        &mut self,
        touched: &Touched,
        told: &mut dyn FnMut(&[Step]),
    ) -> Result<Report, BackendError> {
        let mut round = Round::default();
        for part in Part::ALL {
            self.change_part(part, touched, &mut round, told)?;
        }
        Ok(self.close(round))
    }

    fn change_part(
        &mut self,
        part: Part,
        touched: &Touched,
        round: &mut Round,
        told: &mut dyn FnMut(&[Step]),
    ) -> Result<(), BackendError> {
        let node = &self.config.node;
        let mut agenda = Agenda::new(part, touched, &self.ledger, &self.observed, node);
        let mut next = Some(room_steps(&agenda, &self.observed));
        while let Some(steps) = next {
            told(&steps);
            self.run(&steps, round)?;
            next = agenda.next(PORTION, &self.ledger, &self.observed);
        }
        Ok(())
    }

    pub(super) fn carry_out(&mut self, steps: &[Step]) -> Result<Report, BackendError> {
        let mut round = Round::default();
        self.run(steps, &mut round)?;
        Ok(self.close(round))
    }

    fn run(&mut self, steps: &[Step], round: &mut Round) -> Result<(), BackendError> {
        self.flows.suspect(steps, &self.ledger, &self.observed);
        round
            .run(&mut self.kernel, steps, &self.ledger, &mut self.observed)
            .map_err(attempting("program the kernel"))?;
        self.note_for_look(steps);
        let mut services: Vec<_> = steps.iter().filter_map(|step| changed_pool(&step.op)).collect();
        services.dedup();
        for id in services {
            self.observed.share(id, &self.ledger);
        }
        Ok(())
    }

    fn close(&mut self, round: Round) -> Report {
        let done = round.end();
        if !done.failed.is_empty() {
            self.quiet.disturb();
        }
        for (step, failure) in done.refused.iter().zip(&done.failed) {
            let is_unsupported = matches!(failure.error, ObjectError::Unsupported(_));
            if step.op == Op::CreateDevice && is_unsupported {
                self.config.node.device = Device::Unavailable;
            }
        }
        for Step { op, server, .. } in done.refused.into_iter().chain(done.postponed) {
            if let (Some(object), Some(server)) = (removed(&op), server) {
                self.leftovers.entry(server).or_default().insert(object);
            }
        }
        Report { failed: done.failed, drift: Vec::new(), changes: done.changes }
    }

    /// Makes the kernel forget the flows that what was carried out has left behind.
    pub(super) fn forget_stale_flows(&mut self, report: &mut Report) {
        let failures = self.flows.forget(&mut self.kernel, &self.ledger, &report.failed);
        report.failed.extend(failures);
    }
}

fn no_mark_left(touched: &Touched) -> impl Iterator<Item = Failure> {
    touched.unmarked.iter().map(|key| Failure {
        server: Some(*key),
        object: format!("firewall mark for the inside clients of {key}"),
        error: ObjectError::Exhausted,
    })
}

/// The shared object that an op removes.
const fn removed(op: &Op) -> Option<Shared> {
    match *op {
        Op::DeleteMember(set, entry) => Some(ownership::shared_of_member(set, entry)),
        Op::DeleteRoute(route) => Some(Shared::Vip(route.address)),
        Op::DeleteAddress(address) => Some(Shared::Vip(address)),
        _ => None,
    }
}

/// The service whose destinations an op changes.
const fn changed_pool(op: &Op) -> Option<&ServiceId> {
    match op {
        Op::AddDestination(id, _) | Op::SetDestination(id, _) | Op::DeleteDestination(id, _) => {
            Some(id)
        }
        _ => None,
    }
}
