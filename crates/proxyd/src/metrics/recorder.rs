//! Draws the consequences of what the driver does for the metrics. No I/O: told the time.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ipvs_backend::Tally;
use proxy_core::reconciler::{Outcome, Reconciler};
use proxy_core::{
    Backend, Delta, DriftKind, EndpointSlice, Event, Failure, Family, ObjectError, Report,
    ServiceKey, SliceKey,
};

use super::families::{Families, family_name, ip_family};
use super::served::{Policy, Served};

/// Writes down what the driver does.
#[derive(Debug)]
pub(crate) struct Recorder {
    families: Families,
    served: Arc<Mutex<Served>>,
    /// Since when the destination that drains longest does.
    draining: Arc<Mutex<Option<Instant>>>,
    /// Changes of before are somebody else's.
    since: SystemTime,
    pending: Pending,
    certainty: Certainty,
}

/// What was heard of and is not in place.
#[derive(Debug, Default)]
struct Pending {
    services: HashSet<ServiceKey>,
    endpoint_changes: i64,
    /// Of each slice that changed, when the first of its changes happened.
    triggers: HashMap<SliceKey, (Family, SystemTime)>,
    /// Events since the last step.
    events: usize,
}

/// Whether the backend is at what was last decided, as far as it could be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Certainty {
    /// Nothing is known, or its last call failed as a whole.
    None,
    Given,
}

impl Recorder {
    /// A recorder for a process that began at `since`.
    pub(super) fn new(
        families: Families,
        served: Arc<Mutex<Served>>,
        draining: Arc<Mutex<Option<Instant>>>,
        since: SystemTime,
    ) -> Self {
        let (pending, certainty) = (Pending::default(), Certainty::None);
        Self { families, served, draining, since, pending, certainty }
    }

    /// Takes in an event, before the reconciler does.
    pub(crate) fn event<B: Backend>(&mut self, event: &Event, reconciler: &Reconciler<B>) {
        let model = reconciler.model();
        self.pending.events += 1;
        match event {
            Event::Service(service) if model.service(&service.key) != Some(service) => {
                self.service_changed(&service.key);
            }
            Event::ServiceRemoved(key) if model.service(key).is_some() => self.service_changed(key),
            Event::Slice(slice) if model.slice(&slice.key) != Some(slice) => {
                self.endpoints_changed();
                self.note_trigger(slice);
            }
            Event::SliceRemoved(key) if model.slice(key).is_some() => {
                self.endpoints_changed();
                self.pending.triggers.remove(key);
            }
            _ => {}
        }
    }

    /// Tells what waits for a step, before it is made.
    pub(crate) fn step_begins<B: Backend>(&mut self, reconciler: &Reconciler<B>, now: SystemTime) {
        let services = reconciler.pending().services;
        self.families.services_pending.set(number(services));
        if std::mem::take(&mut self.pending.events) > 0 && services > 0 {
            for &family in families(reconciler) {
                stamp(&self.families.last_queued, family, now);
            }
        }
    }

    /// Tells what a step did, and how long that took.
    pub(crate) fn step<B: Backend>(
        &mut self,
        outcome: &Outcome,
        reconciler: &Reconciler<B>,
        took: Duration,
        now: SystemTime,
    ) {
        match outcome {
            Outcome::Idle => {}
            Outcome::Applied { delta, report } => {
                self.synced(&concerned(delta), took);
                self.lock_served(|served| served.apply(delta));
                self.report(report);
            }
            Outcome::Resynced(report) => {
                self.synced(families(reconciler), took);
                let all = Served::of(reconciler.desired());
                self.lock_served(|served| *served = all);
                self.report(report);
            }
            Outcome::Audited { report, .. } => {
                self.synced(families(reconciler), took);
                self.report(report);
            }
            Outcome::Maintained(report) => self.report(report),
            Outcome::Failed(_) => {
                self.synced(families(reconciler), took);
                self.certainty = Certainty::None;
                self.count_failure("kernel");
            }
        }
        let did_something = !matches!(outcome, Outcome::Idle | Outcome::Maintained(_));
        if did_something && !matches!(outcome, Outcome::Failed(_)) {
            self.certainty = Certainty::Given;
        }
        self.settle(reconciler, did_something, now);
        self.note_levels(reconciler);
    }

