//! Makes the connection tracker forget the flows that changes left behind, once they are made.
//!
//! A frontend is suspect from before the first request that could leave stale flows, until the
//! tracker has said that none is left: whatever fails in between, it is looked at again.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use proxy_core::{Failure, Family, Feature, ObjectError, Protocol, VirtualServerKey};

use crate::kernel::Kernel;
use crate::ledger::Ledger;
use crate::netlink::Errno;
use crate::netlink::conntrack::{Flow, Scope};
use crate::observe::Observed;
use crate::op::Step;
use crate::stale::{Frontends, suspects};

/// What is not known to be free of stale flows.
#[derive(Debug, Default)]
pub(super) struct Flows {
    suspects: BTreeSet<VirtualServerKey>,
    /// So is every UDP frontend there is.
    all: bool,
    /// This kernel does not let us look, which was said once.
    out_of_reach: bool,
    forgotten: u64,
}

impl Flows {
    /// How many flows the kernel was made to forget.
    pub(super) const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Nothing is known: flows of every frontend must be looked at.
    pub(super) const fn suspect_all(&mut self) {
        self.all = true;
    }

    /// Takes in what is about to be done.
    pub(super) fn suspect(&mut self, steps: &[Step], ledger: &Ledger, observed: &Observed) {
        self.suspects.append(&mut suspects(steps, ledger, observed));
    }

    /// Forgets the stale flows of suspects. `failed` is what else could not be done: its frontends
    /// stay suspect, for they are tried again.
    pub(super) fn forget(
        &mut self,
        kernel: &mut impl Kernel,
        ledger: &Ledger,
        failed: &[Failure],
    ) -> Vec<Failure> {
        if self.out_of_reach && !self.all {
            self.suspects.clear();
        }
        if self.suspects.is_empty() && !self.all {
            return Vec::new();
        }
        let there = if self.all { ledger.keys().collect() } else { Vec::new() };
        let frontends = Frontends::new(there.into_iter().chain(self.suspects.clone()), ledger);
        let failures = match self.look(kernel, &frontends) {
            Ok(stale) => {
                (self.all, self.out_of_reach) = (false, false);
                self.delete(kernel, &stale)
            }
            Err(error) if is_out_of_reach(&error) => {
                self.all = false;
                let known = std::mem::replace(&mut self.out_of_reach, true);
                self.suspects.clear();
                return if known { Vec::new() } else { vec![out_of_reach(&error)] };
            }
            Err(error) if self.all => return vec![failure(None, &error)],
            Err(error) => {
                return self.suspects.iter().map(|key| failure(Some(*key), &error)).collect();
            }
        };
        let again: BTreeSet<_> =
            failed.iter().chain(&failures).filter_map(|failure| failure.server).collect();
        self.suspects.retain(|key| again.contains(key));
        self.suspects.extend(failures.iter().filter_map(|failure| failure.server));
        failures
    }

    fn look(&self, kernel: &mut impl Kernel, frontends: &Frontends) -> io::Result<Vec<Flow>> {
        let addresses: Vec<_> = frontends.addresses().collect();
        let has = |family: &Family| addresses.iter().any(|at| Family::of(at.ip()) == *family);
        let families: Vec<_> = Family::ALL.into_iter().filter(has).collect();
        let scope = if self.all { Scope::Families(&families) } else { Scope::To(&addresses) };
        kernel.udp_flows(scope, &mut |flow| frontends.is_stale(flow))
    }

    /// Deletes flows. One that is gone by itself is fine. Returns one failure for each frontend.
    fn delete(&mut self, kernel: &mut impl Kernel, stale: &[Flow]) -> Vec<Failure> {
        if stale.is_empty() {
            return Vec::new();
        }
        let answers = match kernel.forget_flows(stale) {
            Ok(answers) => answers,
            Err(error) => {
                let frontends: BTreeSet<_> = stale.iter().map(key).collect();
                return frontends.into_iter().map(|server| failure(server, &error)).collect();
            }
        };
        let mut failures = BTreeMap::new();
        for (flow, answer) in stale.iter().zip(answers) {
            match answer {
                Ok(()) => self.forgotten += 1,
                Err(Errno::NOENT) => {}
                Err(errno) => {
                    let server = key(flow);
                    failures.entry(server).or_insert_with(|| Failure {
                        server,
                        object: format!("- {flow}"),
                        error: ObjectError::Rejected(errno.into()),
                    });
                }
            }
        }
        failures.into_values().collect()
    }
}

/// The frontend that a flow was sent to.
fn key(flow: &Flow) -> Option<VirtualServerKey> {
    let port = flow.destination.port().try_into().ok()?;
    Some(VirtualServerKey { address: flow.destination.ip(), protocol: Protocol::Udp, port })
}

fn is_out_of_reach(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied)
}

/// Nothing that trying again would help.
fn out_of_reach(error: &io::Error) -> Failure {
    let why = match error.kind() {
        io::ErrorKind::PermissionDenied => "this kernel does not let us list tracked flows",
        _ => "this kernel has no netlink interface to tracked flows (nf_conntrack_netlink)",
    };
    Failure {
        server: None,
        object: "stale UDP flows".to_owned(),
        error: ObjectError::Unsupported(Feature::Other(why)),
    }
}

/// It is not known what became of the flows.
fn failure(server: Option<VirtualServerKey>, error: &io::Error) -> Failure {
    let copy = error.raw_os_error().map_or_else(
        || io::Error::new(error.kind(), error.to_string()),
        io::Error::from_raw_os_error,
    );
    let object = match server {
        Some(key) => format!("stale flows to {key}"),
        None => "stale UDP flows".to_owned(),
    };
    Failure { server, object, error: ObjectError::Rejected(copy) }
}

#[cfg(test)]
#[path = "flows_tests.rs"]
mod tests;
