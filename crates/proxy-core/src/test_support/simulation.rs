//! A reconciler on a simulated clock, and what it did as lines of text.

use std::time::{Duration, Instant};

use super::{Scripted, key, model, output::show_delta, server, show};
use crate::reconciler::{Outcome, Reconciler, Schedule, Step};
use crate::{Capabilities, Event, FrontendKind, Report, VirtualServerKey};

/// Drives a reconciler by what [`Reconciler::next`] says, without waiting.
pub(crate) struct Simulation {
    pub(crate) reconciler: Reconciler<Scripted>,
    began: Instant,
    now: Instant,
}

impl Simulation {
    /// Not started yet; nothing known but the node.
    pub(crate) fn new(schedule: Schedule) -> Self {
        Self::with_capabilities(schedule, Capabilities::all())
    }

    pub(crate) fn with_capabilities(schedule: Schedule, capabilities: Capabilities) -> Self {
        let backend = Scripted::new(capabilities);
        let now = Instant::now();
        Self { reconciler: Reconciler::new(backend, model([]), schedule), began: now, now }
    }

    /// Started, with `events` carried out and the clock at zero again.
    pub(crate) fn started(schedule: Schedule, events: impl IntoIterator<Item = Event>) -> Self {
        let mut simulation = Self::new(schedule);
        simulation.reconciler.start();
        let _ = simulation.run(0);
        simulation.handle(events);
        let _ = simulation.run(schedule.max_delay.as_millis().try_into().unwrap());
        simulation.began = simulation.now;
        simulation
    }

    pub(crate) fn handle(&mut self, events: impl IntoIterator<Item = Event>) {
        for event in events {
            self.reconciler.handle(event, self.now);
        }
    }

    /// Does everything that is due in the next `milliseconds`, each at its time. Returns a line
    /// for everything but idle steps and maintenance, with the time since the beginning.
    #[track_caller]
    pub(crate) fn run(&mut self, milliseconds: u64) -> Vec<String> {
        let all = self.run_showing_all(milliseconds);
        all.into_iter().filter(|line| !line.ends_with("maintained")).collect()
    }

    #[track_caller]
    pub(crate) fn run_showing_all(&mut self, milliseconds: u64) -> Vec<String> {
        let end = self.now + Duration::from_millis(milliseconds);
        let mut lines = Vec::new();
        let mut steps_at_once = 0;
        while let Some(next) = self.reconciler.next(self.now).filter(|next| *next <= end) {
            steps_at_once = if next > self.now { 0 } else { steps_at_once + 1 };
            assert!(steps_at_once < 1_000, "it spins: {lines:#?}");
            self.now = self.now.max(next);
            let step = self.reconciler.step(self.now);
            lines.extend(show_step(&step).map(|text| format!("{} {text}", self.elapsed())));
        }
        self.now = end;
        lines
    }

    /// What is served, one line for each virtual server.
    pub(crate) fn served(&self) -> Vec<String> {
        let servers = self.reconciler.backend().memory.servers().values();
        servers.map(|server| super::show_server(server)).collect()
    }

    /// Nothing is pending, and what is served is what is wanted.
    #[track_caller]
    pub(crate) fn assert_settled(&self) {
        let pending = self.reconciler.pending();
        assert_eq!((pending.services, pending.retries), (0, 0), "nothing is left to do");
        assert_eq!(self.served(), show(self.reconciler.desired()));
    }

    pub(crate) const fn now(&self) -> Instant {
        self.now
    }

    fn elapsed(&self) -> u128 {
        (self.now - self.began).as_millis()
    }
}

/// The virtual server at the cluster IP `address`, port 80.
pub(crate) fn at(address: &str) -> VirtualServerKey {
    server("any", FrontendKind::ClusterIp, &format!("{address}:80"), "").key
}

fn show_step(step: &Step) -> Option<String> {
    let mut text = match &step.outcome {
        Outcome::Idle => return None,
        Outcome::Applied { delta, report } => {
            format!("applied {}{}", show_delta(delta).join(", "), show_report(report))
        }
        Outcome::Resynced(report) => {
            format!("resynced, {} changes{}", report.changes, show_report(report))
        }
        Outcome::Audited { report, .. } => {
            format!("audited, {} changes{}", report.changes, show_report(report))
        }
        Outcome::Maintained(_) => "maintained".to_owned(),
        Outcome::Failed(error) => format!("failed to {error}"),
    };
    for parked in &step.parked {
        text += &format!("; parked {} of {}: {}", parked.server, parked.service, parked.feature);
    }
    Some(text)
}

fn show_report(report: &Report) -> String {
    let failed = report.failed.iter().map(|failure| format!("; failed {failure}"));
    let drift = report.drift.iter().map(|drift| format!("; {drift}"));
    failed.chain(drift).collect()
}

/// A Service at cluster IP 10.96.0.`number`, without endpoints.
pub(crate) fn numbered(number: usize) -> Event {
    super::service_event(&format!("default/s{number} int ip=10.96.0.{number}"))
}

/// It is gone.
pub(crate) fn removed(number: usize) -> Event {
    Event::ServiceRemoved(key(&format!("s{number}")))
}
