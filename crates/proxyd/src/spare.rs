//! Memory that is free and still this process's. What a cluster's worth of work leaves behind, the
//! C library keeps for the next time, which on most nodes never comes.

use std::time::{Duration, Instant};

use proxy_core::reconciler::Outcome;

/// So many changed objects leave enough behind to make it worth while.
const MANY: usize = 1_000;

/// Memory is given back so long after that: what is freed soon is among it, and a cluster that never
/// rests has it looked for no more often.
const PAUSE: Duration = Duration::from_secs(5);

/// Has memory given back after much was done.
#[derive(Debug)]
pub(crate) struct Spare {
    give_back: fn(),
    /// Objects that changed since.
    changes: usize,
    due: Option<Instant>,
}

impl Spare {
    pub(crate) const fn new(give_back: fn()) -> Self {
        Self { give_back, changes: 0, due: None }
    }

    /// A step was made. A resync, whatever came of it, takes everything in hand.
    pub(crate) fn step(&mut self, outcome: &Outcome, now: Instant) {
        if self.due.is_some_and(|due| due <= now) {
            (self.changes, self.due) = (0, None);
            (self.give_back)();
        }
        self.changes += match outcome {
            Outcome::Resynced(_) | Outcome::Failed(_) => MANY,
            Outcome::Applied { report, .. }
            | Outcome::Audited { report, .. }
            | Outcome::Maintained(report) => report.changes,
            Outcome::Idle => 0,
        };
        if self.changes >= MANY && self.due.is_none() {
            self.due = Some(now + PAUSE);
        }
    }

    /// When [`Self::step`] has something to do, at the latest.
    pub(crate) const fn due(&self) -> Option<Instant> {
        self.due
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use proxy_core::{Delta, Report};

    use super::*;

    static TIMES: AtomicUsize = AtomicUsize::new(0);

    #[test]
    fn it_is_given_back_a_while_after_many_changes_have_added_up() {
        let mut spare = Spare::new(|| {
            let _ = TIMES.fetch_add(1, Ordering::Relaxed);
        });
        let report = |changes| Report { changes, ..Report::default() };
        let applied =
            |changes| Outcome::Applied { delta: Delta::default(), report: report(changes) };
        let begin = Instant::now();
        // At a second, what was done then, how often it was given back by then, and when it will be.
        let steps = [
            (0, Outcome::Idle, 0, None),
            (1, Outcome::Resynced(report(0)), 0, Some(6)),
            (5, applied(MANY), 0, Some(6)),
            (6, Outcome::Idle, 1, None),
            (7, applied(MANY - 1), 1, None),
            (9, Outcome::Maintained(report(1)), 1, Some(14)),
            (15, applied(MANY), 2, Some(20)),
        ];
        for (second, outcome, times, due) in steps {
            spare.step(&outcome, begin + Duration::from_secs(second));
            assert_eq!(TIMES.load(Ordering::Relaxed), times, "{outcome:?}");
            assert_eq!(spare.due(), due.map(|due| begin + Duration::from_secs(due)), "{outcome:?}");
        }
    }
}
