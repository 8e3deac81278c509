//! A backend while a check has it open. Its methods insist on what every call must keep.

use std::time::Instant;

use super::view::{Served, served};
use super::{Lab, fixture};
use crate::diff::{Change, diff};
use crate::{
    BackendError, Capabilities, Delta, DesiredState, Extent, Failure, Inspect, ObjectError, Report,
    VirtualServer,
};

/// An open backend, and the virtual servers it should be serving.
pub(super) struct Session<'a> {
    backend: Box<dyn Inspect + 'a>,
    wanted: DesiredState,
}

impl<'a> Session<'a> {
    /// Opens the backend, and nothing more.
    pub(super) fn open(lab: &'a mut dyn Lab) -> Self {
        Self { backend: lab.open(), wanted: DesiredState::new() }
    }

    /// Opens the backend and makes it serve exactly `servers`.
    #[track_caller]
    pub(super) fn serving(lab: &'a mut dyn Lab, servers: &[VirtualServer]) -> Self {
        let mut session = Self::open(lab);
        session.resync(servers);
        session
    }

    pub(super) fn capabilities(&self) -> Capabilities {
        self.backend.capabilities().clone()
    }

    /// Resyncs to exactly `servers`. Returns how many objects were changed.
    #[track_caller]
    pub(super) fn resync(&mut self, servers: &[VirtualServer]) -> usize {
        self.wanted = fixture::state(servers);
        let report = sound("resync", self.backend.resync(&self.wanted));
        self.expect_wanted("resync");
        report.changes
    }

    /// Audits what is there. Returns how many objects were changed.
    #[track_caller]
    pub(super) fn audit(&mut self, extent: Extent) -> usize {
        let report = sound("audit", self.backend.audit(&self.wanted, extent));
        assert!(
            report.drift.is_empty(),
            "nobody touched anything, yet drift is reported: {report:?}"
        );
        self.expect_wanted("audit");
        report.changes
    }

    /// Applies what leads to exactly `servers`. Returns how many objects were changed.
    #[track_caller]
    pub(super) fn change_to(&mut self, servers: &[VirtualServer]) -> usize {
        let next = fixture::state(servers);
        let delta = Delta::between(&self.wanted, &next);
        self.wanted = next;
        self.apply(&delta)
    }

    /// As [`Self::change_to`], but what is asked for may turn out not to be supported after all:
    /// some data planes find out when they are asked. Then everything is as it was.
    #[track_caller]
    pub(super) fn offer(&mut self, servers: &[VirtualServer]) {
        let next = fixture::state(servers);
        let delta = Delta::between(&self.wanted, &next);
        let is_refusal = |failure: &Failure| matches!(failure.error, ObjectError::Unsupported(_));
        match self.backend.apply(&delta) {
            Ok(report) if !report.failed.is_empty() && report.failed.iter().all(is_refusal) => {}
            result => {
                let _ = sound("apply", result);
                self.wanted = next;
            }
        }
        self.expect_wanted("apply");
    }

    /// Applies a delta after which what was wanted before still is.
    #[track_caller]
    pub(super) fn apply(&mut self, delta: &Delta) -> usize {
        let report = sound("apply", self.backend.apply(delta));
        self.expect_wanted("apply");
        report.changes
    }

    /// Cleans up; then nothing may be served. Returns how many objects were changed.
    #[track_caller]
    pub(super) fn cleanup(&mut self) -> usize {
        self.wanted = DesiredState::new();
        let report = sound("cleanup", self.backend.cleanup());
        self.expect_wanted("cleanup");
        report.changes
    }

    /// Lets the backend do everything that can ever become due.
    #[track_caller]
    pub(super) fn maintain_to_the_end(&mut self) {
        #[expect(clippy::disallowed_methods, reason = "a real data plane lives in real time")]
        let mut due = Some(Instant::now());
        for _ in 0..1_000 {
            let Some(now) = due else { break };
            due = self
                .backend
                .maintain(now)
                .unwrap_or_else(|error| panic!("maintain fails: {}", causes(&error)))
                .next;
            assert!(
                due.is_none_or(|next| next > now),
                "maintain wants to be called again at once, for ever (promise 6)"
            );
        }
        self.expect_wanted("maintain");
    }

    /// What is served is what is wanted.
    #[track_caller]
    fn expect_wanted(&mut self, call: &str) {
        let found = self.backend.inspect();
        let found = found.unwrap_or_else(|error| panic!("inspect fails: {}", causes(&error)));
        let wanted = served(self.wanted.iter().map(|server| &**server));
        let differences = differences(&wanted, &served(&found));
        assert!(
            differences.is_empty(),
            "after {call} was reported as done, the data plane differs from what was asked for:\n{}",
            differences.join("\n")
        );
    }
}

/// A report of success, of a call that has no reason to fail.
#[track_caller]
fn sound(call: &str, result: Result<Report, BackendError>) -> Report {
    let report = match result {
        Ok(report) => report,
        Err(error) => panic!(
            "{call} returns an error, although nothing is wrong with the data plane: {}",
            causes(&error)
        ),
    };
    assert!(
        report.failed.is_empty(),
        "{call} reports failures for what the capabilities say can be done: {:?}",
        report.failed
    );
    report
}

fn causes(error: &BackendError) -> String {
    let first: &dyn std::error::Error = error;
    let chain = std::iter::successors(Some(first), |error| error.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn differences(wanted: &[Served], found: &[Served]) -> Vec<String> {
    let wanted = wanted.iter().map(|server| (server.key, server));
    let found = found.iter().map(|server| (server.key, server));
    let changes = diff(wanted, found);
    let lines = changes.filter_map(|(_, change)| match change {
        Change::Removed(wanted) => Some(format!("  missing:   {wanted}")),
        Change::Added(found) => Some(format!("  not asked: {found}")),
        Change::Kept(wanted, found) if wanted == found => None,
        Change::Kept(wanted, found) => Some(format!("  wanted:    {wanted}\n  found:     {found}")),
    });
    lines.collect()
}
