//! Brings a backend to the state the model asks for, and keeps it there.
//!
//! It owns everything a backend must not: which Services are dirty, what is tried again and when,
//! what waits because the backend cannot express it, and when to trust nothing and resync. It has
//! no clock: every method that depends on time is told it, and answers when to be called next.

mod dirty;
mod foresight;
mod parking;
mod retry;
mod schedule;

use std::collections::BTreeSet;
use std::time::Instant;

use crate::{
    Backend, BackendError, Delta, DesiredState, Event, Extent, Failure, Maintenance, Model,
    ObjectError, Report, ServiceKey, VirtualServerKey,
};

use dirty::Dirty;
use foresight::Foresight;
use parking::Parking;
use retry::Retries;

pub use parking::Parked;
pub use schedule::Schedule;

/// A model, the state it asks for, and a backend on the way there.
#[derive(Debug)]
pub struct Reconciler<B> {
    backend: B,
    model: Model,
    desired: DesiredState,
    schedule: Schedule,
    dirty: Dirty,
    /// Until the start.
    foresight: Option<Foresight>,
    retries: Retries,
    parking: Parking,
    resync: Resync,
    /// What was done ahead of the first resync, if anything.
    prepared: Option<Report>,
    /// No earlier than this may changes be carried out.
    not_before: Option<Instant>,
    audit_due: Option<Instant>,
    /// Whether somebody asked for an audit of everything.
    audit_asked: bool,
    maintenance_due: Option<Instant>,
}

/// Whether the backend's state is known, and if not, when it is read again.
#[derive(Debug, PartialEq, Eq)]
enum Resync {
    /// The inputs are not complete yet: nothing may be programmed.
    AwaitingStart,
    /// Due at once.
    Now,
    /// Certainty was lost, or something was left behind; `attempts` were made since.
    Due { at: Instant, attempts: u32, cause: Cause },
    /// Not needed.
    Settled,
}

/// Why a resync is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// Nothing is known; changes wait for it.
    Uncertain,
    /// Something was left behind; changes go on meanwhile.
    Leftover,
}

/// What one step did.
#[must_use]
#[derive(Debug)]
pub struct Step {
    /// What was done.
    pub outcome: Outcome,
    /// Virtual servers that the backend cannot express and that were not known to be so.
    pub parked: Vec<Parked>,
    /// When to call again, if nothing happens before.
    pub next: Option<Instant>,
}

/// What one step did.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing was due.
    Idle,
    /// Changes were carried out.
    Applied {
        /// What was asked of the backend.
        delta: Delta,
        /// What it said.
        report: Report,
    },
    /// The whole state was read back and mended.
    Resynced(Report),
    /// The periodic comparison was made, or one that was asked for.
    Audited {
        /// How much was compared.
        extent: Extent,
        /// What the backend said.
        report: Report,
    },
    /// The backend did what was due by itself.
    Maintained(Report),
    /// Nothing can be said about single objects; a resync follows.
    Failed(BackendError),
}

/// How much is still to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// Services with changes that were not carried out yet.
    pub services: usize,
    /// Virtual servers that failed and will be tried again.
    pub retries: usize,
    /// Virtual servers that the backend cannot express.
    pub parked: usize,
}

impl<B: Backend> Reconciler<B> {
    /// A reconciler that waits for [`Self::start`].
    pub fn new(backend: B, model: Model, schedule: Schedule) -> Self {
        Self {
            backend,
            model,
            desired: DesiredState::new(),
            retries: Retries::new(schedule.backoff),
            schedule,
            dirty: Dirty::default(),
            foresight: Some(Foresight::default()),
            parking: Parking::default(),
            resync: Resync::AwaitingStart,
            prepared: None,
            not_before: None,
            audit_due: None,
            audit_asked: false,
            maintenance_due: None,
        }
    }

    /// Takes in one event. Nothing is carried out before the next [`Self::step`].
    pub fn handle(&mut self, event: Event, now: Instant) {
        for key in self.model.apply(event) {
            if let Some(foresight) = &mut self.foresight {
                foresight.note(&key, &self.model);
            }
            self.dirty.insert(key, now);
        }
    }

