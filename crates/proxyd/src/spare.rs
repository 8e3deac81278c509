//! Memory that is free and still this process's. What a cluster's worth of work leaves behind, the
//! C library keeps for the next time, which on most nodes never comes.

use proxy_core::reconciler::Outcome;

/// So many changed objects leave enough behind to make it worth while.
const MANY: usize = 10_000;

/// Has memory given back after much was done.
#[derive(Debug)]
pub(crate) struct Spare {
    give_back: fn(),
    /// Objects that changed since.
    changes: usize,
}

impl Spare {
    pub(crate) const fn new(give_back: fn()) -> Self {
        Self { give_back, changes: 0 }
    }

    /// A step was made. A resync, whatever came of it, takes everything in hand.
    pub(crate) fn step(&mut self, outcome: &Outcome) {
        self.changes += match outcome {
            Outcome::Resynced(_) | Outcome::Failed(_) => MANY,
            Outcome::Applied { report, .. }
            | Outcome::Audited { report, .. }
            | Outcome::Maintained(report) => report.changes,
            Outcome::Idle => 0,
        };
        if self.changes >= MANY {
            self.changes = 0;
            (self.give_back)();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use proxy_core::{Delta, Report};

    use super::*;

    static TIMES: AtomicUsize = AtomicUsize::new(0);

    #[test]
    fn it_is_given_back_after_a_resync_and_when_many_changes_have_added_up() {
        let mut spare = Spare::new(|| {
            let _ = TIMES.fetch_add(1, Ordering::Relaxed);
        });
        let report = |changes| Report { changes, ..Report::default() };
        let applied =
            |changes| Outcome::Applied { delta: Delta::default(), report: report(changes) };
        let steps = [
            (Outcome::Idle, 0),
            (Outcome::Resynced(report(0)), 1),
            (applied(MANY - 1), 1),
            (Outcome::Idle, 1),
            (Outcome::Maintained(report(1)), 2),
            (applied(MANY - 1), 2),
        ];
        for (outcome, times) in steps {
            spare.step(&outcome);
            assert_eq!(TIMES.load(Ordering::Relaxed), times, "{outcome:?}");
        }
    }
}
