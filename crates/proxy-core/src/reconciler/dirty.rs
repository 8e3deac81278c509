//! Services whose changes were not carried out yet.

use std::collections::BTreeSet;
use std::time::Instant;

use super::Schedule;
use crate::ServiceKey;

/// A set of Services in two classes, with when the first and the last change came.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    urgent: BTreeSet<ServiceKey>,
    normal: BTreeSet<ServiceKey>,
    window: Option<Window>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    first: Instant,
    last: Instant,
}

impl Dirty {
    pub(super) fn insert(&mut self, key: ServiceKey, now: Instant) {
        let first = self.window.map_or(now, |window| window.first);
        self.window = Some(Window { first, last: now });
        if is_urgent(&key) {
            self.urgent.insert(key);
        } else {
            self.normal.insert(key);
        }
    }

    /// Up to `limit` Services, urgent ones first.
    pub(super) fn take(&mut self, limit: usize) -> Vec<ServiceKey> {
        let mut taken = Vec::new();
        for class in [&mut self.urgent, &mut self.normal] {
            while taken.len() < limit {
                let Some(key) = class.pop_first() else { break };
                taken.push(key);
            }
        }
        if self.is_empty() {
            self.window = None;
        }
        taken
    }

    /// The urgent ones.
    pub(super) fn take_urgent(&mut self) -> Vec<ServiceKey> {
        self.take(self.urgent.len())
    }

    /// Takes out one that is not urgent. Whether it was there.
    pub(super) fn remove(&mut self, key: &ServiceKey) -> bool {
        let was_there = self.normal.remove(key);
        if self.is_empty() {
            self.window = None;
        }
        was_there
    }

    /// When they should be carried out: urgent ones as soon as they changed, others when changes
    /// have settled, but no later than the longest delay after the first.
    pub(super) fn due(&self, schedule: &Schedule) -> Option<Instant> {
        let Window { first, last } = self.window?;
        if !self.urgent.is_empty() {
            return Some(first);
        }
        Some((last + schedule.settle).min(first + schedule.max_delay))
    }

    pub(super) fn len(&self) -> usize {
        self.urgent.len() + self.normal.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// By name alone, so that no Service must be looked at: the API server's own Service, and all of
/// `kube-system`, where cluster DNS is. Which of the latter is DNS is decided later.
fn is_urgent(key: &ServiceKey) -> bool {
    (&*key.namespace == "default" && &*key.name == "kubernetes") || &*key.namespace == "kube-system"
}
