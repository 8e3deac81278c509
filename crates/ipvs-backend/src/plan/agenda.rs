//! What has to be done, in order, without the ops themselves: those of a whole cluster would take
//! more memory than all else, so they are made a few at a time, when it is their turn.

use std::collections::{BTreeMap, BTreeSet};

use proxy_core::VirtualServerKey;

use super::{NodePlan, device_steps, phase, service_ops, shared_ops};
use crate::ledger::{Ledger, Touched};
use crate::netlink::ipvs::ServiceId;
use crate::object::Shared;
use crate::observe::Observed;
use crate::op::{Op, Phase, Step};
use crate::set::SetId;

/// The way from what is observed to what is wanted of everything touched.
#[derive(Debug)]
pub struct Agenda<'a> {
    touched: &'a Touched,
    node: NodePlan,
    entries: Vec<Entry<'a>>,
    position: usize,
    /// How many members each set gets.
    pub(super) added: BTreeMap<SetId, usize>,
}

/// Something has ops at this time.
#[derive(Clone, Copy, Debug)]
struct Entry<'a> {
    time: Time,
    item: Item<'a>,
}

/// When, after which everything is sorted: whether it gives way to urgent virtual servers, and the
/// phase.
type Time = (bool, Phase);

#[derive(Clone, Copy, Debug)]
enum Item<'a> {
    Device,
    Service(&'a ServiceId, &'a Option<VirtualServerKey>),
    Shared(&'a Shared, &'a Option<VirtualServerKey>),
}

impl<'a> Agenda<'a> {
    /// Everything in `touched` that is not as `ledger` wants it.
    #[must_use]
    pub fn new(
        touched: &'a Touched,
        ledger: &Ledger,
        observed: &Observed,
        node: &NodePlan,
    ) -> Self {
        let (node, entries, added) = (*node, Vec::new(), BTreeMap::new());
        let mut agenda = Self { touched, node, entries, position: 0, added };
        let services = touched.services.iter().map(|(id, server)| Item::Service(id, server));
        let shared = touched.shared.iter().map(|(object, server)| Item::Shared(object, server));
        for item in [Item::Device].into_iter().chain(services).chain(shared) {
            agenda.enter(item, ledger, observed);
        }
        agenda.entries.sort_by_key(|entry| entry.time);
        agenda
    }

    fn enter(&mut self, item: Item<'a>, ledger: &Ledger, observed: &Observed) {
        let mut times = BTreeSet::new();
        for Step { phase, op, server } in self.steps(item, ledger, observed) {
            if let Op::AddMember(set, _) = op {
                *self.added.entry(set).or_default() += 1;
            }
            let is_urgent = server.is_some_and(|server| self.touched.urgent.contains(&server));
            times.insert((phase > Phase::Sets && !is_urgent, phase));
        }
        self.entries.extend(times.into_iter().map(|time| Entry { time, item }));
    }

    /// The next ops, all of one phase, about as many as `count`; `None` at the end. All that came
    /// before must have been tried, and what the kernel agreed to recorded in `observed`.
    pub fn next(
        &mut self,
        count: usize,
        ledger: &Ledger,
        observed: &Observed,
    ) -> Option<Vec<Step>> {
        let time = self.entries.get(self.position)?.time;
        let mut steps = Vec::new();
        while let Some(entry) = self.entries.get(self.position)
            && entry.time == time
            && steps.len() < count
        {
            let of_item = self.steps(entry.item, ledger, observed).into_iter();
            let (_, phase) = time;
            match entry.item {
                // Its one op may be of another phase by now, since others like it are there.
                Item::Shared(Shared::Member(..), _) => {
                    steps.extend(of_item.map(|step| Step { phase, ..step }));
                }
                _ => steps.extend(of_item.filter(|step| step.phase == phase)),
            }
            self.position += 1;
        }
        Some(steps)
    }

    fn steps(&self, item: Item<'_>, ledger: &Ledger, observed: &Observed) -> Vec<Step> {
        let (server, ops) = match item {
            Item::Device => return device_steps(self.touched, observed, &self.node),
            Item::Service(id, &server) => {
                (server, service_ops(id, server, ledger, observed.services.get(id)))
            }
            Item::Shared(object, &server) => {
                (server, shared_ops(object, ledger, observed, &self.node))
            }
        };
        let step = |op| Step { phase: phase(&op, ledger, observed), op, server };
        ops.into_iter().map(step).collect()
    }
}