    /// Lets the backend do what depends on no input, while they come in; then what is most urgent
    /// is served as soon as they are complete, before all else is even decided.
    ///
    /// # Errors
    /// What the backend says. Nothing follows from it: the first resync does all of it, too.
    pub fn prepare(&mut self) -> Result<(), BackendError> {
        if self.resync == Resync::AwaitingStart {
            self.prepared = self.backend.prepare()?;
        }
        Ok(())
    }

    /// The inputs are complete: from now on the backend may be told. Without this no list that is
    /// still incomplete could ever take a working Service away.
    pub fn start(&mut self) {
        if self.resync == Resync::AwaitingStart {
            self.resync = Resync::Now;
        }
    }

    /// Does things at other times from now on. How failures are tried again stays.
    pub fn reschedule(&mut self, schedule: Schedule, now: Instant) {
        self.schedule = Schedule { backoff: self.schedule.backoff, ..schedule };
        let latest = now + self.schedule.audit_interval;
        self.audit_due = self.audit_due.map(|due| due.min(latest));
    }

    /// Makes the next step trust nothing and read back everything.
    pub fn request_resync(&mut self) {
        if self.resync != Resync::AwaitingStart {
            self.resync = Resync::Now;
        }
    }

    /// Makes a step soon audit everything: the next one, or the first one after changes that wait.
    pub fn request_audit(&mut self) {
        self.audit_asked |= self.resync != Resync::AwaitingStart;
    }

    /// The backend was told something: the next step calls its maintenance.
    pub const fn request_maintenance(&mut self, now: Instant) {
        self.maintenance_due = Some(now);
    }

    /// Does one bounded piece of what is due at `now`. Before [`Self::start`] that is to decide about
    /// Services of which everything seems to be known; nothing follows from it yet. Then, the most
    /// urgent first:
    /// 1. a resync, if certainty was lost;
    /// 2. changed Services (a batch of them) and failed virtual servers whose time has come;
    /// 3. an audit that was asked for;
    /// 4. the backend's own maintenance;
    /// 5. the periodic audit.
    pub fn step(&mut self, now: Instant) -> Step {
        let mut parked = Vec::new();
        let outcome = match self.due(now) {
            Due::Nothing => Outcome::Idle,
            Due::Foresight => self.run_foresight(),
            Due::Resync => self.run_resync(now, &mut parked),
            Due::Changes => self.run_changes(now, &mut parked),
            Due::Maintenance => self.run_maintenance(now),
            Due::Audit(extent) => self.run_audit(extent, now),
        };
        Step { outcome, parked, next: self.next(now) }
    }

    /// When [`Self::step`] has something to do next.
    #[must_use]
    pub fn next(&self, now: Instant) -> Option<Instant> {
        let resync = match self.resync {
            Resync::AwaitingStart => return self.can_foresee().then_some(now),
            Resync::Now => return Some(now),
            Resync::Due { at, cause: Cause::Uncertain, .. } => return Some(at),
            Resync::Due { at, cause: Cause::Leftover, .. } => Some(at),
            Resync::Settled => None,
        };
        let asked = self.audit_asked.then_some(now);
        let others = [asked, self.changes_due(), self.maintenance_due, self.audit_due];
        others.into_iter().chain([resync]).flatten().min()
    }

    /// How much is still to be done.
    #[must_use]
    pub fn pending(&self) -> Pending {
        Pending {
            services: self.dirty.len() + self.foresight.as_ref().map_or(0, Foresight::len),
            retries: self.retries.len(),
            parked: self.parking.len(),
        }
    }

    /// Virtual servers that the backend cannot express.
    pub fn parked(&self) -> impl Iterator<Item = Parked> {
        self.parking.iter()
    }

    /// The inputs.
    #[must_use]
    pub const fn model(&self) -> &Model {
        &self.model
    }

    /// The state that was last decided; nothing before the first resync. Changes still to be carried
    /// out are not in it.
    #[must_use]
    pub const fn desired(&self) -> &DesiredState {
        &self.desired
    }

