//! A reconciler with a backend on a kernel in memory, on a simulated clock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ipvs_backend::netlink::Traffic;
use ipvs_backend::{Binding, IpvsBackend, IpvsConfig, NodePlan};
use proxy_core::reconciler::{Outcome, Reconciler, Schedule};
use proxy_core::{Backend as _, DesiredState, Event, Report};

use crate::kernel::FakeKernel;
use crate::state::State;
use crate::unreliable::{Faults, Unreliable};
use crate::world::model;

/// One process after the other on the same kernel.
pub(crate) struct Story {
    pub(crate) kernel: FakeKernel,
    pub(crate) faults: Faults,
    reconciler: Reconciler<IpvsBackend<Unreliable<FakeKernel>>>,
    binding: Binding,
    now: Instant,
    events: Vec<Event>,
    are_signs_missing: bool,
    has_read: bool,
}

pub(crate) fn backend(
    kernel: &FakeKernel,
    faults: &Faults,
    binding: Binding,
) -> IpvsBackend<Unreliable<FakeKernel>> {
    let node = NodePlan { binding, ..NodePlan::default() };
    let config = IpvsConfig { node, ..IpvsConfig::default() };
    let kernel = Unreliable { kernel: kernel.clone(), faults: faults.clone() };
    IpvsBackend::with_kernel(config, kernel, Arc::new(Traffic::default()))
}

/// What a first process makes of a kernel that holds `state`.
pub(crate) fn made_of(state: State, desired: &DesiredState, binding: Binding) -> State {
    let kernel = FakeKernel::new(state);
    let report = backend(&kernel, &Faults::default(), binding).resync(desired).unwrap();
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    kernel.state()
}

impl Story {
    pub(crate) fn begin(state: State, binding: Binding) -> Self {
        let (kernel, faults) = (FakeKernel::new(state), Faults::default());
        let mut reconciler =
            Reconciler::new(backend(&kernel, &faults, binding), model(), Schedule::default());
        // Whether or not it succeeds.
        let _ = reconciler.prepare();
        reconciler.start();
        Self {
            kernel,
            faults,
            reconciler,
            binding,
            now: Instant::now(),
            events: Vec::new(),
            are_signs_missing: false,
            has_read: false,
        }
    }

    pub(crate) fn handle(&mut self, event: Event) {
        self.events.push(event.clone());
        self.reconciler.handle(event, self.now);
    }

    /// Somebody is about to remove members of sets, which may be all that tells whose a service
    /// is. A process that has not read the kernel yet could never know; so it gets the time.
    pub(crate) fn expect_missing_signs(&mut self) {
        self.are_signs_missing = true;
        if !self.has_read {
            self.recover();
        }
    }

    fn recover(&mut self) {
        self.faults.end();
        let _ = self.run(Duration::from_secs(70));
    }

    /// The process dies, and another comes that knows the same objects. One that could not mend
    /// missing signs before leaves what nobody can tell from a stranger's; so it gets the time.
    pub(crate) fn restart(&mut self) {
        if std::mem::take(&mut self.are_signs_missing) {
            self.recover();
        }
        self.has_read = false;
        let backend = backend(&self.kernel, &self.faults, self.binding);
        self.reconciler = Reconciler::new(backend, model(), Schedule::default());
        let _ = self.reconciler.prepare();
        for event in &self.events {
            self.reconciler.handle(event.clone(), self.now);
        }
        self.reconciler.start();
    }

    /// Does everything that is due in this time, each at its time. Returns what was reported.
    pub(crate) fn run(&mut self, time: Duration) -> Vec<Report> {
        let end = self.now + time;
        let mut reports = Vec::new();
        let mut steps_at_once = 0;
        while let Some(next) = self.reconciler.next(self.now).filter(|next| *next <= end) {
            steps_at_once = if next > self.now { 0 } else { steps_at_once + 1 };
            assert!(steps_at_once < 1_000, "it spins");
            self.now = self.now.max(next);
            let outcome = self.reconciler.step(self.now).outcome;
            self.has_read |= matches!(outcome, Outcome::Resynced(_));
            match outcome {
                Outcome::Applied { report, .. }
                | Outcome::Resynced(report)
                | Outcome::Audited { report, .. }
                | Outcome::Maintained(report) => reports.push(report),
                Outcome::Failed(_) | Outcome::Idle => {}
            }
        }
        self.now = end;
        reports
    }

    /// Nothing goes wrong any more. After a while all is as it should be, and stays so.
    #[track_caller]
    pub(crate) fn assert_recovers(mut self) {
        self.faults.end();
        self.kernel.tamper(|state| state.connections.clear());
        let _ = self.run(Duration::from_secs(120));
        let pending = self.reconciler.pending();
        assert_eq!((pending.services, pending.retries), (0, 0));
        let found = self.kernel.state();
        let desired = self.reconciler.desired();
        let wanted = made_of(State::of_strangers(), desired, self.binding);
        let [found, wanted] = [found.by_meaning(), wanted.by_meaning()];
        let extra: Vec<_> = found.iter().filter(|line| !wanted.contains(line)).collect();
        let missing: Vec<_> = wanted.iter().filter(|line| !found.contains(line)).collect();
        assert!(extra.is_empty() && missing.is_empty(), "extra: {extra:#?}\nmissing: {missing:#?}");
        for report in self.run(Duration::from_secs(60)) {
            let Report { failed, drift, changes } = report;
            assert!(failed.is_empty() && drift.is_empty() && changes == 0, "{failed:?} {drift:?}");
        }
    }
}
