//! What the driver remembers for those who ask, besides what it works with. No I/O: told the time.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Instant;

use proxy_core::reconciler::{Outcome, Reconciler};
use proxy_core::{Drift, Failure, Model, Report, ServiceKey, VirtualServerKey};
use tokio::sync::oneshot::Sender;

use super::document::Repaired;
use super::inquiry::{Detail, Inputs, Inquiry, Known, Scope, Served};
use crate::health::Now;
use crate::journal::{Journal, chain};
use crate::network::Networked;
use crate::node_facts::NodeFacts;
use crate::source::Problem;

/// So many objects that drifted are remembered.
const DRIFTS: usize = 200;

/// Writes down what happens.
#[derive(Debug)]
pub(crate) struct Chronicle {
    started: Instant,
    is_complete: bool,
    /// When everything was first in place.
    begun: Option<Instant>,
    /// When virtual servers changed since.
    changed: HashMap<VirtualServerKey, Instant>,
    last_change: Option<Instant>,
    last_comparison: Option<Instant>,
    revision: u64,
    drift_total: u64,
    /// From the oldest.
    drift: VecDeque<(Instant, Drift)>,
    /// What is wrong with the objects that are given.
    problems: BTreeSet<Problem>,
    /// Who waits for everything to be compared.
    repairs: Vec<Sender<Repaired>>,
}

impl Chronicle {
    /// Of a process that began at `started`.
    pub(crate) fn new(started: Instant) -> Self {
        Self {
            started,
            is_complete: false,
            begun: None,
            changed: HashMap::new(),
            last_change: None,
            last_comparison: None,
            revision: 0,
            drift_total: 0,
            drift: VecDeque::new(),
            problems: BTreeSet::new(),
            repairs: Vec::new(),
        }
    }

    /// Programming begins.
    pub(crate) const fn complete(&mut self) {
        self.is_complete = true;
    }

    /// Some problems of objects are new, others are over.
    pub(crate) fn problems(&mut self, new: Vec<Problem>, solved: &[Problem]) {
        for problem in solved {
            self.problems.remove(problem);
        }
        self.problems.extend(new);
    }

    /// Takes in what a step did.
    pub(crate) fn step(&mut self, outcome: &Outcome, now: Instant) {
        match outcome {
            Outcome::Idle => return,
            Outcome::Applied { delta, report } => {
                for key in &delta.removals {
                    self.changed.remove(key);
                }
                for server in &delta.upserts {
                    self.changed.insert(server.key, now);
                }
                self.report(report, now);
            }
            Outcome::Resynced(report) => {
                self.begun.get_or_insert(now);
                self.last_comparison = Some(now);
                self.report(report, now);
            }
            Outcome::Audited { report, .. } => {
                self.last_comparison = Some(now);
                self.report(report, now);
            }
            Outcome::Maintained(report) => {
                self.report(report, now);
                if report.changes == 0 {
                    return;
                }
            }
            Outcome::Failed(_) => {}
        }
        self.revision += 1;
        self.tell_repairs(outcome);
    }

    /// Answers what is asked; what takes a step, after it.
    pub(crate) fn answer<B: Networked>(
        &mut self,
        inquiry: Inquiry,
        reconciler: &mut Reconciler<B>,
        journal: &Journal,
        facts: &NodeFacts,
        now: Now,
    ) {
        match inquiry {
            Inquiry::Know(scope, answer) => {
                // Whoever asked may have gone.
                let mut known = self.known(&scope, reconciler, journal, now);
                known.inputs = (scope == Scope::Inputs).then(|| inputs(reconciler.model(), facts));
                let _ = answer.send(known);
            }
            Inquiry::Repair(answer) if !self.is_complete => {
                let error = "not every object was read yet, so nothing may be programmed";
                let _ =
                    answer.send(Repaired { error: Some(error.to_owned()), ..Repaired::default() });
            }
            Inquiry::Repair(answer) => {
                reconciler.request_audit();
                self.repairs.push(answer);
            }
        }
    }

    fn known<B: Networked>(
        &self,
        scope: &Scope,
        reconciler: &Reconciler<B>,
        journal: &Journal,
        now: Now,
    ) -> Known {
        let (model, desired) = (reconciler.model(), reconciler.desired());
        let served = |server: &std::sync::Arc<proxy_core::VirtualServer>| Served {
            server: server.clone(),
            service: model.service(&server.origin.service).cloned(),
            changed: self.changed.get(&server.key).copied().or(self.begun),
        };
        let detail = |service: &ServiceKey| {
            let slices = model.slices(service).filter_map(|slice| model.slice(&slice.key));
            Some(Detail { account: model.why(service)?, slices: slices.cloned().collect() })
        };
        let (servers, detail) = match scope {
            Scope::Everything => (desired.iter().map(served).collect(), None),
            Scope::Service(service) => {
                let owned = desired.keys_of(service).iter().filter_map(|key| desired.get(key));
                let owned = owned.filter(|server| server.origin.service == *service);
                (owned.map(served).collect(), detail(service))
            }
            Scope::Inputs => (Vec::new(), None),
        };
        Known {
            now,
            node: model.node_name().clone(),
            started: self.started,
            is_complete: self.is_complete,
            broken: journal.broken().map(str::to_owned),
            last_change: self.last_change,
            last_comparison: self.last_comparison,
            pending: reconciler.pending(),
            revision: self.revision,
            drift_total: self.drift_total,
            drift: self.drift.iter().rev().cloned().collect(),
            servers,
            conflicts: desired.conflicts().collect(),
            warnings: desired.warnings().into_iter().cloned().collect(),
            parked: reconciler.parked().collect(),
            failing: journal.failing(),
            problems: self.problems.iter().cloned().collect(),
            config: reconciler.backend().config(),
            detail,
            inputs: None,
        }
    }

    fn report(&mut self, report: &Report, now: Instant) {
        if report.changes > 0 {
            self.last_change = Some(now);
        }
        self.drift_total += report.drift.len() as u64;
        let kept = report.drift.len().min(DRIFTS);
        let surplus = (self.drift.len() + kept).saturating_sub(DRIFTS);
        self.drift.drain(..surplus);
        self.drift.extend(report.drift.iter().take(kept).map(|drift| (now, drift.clone())));
    }

    fn tell_repairs(&mut self, outcome: &Outcome) {
        let repaired = match outcome {
            Outcome::Resynced(report) | Outcome::Audited { report, .. } => Repaired {
                changes: report.changes,
                failed: report.failed.iter().map(failure).collect(),
                error: None,
            },
            Outcome::Failed(error) => Repaired { error: Some(chain(error)), ..Repaired::default() },
            _ => return,
        };
        for answer in self.repairs.drain(..) {
            let _ = answer.send(repaired.clone());
        }
    }
}

fn inputs(model: &Model, facts: &NodeFacts) -> Inputs {
    Inputs {
        services: model.services().cloned().collect(),
        slices: model.all_slices().cloned().collect(),
        nodes: model.nodes().cloned().collect(),
        api_servers: model.given_api_servers().collect(),
        held: facts.held().to_vec(),
        node_ips: facts.node_ips(),
    }
}

fn failure(failure: &Failure) -> String {
    format!("{}: {}", failure.object, chain(&failure.error))
}
