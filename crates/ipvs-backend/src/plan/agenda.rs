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

/// What is carried out in one go, from its first phase to its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What urgent virtual servers need, which is little, and the device.
    Urgent,
    /// All the rest.
    Rest,
}

impl Part {
    /// In the order in which they are carried out.
    pub const ALL: [Self; 2] = [Self::Urgent, Self::Rest];
}

/// The way from what is observed to what is wanted of a part of everything touched.
#[derive(Debug)]
pub struct Agenda<'a> {
    touched: &'a Touched,
    part: Part,
    node: NodePlan,
    /// The phases in which each item has ops, as bits, in the order of [`Items`].
    needs: Vec<u32>,
    /// In which something has ops.
    phases: BTreeSet<Phase>,
    /// How many items were looked at for the first of them.
    position: usize,
    rest: Items<'a>,
    /// How many members each set gets.
    pub(super) added: BTreeMap<SetId, usize>,
}

#[derive(Clone, Copy, Debug)]
enum Item<'a> {
    Device,
    Service(&'a ServiceId, Option<VirtualServerKey>),
    Shared(&'a Shared, Option<VirtualServerKey>),
}

type Services<'a> = btree_map::Iter<'a, ServiceId, Option<VirtualServerKey>>;
type SharedObjects<'a> = btree_map::Iter<'a, Shared, Option<VirtualServerKey>>;

/// A part of everything touched, in order.
#[derive(Clone, Debug)]
struct Items<'a> {
    part: Part,
    urgent: &'a BTreeSet<VirtualServerKey>,
    device: bool,
    services: Services<'a>,
    shared: SharedObjects<'a>,
}

impl<'a> Items<'a> {
    fn of(part: Part, touched: &'a Touched) -> Self {
        let Touched { services, shared, urgent, .. } = touched;
        let (services, shared) = (services.iter(), shared.iter());
        Self { part, urgent, device: true, services, shared }
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        if std::mem::take(&mut self.device) {
            return Some(Item::Device);
        }
        let Self { part, urgent, services, shared, .. } = self;
        let is_meant = |server: &Option<VirtualServerKey>| {
            let is_urgent = server.is_some_and(|server| urgent.contains(&server));
            is_urgent == (*part == Part::Urgent)
        };
        let service = services.find(|(_, server)| is_meant(server));
        service.map(|(id, &server)| Item::Service(id, server)).or_else(|| {
            let shared = shared.find(|(_, server)| is_meant(server));
            shared.map(|(object, &server)| Item::Shared(object, server))
        })
    }
}

impl<'a> Agenda<'a> {
    /// Everything in a part of `touched` that is not as `ledger` wants it.
    #[must_use]
    pub fn new(
        part: Part,
        touched: &'a Touched,
        ledger: &Ledger,
        observed: &Observed,
        node: &NodePlan,
    ) -> Self {
        let mut agenda = Self {
            touched,
            part,
            node: *node,
            needs: Vec::new(),
            phases: BTreeSet::new(),
            position: 0,
            rest: Items::of(part, touched),
            added: BTreeMap::new(),
        };
        for item in agenda.rest.clone() {
            agenda.enter(item, ledger, observed);
        }
        agenda
    }

    fn enter(&mut self, item: Item<'a>, ledger: &Ledger, observed: &Observed) {
        let mut needs = 0;
        for Step { phase, op, .. } in self.steps(item, ledger, observed) {
            if let Op::AddMember(set, _) = op {
                *self.added.entry(set).or_default() += 1;
            }
            needs |= bit(phase);
            self.phases.insert(phase);
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
        let phase = *self.phases.first()?;
        let mut steps = Vec::new();
        while steps.len() < count {
            let Some(item) = self.rest.next() else {
                self.phases.pop_first();
                (self.position, self.rest) = (0, Items::of(self.part, self.touched));
                break;
            };
            let needs = self.needs[self.position];
            self.position += 1;
            if needs & bit(phase) == 0 {
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
            Item::Device => {
                let mut steps = device_steps(self.touched, observed, &self.node);
                // Any address to be bound may need it; what an earlier one has goes at the very end.
                steps.retain(|it| (it.phase == Phase::Sets) == (self.part == Part::Urgent));
                return steps;
            }
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
