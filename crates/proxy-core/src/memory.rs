//! The reference backend: a data plane made of a table, with faults on demand.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;

use crate::diff::{Change, diff};
use crate::{
    Backend, BackendError, Capabilities, Delta, DesiredState, Drift, DriftKind, Failure, Inspect,
    ObjectError, Report, VirtualServer, VirtualServerKey,
};

/// Serves from memory. What it holds is its data plane, so it never disagrees with itself unless
/// told to: [`Self::fail`], [`Self::refuse`] and [`Self::tamper`] make it misbehave as a kernel may.
#[derive(Debug)]
pub struct MemoryBackend {
    capabilities: Capabilities,
    servers: BTreeMap<VirtualServerKey, Arc<VirtualServer>>,
    /// What it left there; `None` while it does not know.
    left: Option<BTreeMap<VirtualServerKey, Arc<VirtualServer>>>,
    refused: BTreeSet<VirtualServerKey>,
    faults: VecDeque<Fault>,
    calls: Calls,
}

/// A fault that hits one call as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing of the call is done, and it returns `Err`.
    Before,
    /// Half of the call is done, and it returns `Err`.
    Halfway,
    /// All of the call is done, but the answer is lost: it returns `Err`.
    After,
}

/// How often each method was called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// Calls of `resync`.
    pub resync: usize,
    /// Calls of `apply`.
    pub apply: usize,
    /// Calls of `cleanup`.
    pub cleanup: usize,
}

impl Default for MemoryBackend {
    fn default() -> Self {
        Self::new(Capabilities::all())
    }
}

impl MemoryBackend {
    /// An empty data plane that can express what `capabilities` says.
    #[must_use]
    pub const fn new(capabilities: Capabilities) -> Self {
        Self {
            capabilities,
            servers: BTreeMap::new(),
            left: None,
            refused: BTreeSet::new(),
            faults: VecDeque::new(),
            calls: Calls { resync: 0, apply: 0, cleanup: 0 },
        }
    }

    /// The next call that is not hit yet fails as a whole.
    pub fn fail(&mut self, fault: Fault) {
        self.faults.push_back(fault);
    }

    /// Every change of this virtual server is refused until [`Self::accept_all`].
    pub fn refuse(&mut self, key: VirtualServerKey) {
        self.refused.insert(key);
    }

    /// Ends what [`Self::refuse`] began.
    pub fn accept_all(&mut self) {
        self.refused.clear();
    }

    /// Changes the data plane behind the backend's back, as another program would.
    pub fn tamper(
        &mut self,
        change: impl FnOnce(&mut BTreeMap<VirtualServerKey, Arc<VirtualServer>>),
    ) {
        change(&mut self.servers);
    }

    /// Forgets what a process forgets when it ends: everything but what is served and what was
    /// injected.
    pub fn restart(&mut self) {
        self.left = None;
    }

    /// What is served, by key.
    #[must_use]
    pub const fn servers(&self) -> &BTreeMap<VirtualServerKey, Arc<VirtualServer>> {
        &self.servers
    }

    /// How often each method was called.
    #[must_use]
    pub const fn calls(&self) -> Calls {
        self.calls
    }

    /// Carries out `steps`, as far as a fault lets it.
    fn carry_out(&mut self, mut steps: Vec<Target>) -> Result<Report, BackendError> {
        let fault = self.faults.pop_front();
        match fault {
            Some(Fault::Before) => steps.clear(),
            Some(Fault::Halfway) => steps.truncate(steps.len() / 2),
            Some(Fault::After) | None => {}
        }
        let mut report = Report::default();
        for step in steps {
            self.reach(step, &mut report);
        }
        match fault {
            None => Ok(report),
            Some(fault) => {
                self.left = None;
                let source = io::Error::other(format!("injected fault: {fault:?}"));
                Err(BackendError::Io { attempt: "talk to the data plane".to_owned(), source })
            }
        }
    }

    fn reach(&mut self, step: Target, report: &mut Report) {
        let key = step.key();
        let current = self.servers.get(&key);
        let is_reached = match &step {
            Target::Present(server) => current == Some(server),
            Target::Absent(_) => current.is_none(),
        };
        if is_reached {
            return;
        }
        if self.refused.contains(&key) {
            let error = ObjectError::Rejected(io::Error::other("injected refusal"));
            report.failed.push(Failure { server: Some(key), object: key.to_string(), error });
            return;
        }
        report.changes += 1;
        let remembered = self.left.as_mut();
        for table in [Some(&mut self.servers), remembered].into_iter().flatten() {
            match &step {
                Target::Present(server) => table.insert(key, server.clone()),
                Target::Absent(key) => table.remove(key),
            };
        }
    }

    /// How what is there differs from what was left there.
    fn drift(&self) -> Vec<Drift> {
        let Some(left) = &self.left else { return Vec::new() };
        let changes = diff(left.iter(), self.servers.iter()).filter_map(|(key, change)| {
            let kind = match change {
                Change::Kept(one, two) if one == two => return None,
                Change::Kept(..) => DriftKind::Changed,
                Change::Removed(_) => DriftKind::Missing,
                Change::Added(_) => DriftKind::Unexpected,
            };
            Some(Drift { object: key.to_string(), kind })
        });
        changes.collect()
    }
}

/// What one key should become.
enum Target {
    Present(Arc<VirtualServer>),
    Absent(VirtualServerKey),
}

impl Target {
    fn key(&self) -> VirtualServerKey {
        match self {
            Self::Present(server) => server.key,
            Self::Absent(key) => *key,
        }
    }
}

impl Backend for MemoryBackend {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Reads what is there.
    fn prepare(&mut self) -> Result<Option<Report>, BackendError> {
        self.left = Some(self.servers.clone());
        Ok(Some(Report::default()))
    }

    fn resync(&mut self, desired: &DesiredState) -> Result<Report, BackendError> {
        self.calls.resync += 1;
        let drift = self.drift();
        self.left = Some(self.servers.clone());
        let there = self.servers.iter().map(|(key, server)| (*key, server));
        let wanted = desired.iter().map(|server| (server.key, server));
        let steps = diff(there, wanted).filter_map(|(key, change)| match change {
            Change::Kept(one, two) if one == two => None,
            Change::Removed(_) => Some(Target::Absent(key)),
            Change::Added(server) | Change::Kept(_, server) => {
                Some(Target::Present(server.clone()))
            }
        });
        let steps = steps.collect();
        Ok(Report { drift, ..self.carry_out(steps)? })
    }

    fn apply(&mut self, delta: &Delta) -> Result<Report, BackendError> {
        self.calls.apply += 1;
        debug_assert!(self.left.is_some(), "the caller prepares or resyncs before the first apply");
        let upserts = delta.upserts.iter().cloned().map(Target::Present);
        let removals = delta.removals.iter().copied().map(Target::Absent);
        self.carry_out(upserts.chain(removals).collect())
    }

    fn cleanup(&mut self) -> Result<Report, BackendError> {
        self.calls.cleanup += 1;
        self.left = None;
        let steps = self.servers.keys().copied().map(Target::Absent).collect();
        self.carry_out(steps)
    }
}

impl Inspect for MemoryBackend {
    fn inspect(&mut self) -> Result<Vec<VirtualServer>, BackendError> {
        Ok(self.servers.values().map(|server| (**server).clone()).collect())
    }
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
