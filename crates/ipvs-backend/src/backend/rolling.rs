//! A comparison too long for one go, made a little at a time. Pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::netlink::ipvs::ServiceId;

/// How fast destinations are compared in quiet times. Each service takes a dump of its own, so a
/// node with many looks at a few in a turn, and never holds up a change for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditPace {
    /// Services looked at in a turn.
    pub services: usize,
    /// Between two turns.
    pub interval: Duration,
    /// Whether the periodic comparison reads the kernel on a thread of its own, so that changes need
    /// not wait for it. What it finds is mended by the maintenance after it.
    pub aside: bool,
}

impl Default for AuditPace {
    /// 20 services a second, and nothing aside.
    fn default() -> Self {
        Self { services: 20, interval: Duration::from_secs(1), aside: false }
    }
}

/// Services still to be looked at in this round.
#[derive(Debug)]
pub(super) struct Rolling {
    pace: AuditPace,
    left: VecDeque<ServiceId>,
    next: Option<Instant>,
}

impl Rolling {
    pub(super) const fn new(pace: AuditPace) -> Self {
        Self { pace, left: VecDeque::new(), next: None }
    }

    /// Begins a round with these services, unless one is under way.
    pub(super) fn begin(&mut self, services: impl Iterator<Item = ServiceId>) {
        if self.left.is_empty() {
            self.left.extend(services);
            self.next = None;
        }
    }

    /// Gives up the round.
    pub(super) fn clear(&mut self) {
        self.left.clear();
    }

    /// All that are left, at once.
    pub(super) fn rest(&mut self) -> Vec<ServiceId> {
        self.left.drain(..).collect()
    }

    /// The services whose turn has come.
    pub(super) fn turn(&mut self, now: Instant) -> Vec<ServiceId> {
        if self.left.is_empty() || self.next.is_some_and(|next| next > now) {
            return Vec::new();
        }
        self.next = Some(now + self.pace.interval);
        self.left.drain(..self.pace.services.min(self.left.len())).collect()
    }

    /// When the next turn comes.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        (!self.left.is_empty()).then(|| self.next.unwrap_or(now).max(now))
    }
}

#[cfg(test)]
mod tests {
    use proxy_core::Family;

    use super::*;

    #[test]
    fn a_round_is_made_in_turns() {
        let pace = AuditPace { services: 2, ..AuditPace::default() };
        let mut rolling = Rolling::new(pace);
        let start = Instant::now();
        let id = |mark| ServiceId::Fwmark { family: Family::Ipv4, mark };
        assert_eq!(rolling.next(start), None);
        rolling.begin([id(1), id(2), id(3)].into_iter());
        assert_eq!(rolling.next(start), Some(start));
        assert_eq!(rolling.turn(start), [id(1), id(2)]);
        assert_eq!(rolling.turn(start), []);
        rolling.begin([id(9)].into_iter());
        let later = start + Duration::from_secs(1);
        assert_eq!(rolling.next(start), Some(later));
        assert_eq!(rolling.turn(later), [id(3)]);
        assert_eq!(rolling.next(later), None);
    }
}
