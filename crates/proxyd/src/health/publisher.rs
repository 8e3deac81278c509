//! What the driver tells the servers. It tells and goes on: nobody is waited for.

use std::sync::Arc;
use std::time::Duration;

use proxy_core::reconciler::{Outcome, Reconciler};
use proxy_core::{Backend, Event, Family, HealthCheck};
use tokio::sync::watch::{Receiver, Sender};

use super::state::{Now, ProxyHealth};

/// What the servers answer from.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    pub(crate) proxy: ProxyHealth,
    /// By Service and family; the same allocation as long as nothing about them changes.
    pub(crate) checks: Arc<[HealthCheck]>,
}

/// Draws the consequences of what the driver does for the proxy's health.
#[derive(Debug)]
pub(crate) struct Publisher {
    current: Published,
    sender: Sender<Published>,
    /// Of the checks published.
    revision: u64,
    certainty: Certainty,
}

/// Whether the backend is at what was last decided, as far as it could be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Certainty {
    /// Nothing may be programmed yet.
    NotStarted,
    /// Its last call failed as a whole.
    Lost,
    Given,
}

impl Publisher {
    /// A publisher, and what hears it.
    pub(crate) fn new(sync_period: Duration) -> (Self, Receiver<Published>) {
        let current = Published { proxy: ProxyHealth::new(sync_period), checks: Arc::default() };
        let (sender, receiver) = tokio::sync::watch::channel(current.clone());
        let publisher = Self { current, sender, revision: 0, certainty: Certainty::NotStarted };
        (publisher, receiver)
    }

    /// Takes in an event: one about this node's own Node object counts.
    pub(crate) fn event<B: Backend>(&mut self, event: &Event, reconciler: &Reconciler<B>) {
        if let Event::Node(node) = event
            && node.name == *reconciler.model().node_name()
        {
            self.current.proxy.node_seen(node.tenure);
        }
    }

    /// What waits is late after two of these.
    pub(crate) const fn set_sync_period(&mut self, sync_period: Duration) {
        self.current.proxy.set_sync_period(sync_period);
    }

    /// Programming begins.
    pub(crate) fn started<B: Backend>(&mut self, reconciler: &Reconciler<B>, now: Now) {
        if self.certainty == Certainty::NotStarted {
            self.certainty = Certainty::Given;
            self.updated(families(reconciler), now);
        }
    }

    /// Tells what waits for a step before it is made: the backend may never come back from it.
    pub(crate) fn step_begins<B: Backend>(&mut self, reconciler: &Reconciler<B>, now: Now) {
        if reconciler.next(now.steady).is_some_and(|next| next <= now.steady) {
            self.queued(families(reconciler), now);
        }
        self.note_pending(reconciler, now);
        self.publish();
    }

    /// Tells what a step did:
    /// - one that failed leaves something pending until the backend answers again;
    /// - one that succeeded leaves nothing pending, save Services that are still to come: they
    ///   wait from now on, for the proxy gets on;
    /// - one with nothing to do is as good, unless the backend failed before.
    pub(crate) fn step<B: Backend>(
        &mut self,
        outcome: &Outcome,
        reconciler: &Reconciler<B>,
        now: Now,
    ) {
        match outcome {
            Outcome::Failed(_) => self.certainty = Certainty::Lost,
            Outcome::Applied { .. } | Outcome::Resynced(_) | Outcome::Audited { .. } => {
                self.certainty = Certainty::Given;
                self.updated(families(reconciler), now);
            }
            Outcome::Idle | Outcome::Maintained(_) => self.settle(reconciler, now),
        }
        self.note_pending(reconciler, now);
        self.note_checks(reconciler);
        self.publish();
    }

    /// Changes that needed nothing from the backend are carried out, too.
    fn settle<B: Backend>(&mut self, reconciler: &Reconciler<B>, now: Now) {
        let is_done = reconciler.pending().services == 0 && self.certainty == Certainty::Given;
        if is_done && self.current.proxy.is_waiting() {
            self.updated(families(reconciler), now);
        }
    }

    fn note_pending<B: Backend>(&mut self, reconciler: &Reconciler<B>, now: Now) {
        if reconciler.pending().services > 0 || self.certainty == Certainty::Lost {
            self.queued(families(reconciler), now);
        }
    }

    /// Counts follow what the backend was brought to, not what it is still to be brought to.
    fn note_checks<B: Backend>(&mut self, reconciler: &Reconciler<B>) {
        let desired = reconciler.desired();
        let revision = desired.health_checks_revision();
        if self.certainty == Certainty::Given && revision != self.revision {
            self.revision = revision;
            self.current.checks = desired.health_checks().into_iter().cloned().collect();
        }
    }

    fn updated(&mut self, families: &[Family], now: Now) {
        for &family in families {
            self.current.proxy.updated(family, now);
        }
    }

    fn queued(&mut self, families: &[Family], now: Now) {
        for &family in families {
            self.current.proxy.queued(family, now);
        }
    }

    /// Whoever answers reads what is told; only other checks wake whoever follows them. Every step
    /// tells something, and waking a thread each time would delay what the step is for.
    fn publish(&self) {
        self.sender.send_if_modified(|published| {
            let has_other_checks = !Arc::ptr_eq(&published.checks, &self.current.checks);
            published.clone_from(&self.current);
            has_other_checks
        });
    }
}

fn families<B: Backend>(reconciler: &Reconciler<B>) -> &[Family] {
    &reconciler.backend().capabilities().families
}

#[cfg(test)]
#[path = "publisher_tests.rs"]
mod tests;
