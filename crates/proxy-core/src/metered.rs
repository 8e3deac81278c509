//! A backend that counts and times what is asked of another.

use std::time::{Duration, Instant};

use crate::{
    Backend, BackendError, Capabilities, Delta, DesiredState, Extent, Maintenance, Report,
};

/// Wraps a backend and measures it. The clock is an argument, like everywhere in this crate.
pub struct Metered<B> {
    backend: B,
    clock: fn() -> Instant,
    meter: Meter,
}

/// What was measured since the backend was wrapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meter {
    /// Calls of `resync` and `audit`.
    pub resyncs: Tally,
    /// Calls of `apply`.
    pub applies: Tally,
    /// Calls of `maintain`.
    pub maintains: Tally,
    /// Objects of the data plane that were created, changed or removed.
    pub changes: u64,
    /// Objects that failed.
    pub failures: u64,
    /// Objects that were found different from what had been left there.
    pub drift: u64,
}

/// Calls of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub calls: u64,
    /// How many returned `Err`.
    pub errors: u64,
    /// How long they took together.
    pub total: Duration,
    /// How long the longest took.
    pub longest: Duration,
}

impl Tally {
    fn add(&mut self, took: Duration, is_ok: bool) {
        self.calls += 1;
        self.errors += u64::from(!is_ok);
        self.total += took;
        self.longest = self.longest.max(took);
    }
}

impl<B> Metered<B> {
    /// Measures `backend` with `clock`.
    pub const fn new(backend: B, clock: fn() -> Instant) -> Self {
        let none = Tally { calls: 0, errors: 0, total: Duration::ZERO, longest: Duration::ZERO };
        let meter = Meter {
            resyncs: none,
            applies: none,
            maintains: none,
            changes: 0,
            failures: 0,
            drift: 0,
        };
        Self { backend, clock, meter }
    }

    /// What was measured.
    pub const fn meter(&self) -> &Meter {
        &self.meter
    }

    /// The backend.
    pub const fn backend_mut(&mut self) -> &mut B {
        &mut self.backend
    }

    fn timed<T>(
        &mut self,
        tally: fn(&mut Meter) -> &mut Tally,
        call: impl FnOnce(&mut B) -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        let start = (self.clock)();
        let result = call(&mut self.backend);
        tally(&mut self.meter).add((self.clock)().duration_since(start), result.is_ok());
        result
    }

    fn count(&mut self, report: Report) -> Report {
        let number = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        self.meter.changes += number(report.changes);
        self.meter.failures += number(report.failed.len());
        self.meter.drift += number(report.drift.len());
        report
    }
}

impl<B: Backend> Backend for Metered<B> {
    fn capabilities(&self) -> &Capabilities {
        self.backend.capabilities()
    }

    fn prepare(&mut self) -> Result<Option<Report>, BackendError> {
        let report = self.backend.prepare()?;
        Ok(report.map(|report| self.count(report)))
    }

    fn resync(&mut self, desired: &DesiredState) -> Result<Report, BackendError> {
        let report = self.timed(|meter| &mut meter.resyncs, |it| it.resync(desired))?;
        Ok(self.count(report))
    }

    fn apply(&mut self, delta: &Delta) -> Result<Report, BackendError> {
        let report = self.timed(|meter| &mut meter.applies, |it| it.apply(delta))?;
        Ok(self.count(report))
    }

    fn audit(&mut self, desired: &DesiredState, extent: Extent) -> Result<Report, BackendError> {
        let report = self.timed(|meter| &mut meter.resyncs, |it| it.audit(desired, extent))?;
        Ok(self.count(report))
    }

    fn maintain(&mut self, now: Instant) -> Result<Maintenance, BackendError> {
        let Maintenance { report, next } =
            self.timed(|meter| &mut meter.maintains, |it| it.maintain(now))?;
        Ok(Maintenance { report: self.count(report), next })
    }

    fn cleanup(&mut self) -> Result<Report, BackendError> {
        let report = self.backend.cleanup()?;
        Ok(self.count(report))
    }
}

#[cfg(test)]
#[path = "metered_tests.rs"]
mod tests;
