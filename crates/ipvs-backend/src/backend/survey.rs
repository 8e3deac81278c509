//! What there is, set against what is wanted, before anything is changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use proxy_core::{BackendError, DesiredState, Family};

use super::wish::wish;
use super::{IpvsBackend, attempting};
use crate::kernel::Kernel;
use crate::ledger::{Ledger, Touched};
use crate::observe::Observed;
use crate::op::Step;
use crate::plan::{destroyed_legacy_sets, plan, removed_legacy_rules, set_steps};
use crate::rules::{Difference, LegacyRules, restore_input, static_rules};

/// The packet filter's rules, as they were read.
#[derive(Debug, Default)]
pub(super) struct Saved {
    /// Of each family that is served, as text.
    pub(super) rules: BTreeMap<Family, String>,
    /// Their number before they were read, if they have one: they are those of this number, or of
    /// one that came later.
    pub(super) generation: Option<u32>,
}

/// The kernel as it was read, and what is wanted of it.
pub(super) struct Survey {
    pub(super) observed: Observed,
    pub(super) saved: Saved,
    pub(super) ledger: Ledger,
    pub(super) touched: Touched,
}

/// What [`Backend::resync`](proxy_core::Backend::resync) would do now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The sets that the static rules refer to are made fit.
    pub sets: Vec<Step>,
    /// Then what the static rules lack is loaded.
    pub rules: Vec<Difference>,
    /// Then all the rest is done.
    pub steps: Vec<Step>,
}

impl Plan {
    /// A line for each object that would change, in order.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let step = |step: &Step| step.op.to_string();
        let sets = self.sets.iter().map(step);
        sets.chain(self.rules.iter().map(Difference::to_string)).chain(self.steps.iter().map(step))
    }
}

impl<K: Kernel> IpvsBackend<K> {
    /// What [`Backend::resync`](proxy_core::Backend::resync) would do now. Changes nothing.
    ///
    /// # Errors
    /// When the kernel cannot be read.
    pub fn plan(&mut self, desired: &DesiredState) -> Result<Plan, BackendError> {
        let Survey { observed, saved, ledger, touched } = self.survey(desired)?;
        let mut steps = plan(&touched, &ledger, &observed, &self.config.node);
        steps.extend(removed_legacy_rules(&observed));
        steps.extend(destroyed_legacy_sets(&observed));
        let rules = saved.rules.iter().flat_map(|(&family, saved)| {
            let mended = restore_input(&static_rules(family, &self.config.rules), saved);
            mended.map_or_else(Vec::new, |(_, differences)| differences)
        });
        Ok(Plan { sets: set_steps(&ledger, &observed), rules: rules.collect(), steps })
    }

    /// Reads the kernel, and sets it against what is wanted.
    pub(super) fn survey(&mut self, desired: &DesiredState) -> Result<Survey, BackendError> {
        let mut observed = self.observe()?;
        let saved = self.read_rules(&mut observed)?;
        let (ledger, mut touched) = wish(desired, &observed, &self.ownership);
        self.touch_known(&mut touched, &observed);
        for (id, service) in &mut observed.services {
            if touched.services.contains_key(id) {
                service.destinations = self.destinations(id)?;
                service.share(&ledger);
            }
        }
        Ok(Survey { observed, saved, ledger, touched })
    }

    /// Reads everything but the destinations of services and the packet filter's rules.
    pub(super) fn observe(&mut self) -> Result<Observed, BackendError> {
        let attempt = "read the kernel's virtual servers, sets and routes";
        self.kernel.observe().map_err(attempting(attempt))
    }

    /// Whether the packet filter's rules are those that were last found to be right.
    pub(super) fn rules_are_as_agreed(&mut self) -> Result<bool, BackendError> {
        Ok(self.agreed.is_some() && self.rules_generation()? == self.agreed)
    }

    fn rules_generation(&mut self) -> Result<Option<u32>, BackendError> {
        let attempt = "read whether rules of the packet filter have changed";
        self.kernel.rules_generation().map_err(attempting(attempt))
    }

    /// Reads the packet filter's rules, and notes in `observed` what kube-proxy left of its own.
    pub(super) fn read_rules(&mut self, observed: &mut Observed) -> Result<Saved, BackendError> {
        let generation = self.rules_generation()?;
        let mut rules = BTreeMap::new();
        for &family in &self.capabilities.families {
            let saved = self.kernel.saved_rules(family);
            let saved = saved.map_err(attempting("read the rules of the packet filter"))?;
            if let Some(legacy) = LegacyRules::find(family, &saved) {
                observed.legacy_rules.insert(family, Arc::new(legacy));
            }
            rules.insert(family, saved);
        }
        Ok(Saved { rules, generation })
    }
}
