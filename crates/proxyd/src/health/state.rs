//! Whether the proxy keeps up, and whether its node should get traffic. Pure: told the time.
//!
//! A family is unhealthy when something has waited for it for two sync periods: a change that was
//! not carried out, or a failure that was not made good. A node without changes is healthy however
//! long nothing happens.

use std::time::{Duration, Instant, SystemTime};

use proxy_core::{Family, Tenure};

/// The present, by the clock that only moves on and by the clock on the wall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Now {
    /// Durations are measured with this one: nobody can set it.
    pub(crate) steady: Instant,
    /// Shown.
    pub(crate) wall: SystemTime,
}

impl Now {
    pub(crate) fn read() -> Self {
        Self { steady: Instant::now(), wall: SystemTime::now() }
    }
}

/// What is known of the proxy's health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProxyHealth {
    patience: Duration,
    /// By [`Family::ALL`]; none before programming begins.
    families: [Option<FamilyState>; 2],
    /// Of the Node object last seen.
    tenure: Option<Tenure>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FamilyState {
    last_updated: SystemTime,
    oldest_pending: Option<Instant>,
}

/// What is answered about one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// When this was so.
    pub(crate) current_time: SystemTime,
    /// Whether load balancers should send anything to this node.
    pub(crate) node: Eligibility,
    /// Those that are programmed.
    pub(crate) families: Vec<FamilyVerdict>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FamilyVerdict {
    pub(crate) family: Family,
    pub(crate) last_updated: SystemTime,
    pub(crate) condition: Condition,
}

/// Whether the proxy keeps up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    Healthy,
    Unhealthy,
}

/// Whether a node should get traffic: it is known, and stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Eligibility {
    Eligible,
    Ineligible,
}

impl ProxyHealth {
    /// Before programming begins, and before a Node is seen.
    pub(crate) const fn new(sync_period: Duration) -> Self {
        Self { patience: sync_period.saturating_mul(2), families: [None; 2], tenure: None }
    }

    /// Judges by another period from here on.
    pub(crate) const fn set_sync_period(&mut self, sync_period: Duration) {
        self.patience = sync_period.saturating_mul(2);
    }

    /// Programming of a family begins, or succeeded: nothing waits any more.
    pub(crate) fn updated(&mut self, family: Family, now: Now) {
        let state = FamilyState { last_updated: now.wall, oldest_pending: None };
        *self.family(family) = Some(state);
    }

    /// Something waits to be done for a family. Before its programming begins that is no news.
    pub(crate) fn queued(&mut self, family: Family, now: Now) {
        if let Some(state) = self.family(family) {
            state.oldest_pending.get_or_insert(now.steady);
        }
    }

    /// The Node object of this node was seen. When it is gone, what was seen last counts.
    pub(crate) const fn node_seen(&mut self, tenure: Tenure) {
        self.tenure = Some(tenure);
    }

    /// Whether something waits for a family.
    pub(crate) fn is_waiting(&self) -> bool {
        self.families.iter().flatten().any(|state| state.oldest_pending.is_some())
    }

    /// Judges.
    pub(crate) fn verdict(&self, now: Now) -> Verdict {
        let judged = |(family, state): (Family, Option<FamilyState>)| {
            let FamilyState { last_updated, oldest_pending } = state?;
            let waited = oldest_pending.map(|since| now.steady.saturating_duration_since(since));
            let is_late = waited.is_some_and(|waited| waited >= self.patience);
            let condition = if is_late { Condition::Unhealthy } else { Condition::Healthy };
            Some(FamilyVerdict { family, last_updated, condition })
        };
        let families = Family::ALL.into_iter().zip(self.families);
        let node = match self.tenure {
            Some(Tenure::Staying) => Eligibility::Eligible,
            Some(Tenure::Leaving) | None => Eligibility::Ineligible,
        };
        Verdict { current_time: now.wall, node, families: families.filter_map(judged).collect() }
    }

    const fn family(&mut self, family: Family) -> &mut Option<FamilyState> {
        let [ipv4, ipv6] = &mut self.families;
        match family {
            Family::Ipv4 => ipv4,
            Family::Ipv6 => ipv6,
        }
    }
}

impl Verdict {
    /// Of the proxy as a whole, whatever becomes of the node: no family is late.
    pub(crate) fn condition(&self) -> Condition {
        let is_healthy = self.families.iter().all(|it| it.condition == Condition::Healthy);
        if is_healthy { Condition::Healthy } else { Condition::Unhealthy }
    }

    /// When anything was programmed last.
    pub(crate) fn last_updated(&self) -> Option<SystemTime> {
        self.families.iter().map(|it| it.last_updated).max()
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
