//! What everything else stands on: the sets, and the static rules that refer to them.

use proxy_core::{BackendError, Drift, DriftKind, Failure, ObjectError, Report};

use super::survey::Saved;
use super::{IpvsBackend, attempting, drift_of};
use crate::kernel::Kernel;
use crate::ledger::Touched;
use crate::object::Shared;
use crate::op::Op;
use crate::plan::{plan, set_steps};
use crate::rules::{removal_input, restore_input, static_rules};

impl<K: Kernel> IpvsBackend<K> {
    /// Makes the static rules what they should be. Returns what was not. `saved` is what was just
    /// read of them, if anything was.
    pub(super) fn ensure_rules(&mut self, mut saved: Saved) -> Result<Vec<Drift>, BackendError> {
        let mut drift = Vec::new();
        self.agreed = None;
        for &family in &self.capabilities.families {
            let rules = static_rules(family, &self.config.rules);
            let mut differences = Vec::new();
            let mut input = |saved: &str| {
                let (input, found) = restore_input(&rules, saved)?;
                differences = found;
                Some(input)
            };
            self.kernel
                .change_rules(family, saved.rules.remove(&family), &mut input)
                .map_err(attempting("load the static rules"))?;
            drift.extend(differences.into_iter().map(|difference| Drift {
                object: difference.object,
                kind: if difference.is_missing { DriftKind::Missing } else { DriftKind::Changed },
            }));
        }
        if drift.is_empty() {
            self.agreed = saved.generation;
        }
        Ok(drift)
    }

    /// Removes our chains and the jumps into them.
    pub(super) fn remove_rules(&mut self, mut saved: Saved) -> Report {
        let mut report = Report::default();
        for &family in &self.capabilities.families {
            let rules = static_rules(family, &self.config.rules);
            let mut changes = 0;
            let mut input = |saved: &str| {
                let input = removal_input(&rules, saved)?;
                changes = 1;
                Some(input)
            };
            match self.kernel.change_rules(family, saved.rules.remove(&family), &mut input) {
                Ok(()) => report.changes += changes,
                Err(error) => report.failed.push(Failure {
                    server: None,
                    object: format!("- static rules, {family}"),
                    error: ObjectError::Rejected(error),
                }),
            }
        }
        report
    }

    /// Gives addresses that an earlier proxy put on its device their routes. From there on the
    /// node's own connections come from the node's address, which our rules can judge, and no
    /// longer from the virtual server's.
    pub(super) fn bind_held_addresses(
        &mut self,
        touched: &Touched,
    ) -> Result<Report, BackendError> {
        let Some(device) = &self.observed.device else { return Ok(Report::default()) };
        let held = device.addresses.iter().filter_map(|&address| {
            let object = Shared::Vip(address);
            touched.shared.get(&object).map(|&server| (object, server))
        });
        let touched = Touched { shared: held.collect(), ..Touched::default() };
        let mut steps = plan(&touched, &self.ledger, &self.observed, &self.config.node);
        steps.retain(|step| matches!(step.op, Op::AddRoute(_)));
        self.carry_out(&steps)
    }

    /// Brings the sets and static rules to what they must be before anything else. Returns what
    /// was done, and what had to be. `None` if the rules need no look.
    pub(super) fn lay_foundations(
        &mut self,
        saved: Option<Saved>,
    ) -> Result<(Report, Vec<Drift>), BackendError> {
        let sets = set_steps(&self.ledger, &self.observed);
        let mut report = self.carry_out(&sets)?;
        all_sets_fit(&report)?;
        let rules = saved.map_or_else(|| Ok(Vec::new()), |saved| self.ensure_rules(saved))?;
        report.changes += rules.len();
        let drift = sets.iter().map(|step| drift_of(&step.op)).chain(rules).collect();
        Ok((report, drift))
    }
}

/// A set that is not as it must be makes the rules that refer to it wrong, or impossible.
fn all_sets_fit(report: &Report) -> Result<(), BackendError> {
    let Some(Failure { object, error, .. }) = report.failed.first() else { return Ok(()) };
    let cause = std::error::Error::source(error).map_or_else(String::new, |it| format!(": {it}"));
    Err(BackendError::Missing {
        what: format!("an ipset as it must be ({object}: {error}{cause})"),
        remedy: "whatever else has its name must go: `iptables-save` shows the rules that refer \
                 to it, and once there are none `ipset destroy` with its name removes it"
            .to_owned(),
    })
}
