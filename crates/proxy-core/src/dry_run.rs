//! A backend that says what it would ask of another, and asks nothing.

use crate::{Backend, BackendError, Capabilities, Delta, DesiredState, Report, VirtualServerKey};

/// Wraps a backend: everything is written down, nothing reaches it.
///
/// It knows what should be, not what is: for the objects of the kernel that a change would touch,
/// ask the backend for its plan.
#[derive(Debug)]
pub struct DryRun<B> {
    backend: B,
    calls: Vec<Request>,
}

/// A call that did not reach the backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Read back everything and make these servers the only ones.
    Resync(Vec<VirtualServerKey>),
    /// Carry out these changes.
    Apply(Delta),
    /// Remove everything.
    Cleanup,
}

impl<B> DryRun<B> {
    /// Keeps everything from `backend`.
    pub fn new(backend: B) -> Self {
        Self { backend, calls: Vec::new() }
    }

    /// What was asked, in order.
    #[must_use]
    pub fn requests(&self) -> &[Request] {
        &self.calls
    }

    /// The backend, untouched.
    pub fn into_inner(self) -> B {
        self.backend
    }
}

impl<B: Backend> Backend for DryRun<B> {
    fn capabilities(&self) -> &Capabilities {
        self.backend.capabilities()
    }

    fn resync(&mut self, desired: &DesiredState) -> Result<Report, BackendError> {
        self.calls.push(Request::Resync(desired.iter().map(|server| server.key).collect()));
        Ok(Report::default())
    }

    fn apply(&mut self, delta: &Delta) -> Result<Report, BackendError> {
        self.calls.push(Request::Apply(delta.clone()));
        Ok(Report::default())
    }

    fn cleanup(&mut self) -> Result<Report, BackendError> {
        self.calls.push(Request::Cleanup);
        Ok(Report::default())
    }
}

#[cfg(test)]
#[path = "dry_run_tests.rs"]
mod tests;