    /// The backend.
    #[must_use]
    pub const fn backend(&self) -> &B {
        &self.backend
    }

    /// The backend, for what is outside of reconciling: reading counters, injecting faults.
    pub const fn backend_mut(&mut self) -> &mut B {
        &mut self.backend
    }

    /// The backend, when there is nothing left to reconcile. What it serves goes on.
    pub fn into_backend(self) -> B {
        self.backend
    }

    fn due(&self, now: Instant) -> Due {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        match self.resync {
            Resync::AwaitingStart if self.can_foresee() => return Due::Foresight,
            Resync::AwaitingStart => return Due::Nothing,
            Resync::Now => return Due::Resync,
            Resync::Due { at, .. } if at <= now => return Due::Resync,
            Resync::Due { cause: Cause::Uncertain, .. } => return Due::Nothing,
            Resync::Due { cause: Cause::Leftover, .. } | Resync::Settled => {}
        }
        if is_due(self.changes_due()) {
            Due::Changes
        } else if self.audit_asked {
            Due::Audit(Extent::Whole)
        } else if is_due(self.maintenance_due) {
            Due::Maintenance
        } else if is_due(self.audit_due) {
            Due::Audit(Extent::Part)
        } else {
            Due::Nothing
        }
    }

    fn can_foresee(&self) -> bool {
        self.foresight.as_ref().is_some_and(Foresight::is_due)
    }

    fn changes_due(&self) -> Option<Instant> {
        let dirty = self.dirty.due(&self.schedule);
        let earliest = [dirty, self.retries.due()].into_iter().flatten().min()?;
        Some(self.not_before.map_or(earliest, |not_before| earliest.max(not_before)))
    }

    fn run_resync(&mut self, now: Instant, parked: &mut Vec<Parked>) -> Outcome {
        if let Some(Foresight { desired, .. }) = self.foresight.take() {
            self.desired = desired;
            parked.extend(self.parking.iter());
        }
        let ahead = self.run_ahead(parked);
        let everything = self.dirty.take(usize::MAX);
        self.model.repack();
        self.decide(everything, parked);
        self.desired.repack();
        let mut result = self.backend.resync(&self.desired);
        if let (Ok(report), Some(ahead)) = (&mut result, ahead) {
            report.merge(ahead);
        }
        let attempts = self.resync.attempts();
        if result.is_ok() {
            self.resync = Resync::Settled;
            self.retries.clear();
            self.audit_due = Some(now + self.schedule.audit_interval);
            self.audit_asked = false;
        }
        self.settle(result, attempts, now).map_or_else(Outcome::Failed, Outcome::Resynced)
    }

    /// Decides about some Services beside the state that others are told, which stays empty.
    fn run_foresight(&mut self) -> Outcome {
        let Some(mut foresight) = self.foresight.take() else { return Outcome::Idle };
        let services = foresight.take(self.schedule.batch, &mut self.dirty);
        std::mem::swap(&mut self.desired, &mut foresight.desired);
        let _ = self.decide(services, &mut Vec::new());
        std::mem::swap(&mut self.desired, &mut foresight.desired);
        self.foresight = Some(foresight);
        Outcome::Idle
    }

    /// Carries out what is urgent ahead of the first resync, if the backend is prepared. Returns what
    /// was done until then; which virtual servers failed, the resync finds and reports.
    fn run_ahead(&mut self, parked: &mut Vec<Parked>) -> Option<Report> {
        let mut ahead = self.prepared.take()?;
        let urgent = self.dirty.take_urgent();
        let changed = self.decide(urgent, parked);
        let delta = self.desired.delta_for(changed);
        if !delta.is_empty() {
            ahead.changes += self.backend.apply(&delta).map_or(0, |report| report.changes);
        }
        Some(ahead)
    }

