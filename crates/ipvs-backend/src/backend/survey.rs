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
    /// `None` if the rules were not read.
    pub(super) saved: Option<Saved>,
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

/// What an audit compares, as it was read.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) observed: Observed,
    /// `None` if the rules were not read.
    pub(super) saved: Option<Saved>,
}

/// Reads everything but the destinations of services, and the packet filter's rules unless they are
/// those of the number `agreed`.
pub(super) fn look(
    kernel: &mut impl Kernel,
    families: &[Family],
    agreed: Option<u32>,
) -> Result<Seen, BackendError> {
    let mut observed = observe(kernel)?;
    if agreed.is_some() && rules_generation(kernel)? == agreed {
        return Ok(Seen { observed, saved: None });
    }
    let saved = read_rules(kernel, families, &mut observed)?;
    Ok(Seen { observed, saved: Some(saved) })
}

/// Reads everything but the destinations of services and the packet filter's rules.
pub(super) fn observe(kernel: &mut impl Kernel) -> Result<Observed, BackendError> {
    kernel.observe().map_err(attempting("read the kernel's virtual servers, sets and routes"))
}

fn rules_generation(kernel: &mut impl Kernel) -> Result<Option<u32>, BackendError> {
    let attempt = "read whether rules of the packet filter have changed";
    kernel.rules_generation().map_err(attempting(attempt))
}

/// Reads the packet filter's rules, and notes in `observed` what kube-proxy left of its own.
fn read_rules(
    kernel: &mut impl Kernel,
    families: &[Family],
    observed: &mut Observed,
) -> Result<Saved, BackendError> {
    let generation = rules_generation(kernel)?;
    let mut rules = BTreeMap::new();
    for &family in families {
        let saved = kernel.saved_rules(family);
        let saved = saved.map_err(attempting("read the rules of the packet filter"))?;
        if let Some(legacy) = LegacyRules::find(family, &saved) {
            observed.legacy_rules.insert(family, Arc::new(legacy));
        }
        rules.insert(family, saved);
    }
    Ok(Saved { rules, generation })
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
        let rules = saved.unwrap_or_default().rules;
        let rules = rules.iter().flat_map(|(&family, saved)| {
            let mended = restore_input(&static_rules(family, &self.config.rules), saved);
            mended.map_or_else(Vec::new, |(_, differences)| differences)
        });
        Ok(Plan { sets: set_steps(&ledger, &observed), rules: rules.collect(), steps })
    }

    /// Reads the kernel, and sets it against what is wanted.
    pub(super) fn survey(&mut self, desired: &DesiredState) -> Result<Survey, BackendError> {
        let Seen { mut observed, saved } = self.look_again()?;
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
}
