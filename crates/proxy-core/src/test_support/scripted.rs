//! A memory backend that can also misbehave in the ways a memory backend has no reason to.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::time::Instant;

use crate::memory::MemoryBackend;
use crate::{
    Backend, BackendError, Capabilities, Delta, DesiredState, Failure, Feature, Maintenance,
    ObjectError, Report, Scheduler, VirtualServerKey,
};

/// Wraps a [`MemoryBackend`]; what it is told to say, it says on top.
#[derive(Default)]
pub(crate) struct Scripted {
    pub(crate) memory: MemoryBackend,
    /// It has something to prepare.
    pub(crate) prepares: bool,
    /// So many of the next reports have a failure without a virtual server.
    pub(crate) leftovers: usize,
    /// These servers turn out not to be supported when they are tried.
    pub(crate) unsupported: BTreeSet<VirtualServerKey>,
    /// What the next calls of `maintain` answer; then nothing is ever due.
    pub(crate) maintenance: VecDeque<Option<Instant>>,
    /// The next call of `maintain` returns `Err`.
    pub(crate) fail_maintenance: bool,
}

impl Scripted {
    pub(crate) fn new(capabilities: Capabilities) -> Self {
        Self { memory: MemoryBackend::new(capabilities), ..Self::default() }
    }

    fn amend(&mut self, mut report: Report) -> Report {
        if self.leftovers > 0 {
            self.leftovers -= 1;
            let error = ObjectError::Rejected(io::Error::other("busy"));
            report.failed.push(Failure { server: None, object: "a leftover".to_owned(), error });
        }
        report
    }
}

impl Backend for Scripted {
    fn capabilities(&self) -> &Capabilities {
        self.memory.capabilities()
    }

    fn prepare(&mut self) -> Result<Option<Report>, BackendError> {
        if self.prepares { self.memory.prepare() } else { Ok(None) }
    }

    fn resync(&mut self, desired: &DesiredState) -> Result<Report, BackendError> {
        let report = self.memory.resync(desired)?;
        Ok(self.amend(report))
    }

    fn apply(&mut self, delta: &Delta) -> Result<Report, BackendError> {
        let mut rest = delta.clone();
        rest.upserts.retain(|server| !self.unsupported.contains(&server.key));
        let mut report = self.memory.apply(&rest)?;
        for server in &delta.upserts {
            if self.unsupported.contains(&server.key) {
                let error = ObjectError::Unsupported(Feature::Scheduler(Scheduler::MaglevHash));
                let object = server.key.to_string();
                report.failed.push(Failure { server: Some(server.key), object, error });
            }
        }
        Ok(self.amend(report))
    }

    fn maintain(&mut self, _now: Instant) -> Result<Maintenance, BackendError> {
        if std::mem::take(&mut self.fail_maintenance) {
            let source = io::Error::other("injected fault");
            return Err(BackendError::Io { attempt: "read counters".to_owned(), source });
        }
        let next = self.maintenance.pop_front().flatten();
        Ok(Maintenance { next, ..Maintenance::default() })
    }

    fn cleanup(&mut self) -> Result<Report, BackendError> {
        self.memory.cleanup()
    }
}
