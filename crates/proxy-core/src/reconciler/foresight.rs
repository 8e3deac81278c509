//! Decisions about Services while the inputs are not complete yet, in the time that is spent on
//! waiting for them. Nothing follows from one before the start, and a Service that changes once
//! more is decided once more.

use std::collections::BTreeSet;

use crate::{DesiredState, Model, ServiceKey};

use super::dirty::Dirty;

#[derive(Debug, Default)]
pub(super) struct Foresight {
    /// Services of which everything may be known.
    ready: Vec<ServiceKey>,
    /// Those about which it was decided, and that did not change since.
    decided: BTreeSet<ServiceKey>,
    /// What was decided.
    pub(super) desired: DesiredState,
}

impl Foresight {
    /// A Service changed. Without any endpoints it is too early to decide about it.
    pub(super) fn note(&mut self, key: &ServiceKey, model: &Model) {
        self.decided.remove(key);
        if model.service(key).is_some() && model.slices(key).next().is_some() {
            self.ready.push(key.clone());
        }
    }

    /// How many Services are decided about and not carried out.
    pub(super) fn len(&self) -> usize {
        self.decided.len()
    }

    pub(super) fn is_due(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Takes up to `limit` Services out of `dirty`, which are to be decided.
    pub(super) fn take(&mut self, limit: usize, dirty: &mut Dirty) -> Vec<ServiceKey> {
        let mut taken = Vec::new();
        while taken.len() < limit {
            let Some(key) = self.ready.pop() else { break };
            if dirty.remove(&key) {
                taken.push(key);
            }
        }
        self.decided.extend(taken.iter().cloned());
        taken
    }
}
