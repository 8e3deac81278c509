//! What has to be done, in order, without the ops themselves: those of a whole cluster would take
//! more memory than all else, so they are made a few at a time, when it is their turn.

use std::collections::{BTreeMap, BTreeSet, btree_map};

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
    /// What each item has ops for, in the order of [`Items`].
    needs: Vec<Needs>,
    /// When something has ops.
    times: BTreeSet<Time>,
    /// How many items were looked at for the first of them.
    position: usize,
    rest: Items<'a>,
    /// How many members each set gets.
    pub(super) added: BTreeMap<SetId, usize>,
}

/// The phases in which an item has ops, as bits, and whether it goes before others.
#[derive(Clone, Copy, Debug, Default)]
struct Needs {
    phases: u32,
    is_urgent: bool,
}

/// After which everything is sorted: whether it gives way to urgent virtual servers, and the phase.
type Time = (bool, Phase);

#[derive(Clone, Copy, Debug)]
enum Item<'a> {
    Device,
    Service(&'a ServiceId, Option<VirtualServerKey>),
    Shared(&'a Shared, Option<VirtualServerKey>),
}

type Services<'a> = btree_map::Iter<'a, ServiceId, Option<VirtualServerKey>>;
type SharedObjects<'a> = btree_map::Iter<'a, Shared, Option<VirtualServerKey>>;

/// Everything touched, in order.
#[derive(Clone, Debug)]
struct Items<'a> {
    device: bool,
    services: Services<'a>,
    shared: SharedObjects<'a>,
}

impl<'a> Items<'a> {
    fn of(touched: &'a Touched) -> Self {
        Self { device: true, services: touched.services.iter(), shared: touched.shared.iter() }
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        if std::mem::take(&mut self.device) {
            return Some(Item::Device);
        }
        let service = self.services.next().map(|(id, &server)| Item::Service(id, server));
        service.or_else(|| self.shared.next().map(|(object, &server)| Item::Shared(object, server)))
    }
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
        let mut agenda = Self {
            touched,
            node: *node,
            needs: Vec::with_capacity(1 + touched.services.len() + touched.shared.len()),
            times: BTreeSet::new(),
            position: 0,
            rest: Items::of(touched),
            added: BTreeMap::new(),
        };
        for item in Items::of(touched) {
            agenda.enter(item, ledger, observed);
        }
        agenda
    }

    fn enter(&mut self, item: Item<'a>, ledger: &Ledger, observed: &Observed) {
        let mut needs = Needs::default();
        for Step { phase, op, server } in self.steps(item, ledger, observed) {
            if let Op::AddMember(set, _) = op {
                *self.added.entry(set).or_default() += 1;
            }
            needs.phases |= bit(phase);
            needs.is_urgent = server.is_some_and(|server| self.touched.urgent.contains(&server));
            self.times.insert(time(phase, needs));
        }
        self.needs.push(needs);
    }

    /// The next ops, all of one phase, about as many as `count`; `None` at the end. All that came
    /// before must have been tried, and what the kernel agreed to recorded in `observed`.
    pub fn next(
        &mut self,
        count: usize,
        ledger: &Ledger,
        observed: &Observed,
    ) -> Option<Vec<Step>> {
        let now = *self.times.first()?;
        let (_, phase) = now;
        let mut steps = Vec::new();
        while steps.len() < count {
            let Some(item) = self.rest.next() else {
                self.times.pop_first();
                (self.position, self.rest) = (0, Items::of(self.touched));
                break;
            };
            let needs = self.needs[self.position];
            self.position += 1;
            if needs.phases & bit(phase) == 0 || time(phase, needs) != now {
                continue;
            }
            let of_item = self.steps(item, ledger, observed).into_iter();
            match item {
                // Its one op may be of another phase by now, since others like it are there.
                Item::Shared(Shared::Member(..), _) => {
                    steps.extend(of_item.map(|step| Step { phase, ..step }));
                }
                _ => steps.extend(of_item.filter(|step| step.phase == phase)),
            }
        }
        Some(steps)
    }

    fn steps(&self, item: Item<'_>, ledger: &Ledger, observed: &Observed) -> Vec<Step> {
        let (server, ops) = match item {
            Item::Device => return device_steps(self.touched, observed, &self.node),
            Item::Service(id, server) => {
                (server, service_ops(id, server, ledger, observed.services.get(id)))
            }
            Item::Shared(object, server) => {
                (server, shared_ops(object, ledger, observed, &self.node))
            }
        };
        let step = |op| Step { phase: phase(&op, ledger, observed), op, server };
        ops.into_iter().map(step).collect()
    }
}

const fn bit(phase: Phase) -> u32 {
    1 << phase as u32
}

fn time(phase: Phase, needs: Needs) -> Time {
    (phase > Phase::Sets && !needs.is_urgent, phase)
}