    /// Takes in what a backend counted by itself since it was last asked.
    pub(crate) fn measured(&self, tally: &Tally) {
        self.families.draining.set(number(tally.draining));
        *self.draining.lock().unwrap_or_else(PoisonError::into_inner) = tally.draining_since;
        for (&family, counted) in Family::ALL.iter().zip(&tally.families) {
            let labels = ip_family(family);
            let Families { restore_failures, flows_deleted, flow_sync_duration, .. } =
                &self.families;
            restore_failures.get_or_create(&labels).inc_by(counted.rule_failures);
            flows_deleted.get_or_create(&labels).inc_by(counted.forgotten_flows);
            let duration = flow_sync_duration.get_or_create(&labels);
            counted.flow_looks.iter().for_each(|took| duration.observe(took.as_secs_f64()));
        }
    }

    /// Everything that was asked for may be in place now.
    fn settle<B: Backend>(&mut self, reconciler: &Reconciler<B>, did: bool, now: SystemTime) {
        let waited = !self.pending.is_empty();
        if self.certainty == Certainty::None
            || reconciler.pending().services > 0
            || !(did || waited)
        {
            return;
        }
        for &family in families(reconciler) {
            stamp(&self.families.last_sync, family, now);
        }
        for (family, trigger) in std::mem::take(&mut self.pending).triggers.into_values() {
            let took = now.duration_since(trigger).unwrap_or_default().as_secs_f64();
            self.families.network_programming.get_or_create(&ip_family(family)).observe(took);
        }
        self.families.service_changes_pending.set(0);
        self.families.endpoint_changes_pending.set(0);
    }

    /// What holds now, as opposed to what happened.
    fn note_levels<B: Backend>(&self, reconciler: &Reconciler<B>) {
        let Families { services_pending, conflicts, no_local_endpoints, .. } = &self.families;
        services_pending.set(number(reconciler.pending().services));
        conflicts.set(number(reconciler.desired().contested()));
        let served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        for policy in Policy::ALL {
            for &family in families(reconciler) {
                let count = served.without_local_endpoints(policy, family);
                let labels =
                    [("traffic_policy", policy.name()), ("ip_family", family_name(family))];
                no_local_endpoints.get_or_create(&labels).set(number(count));
            }
        }
    }

    fn service_changed(&mut self, key: &ServiceKey) {
        self.pending.services.insert(key.clone());
        self.families.service_changes.inc();
        self.families.service_changes_pending.set(number(self.pending.services.len()));
    }

    fn endpoints_changed(&mut self) {
        self.pending.endpoint_changes += 1;
        self.families.endpoint_changes.inc();
        self.families.endpoint_changes_pending.set(self.pending.endpoint_changes);
    }

    fn note_trigger(&mut self, slice: &EndpointSlice) {
        if let Some(trigger) = slice.triggered.filter(|trigger| *trigger > self.since) {
            let first = self.pending.triggers.entry(slice.key.clone());
            first.or_insert((slice.family, trigger));
        }
    }

    fn synced(&self, families: &[Family], took: Duration) {
        for &family in families {
            let labels = ip_family(family);
            self.families.sync_duration.get_or_create(&labels).observe(took.as_secs_f64());
        }
    }

    fn report(&self, Report { failed, drift, changes }: &Report) {
        self.families.kernel_changes.inc_by(*changes as u64);
        for Failure { error, .. } in failed {
            self.count_failure(match error {
                ObjectError::Unsupported(_) => "unsupported",
                ObjectError::Conflict => "conflict",
                ObjectError::Exhausted => "exhausted",
                _ => "refused",
            });
        }
        for drift in drift {
            let kind = match drift.kind {
                DriftKind::Missing => "missing",
                DriftKind::Changed => "changed",
                DriftKind::Unexpected => "unexpected",
            };
            self.families.drift.get_or_create(&[("kind", kind)]).inc();
        }
    }

    fn count_failure(&self, kind: &'static str) {
        self.families.sync_failures.get_or_create(&[("kind", kind)]).inc();
    }

    fn lock_served(&self, change: impl FnOnce(&mut Served)) {
        change(&mut self.served.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.services.is_empty() && self.endpoint_changes == 0
    }
}

/// The families of the virtual servers that a delta names.
fn concerned(delta: &Delta) -> Vec<Family> {
    let upserts = delta.upserts.iter().map(|server| server.key);
    let keys = upserts.chain(delta.removals.iter().copied());
    let named: HashSet<_> = keys.map(|key| key.family()).collect();
    Family::ALL.into_iter().filter(|family| named.contains(family)).collect()
}

fn families<B: Backend>(reconciler: &Reconciler<B>) -> &[Family] {
    &reconciler.backend().capabilities().families
}

fn stamp(gauges: &super::families::SecondsBy, family: Family, now: SystemTime) {
    gauges.get_or_create(&ip_family(family)).set(seconds(now));
}

/// Since 1970.
pub(super) fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

pub(super) fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[path = "recorder_tests.rs"]
mod tests;
