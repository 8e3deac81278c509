//! Says once what happened. Everything below returns its errors; here it is decided which of them
//! are news.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::time::Duration;

use proxy_core::reconciler::{Outcome, Parked, Step};
use proxy_core::{
    BackendError, Conflict, Delta, DesiredState, Extent, Failure, Report, VirtualServerKey, Warning,
};
use tracing::{debug, error, info, warn};

use crate::notice::{Notices, Reason};
use crate::status::Failing;

/// What was said already and still holds.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    /// What fails, by object.
    failing: BTreeMap<(Option<VirtualServerKey>, String), String>,
    /// Why the whole backend fails.
    broken: Option<String>,
    has_synced: bool,
    /// What Services do not get although they ask for it.
    conflicts: BTreeSet<Conflict>,
    warnings: BTreeSet<Warning>,
    notices: Notices,
}

impl Journal {
    /// A journal that also tells those who look at the cluster.
    pub(crate) fn new(notices: Notices) -> Self {
        Self { notices, ..Self::default() }
    }

    /// Takes in what a step did to bring the kernel to what is desired, and how long that took.
    pub(crate) fn step(&mut self, step: &Step, desired: &DesiredState, took: Duration) {
        for parked in &step.parked {
            self.parked(parked);
        }
        if !matches!(step.outcome, Outcome::Idle | Outcome::Maintained(_)) {
            self.decisions(desired);
        }
        match &step.outcome {
            Outcome::Idle => {}
            Outcome::Applied { delta, report } => self.applied(delta, report, took),
            Outcome::Resynced(report) => self.resynced(report, took),
            Outcome::Audited { extent, report } => self.audited(*extent, report, took),
            Outcome::Maintained(report) => self.maintained(report, took),
            Outcome::Failed(error) => self.failed(error),
        }
    }

    /// Says what is new about decisions that their authors may not expect.
    pub(crate) fn decisions(&mut self, desired: &DesiredState) {
        let conflicts: BTreeSet<_> = desired.conflicts().collect();
        for conflict in conflicts.difference(&self.conflicts) {
            warn!("{conflict}");
            self.notices.service(&conflict.loser, Reason::FrontendConflict, conflict.to_string());
        }
        for conflict in self.conflicts.difference(&conflicts) {
            info!("no longer contested: {} of {}", conflict.kind, conflict.key);
        }
        self.conflicts = conflicts;
        let warnings: BTreeSet<_> = desired.warnings().into_iter().cloned().collect();
        for warning in warnings.difference(&self.warnings) {
            warn!("{warning}");
            self.notices.about(&warning.object, Reason::Unexpected, warning.reason.clone());
        }
        for warning in self.warnings.difference(&warnings) {
            info!("solved: {warning}");
        }
        self.warnings = warnings;
    }

    /// Why the whole backend fails, if it does.
    pub(crate) fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    /// What fails, by object.
    pub(crate) fn failing(&self) -> Vec<Failing> {
        let failing = self.failing.iter().map(|((server, object), words)| Failing {
            server: *server,
            object: object.clone(),
            words: words.clone(),
        });
        failing.collect()
    }

    fn parked(&self, parked: &Parked) {
        let Parked { service, server, feature } = parked;
        let words = format!("{server} is not served: this backend does not support {feature}");
        warn!("Service {service}: {words}");
        self.notices.service(service, Reason::Unsupported, words);
    }

    fn applied(&mut self, delta: &Delta, report: &Report, took: Duration) {
        self.recovered();
        info!(
            changed = delta.upserts.len(),
            removed = delta.removals.len(),
            kernel_changes = report.changes,
            failed = report.failed.len(),
            took = ?took,
            "synced"
        );
        let upserts = delta.upserts.iter().map(|server| server.key);
        for key in upserts.chain(delta.removals.iter().copied()) {
            let is_failing = |failing: &Option<VirtualServerKey>| *failing == Some(key);
            self.solved(is_failing, &report.failed);
        }
        self.say_failures(&report.failed);
    }

    fn resynced(&mut self, report: &Report, took: Duration) {
        self.recovered();
        let message = if self.has_synced { "read back everything" } else { "synced everything" };
        self.has_synced = true;
        info!(kernel_changes = report.changes, failed = report.failed.len(), took = ?took, "{message}");
        self.solved(|_| true, &report.failed);
        self.say_failures(&report.failed);
    }

    fn audited(&mut self, extent: Extent, report: &Report, took: Duration) {
        self.recovered();
        let drift = report.drift.len();
        match extent {
            Extent::Part => debug!(drift, took = ?took, "audited"),
            Extent::Whole => info!(drift, took = ?took, "compared everything"),
        }
        self.drift(report);
        self.solved(|_| true, &report.failed);
        self.say_failures(&report.failed);
    }

    fn maintained(&mut self, report: &Report, took: Duration) {
        debug!(drift = report.drift.len(), took = ?took, "maintained");
        self.drift(report);
        self.say_failures(&report.failed);
    }

    fn drift(&self, report: &Report) {
        let Some(first) = report.drift.first() else { return };
        for drift in report.drift.iter().take(NAMED) {
            warn!("drift mended: {drift}");
        }
        let more = report.drift.len().saturating_sub(NAMED);
        if more > 0 {
            warn!("drift mended: {more} more objects");
        }
        let count = report.drift.len();
        self.notices.node(
            Reason::Drift,
            format!(
                "{count} objects were not as they were left, and were mended: {first}{}",
                if count > 1 { ", .." } else { "" }
            ),
        );
    }

    /// Nothing can be said about single objects; what comes next does all of it.
    pub(crate) fn failed(&mut self, error: &BackendError) {
        let words = chain(error);
        if self.broken.as_ref() != Some(&words) {
            error!("the kernel's state is not known, it will be read back: {words}");
            self.notices.node(Reason::KernelUnknown, words.clone());
            self.broken = Some(words);
        }
    }

    fn recovered(&mut self) {
        if self.broken.take().is_some() {
            info!("the kernel's state is known again");
        }
    }

    fn say_failures(&mut self, failures: &[Failure]) {
        for failure in failures {
            let words = chain(&failure.error);
            let place = (failure.server, failure.object.clone());
            if self.failing.get(&place) != Some(&words) {
                warn!(object = failure.object, "failed and will be tried again: {words}");
                self.failing.insert(place, words);
            }
        }
    }

    /// Says what no longer fails among those `concerned`.
    fn solved(&mut self, concerned: impl Fn(&Option<VirtualServerKey>) -> bool, still: &[Failure]) {
        self.failing.retain(|(server, object), _| {
            let fails = still.iter().any(|it| it.server == *server && it.object == *object);
            let is_solved = concerned(server) && !fails;
            if is_solved {
                info!(object, "no longer fails");
            }
            !is_solved
        });
    }
}

/// How many objects of one report are named; the rest are counted.
const NAMED: usize = 10;

/// The error with its causes.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push_str(": ");
        words.push_str(&error.to_string());
        cause = error.source();
    }
    words
}