    fn run_changes(&mut self, now: Instant, parked: &mut Vec<Parked>) -> Outcome {
        let services = if self.dirty.due(&self.schedule).is_some_and(|due| due <= now) {
            self.dirty.take(self.schedule.batch)
        } else {
            Vec::new()
        };
        let mut keys = self.decide(services, parked);
        keys.extend(self.retries.take_due(now));
        let delta = self.desired.delta_for(keys);
        if self.dirty.is_empty() {
            self.not_before = Some(now + self.schedule.min_interval);
        }
        if delta.is_empty() {
            return Outcome::Idle;
        }
        let result = self.backend.apply(&delta);
        match self.settle(result, 0, now) {
            Ok(report) => {
                self.retries.succeeded_except(&delta, &report.failed);
                Outcome::Applied { delta, report }
            }
            Err(error) => Outcome::Failed(error),
        }
    }

    fn run_maintenance(&mut self, now: Instant) -> Outcome {
        match self.backend.maintain(now) {
            Ok(Maintenance { report, next }) => {
                self.note_failures(&report.failed, 0, now);
                self.maintenance_due = next;
                Outcome::Maintained(report)
            }
            Err(error) => {
                self.resync = self.later(now, 0, Cause::Uncertain);
                Outcome::Failed(error)
            }
        }
    }

    fn run_audit(&mut self, extent: Extent, now: Instant) -> Outcome {
        self.audit_due = Some(now + self.schedule.audit_interval);
        self.audit_asked = false;
        let result = self.backend.audit(&self.desired, extent);
        let audited = |report| Outcome::Audited { extent, report };
        self.settle(result, 0, now).map_or_else(Outcome::Failed, audited)
    }

    /// Resolves Services anew. Returns the virtual servers that change in the whole.
    fn decide(
        &mut self,
        services: Vec<ServiceKey>,
        parked: &mut Vec<Parked>,
    ) -> BTreeSet<VirtualServerKey> {
        let mut changed = BTreeSet::new();
        for service in services {
            let mut resolution = self.model.resolve(&service);
            let capabilities = self.backend.capabilities();
            parked.extend(self.parking.park(&service, &mut resolution, capabilities));
            let Delta { upserts, removals } = self.desired.replace(&service, resolution);
            changed.extend(upserts.iter().map(|server| server.key));
            changed.extend(removals);
        }
        for key in &changed {
            self.retries.forget(key);
        }
        changed
    }

    /// Draws the consequences of a backend's answer for what is tried again and when.
    /// `attempts` is how often a resync was in vain so far.
    fn settle(
        &mut self,
        result: Result<Report, BackendError>,
        attempts: u32,
        now: Instant,
    ) -> Result<Report, BackendError> {
        match &result {
            Ok(report) => {
                self.note_failures(&report.failed, attempts, now);
                // What was started may have to be ended; the backend knows when.
                self.maintenance_due = Some(now);
            }
            Err(_) => self.resync = self.later(now, attempts, Cause::Uncertain),
        }
        result
    }

    /// A virtual server that the backend turned out not to support is not tried again before its
    /// Service changes or the whole state is read back.
    fn note_failures(&mut self, failures: &[Failure], attempts: u32, now: Instant) {
        for failure in failures {
            match (failure.server, &failure.error) {
                (Some(key), ObjectError::Unsupported(_)) => self.retries.forget(&key),
                (Some(key), _) => self.retries.failed(key, now),
                (None, ObjectError::Unsupported(_)) => {}
                (None, _) if self.resync == Resync::Settled => {
                    self.resync = self.later(now, attempts, Cause::Leftover);
                }
                (None, _) => {}
            }
        }
    }

    fn later(&self, now: Instant, attempts: u32, cause: Cause) -> Resync {
        let at = now + self.schedule.backoff.delay(attempts);
        Resync::Due { at, attempts: attempts + 1, cause }
    }
}

impl Resync {
    /// How often it was in vain so far.
    const fn attempts(&self) -> u32 {
        match self {
            Self::Due { attempts, .. } => *attempts,
            _ => 0,
        }
    }
}

/// The most urgent thing that is due.
enum Due {
    Nothing,
    Foresight,
    Resync,
    Changes,
    Maintenance,
    Audit(Extent),
}

#[cfg(test)]
mod tests;
