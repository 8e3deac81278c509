//! Virtual servers that failed, and when each is tried again.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Instant;

use super::schedule::Backoff;
use crate::{Delta, Failure, VirtualServerKey};

#[derive(Debug)]
pub(super) struct Retries {
    backoff: Backoff,
    waiting: BTreeSet<(Instant, VirtualServerKey)>,
    attempts: HashMap<VirtualServerKey, Attempts>,
}

#[derive(Clone, Copy, Debug)]
struct Attempts {
    failures: u32,
    /// Where it stands in `waiting`; `None` while it is being tried.
    due: Option<Instant>,
}

impl Retries {
    pub(super) fn new(backoff: Backoff) -> Self {
        Self { backoff, waiting: BTreeSet::new(), attempts: HashMap::new() }
    }

    /// Notes a failure. Several objects of one virtual server count as one.
    pub(super) fn failed(&mut self, key: VirtualServerKey, now: Instant) {
        let known = self.attempts.get(&key).copied();
        if known.is_some_and(|known| known.due.is_some()) {
            return;
        }
        let failures = known.map_or(0, |known| known.failures);
        let due = now + self.backoff.delay(failures);
        self.attempts.insert(key, Attempts { failures: failures + 1, due: Some(due) });
        self.waiting.insert((due, key));
    }

    /// Takes those whose time has come. They count as being tried until they fail again or
    /// [`Self::succeeded_except`] lets them go.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<VirtualServerKey> {
        let mut taken = Vec::new();
        while let Some(&(due, key)) = self.waiting.first() {
            if due > now {
                break;
            }
            self.waiting.pop_first();
            if let Some(attempts) = self.attempts.get_mut(&key) {
                attempts.due = None;
            }
            taken.push(key);
        }
        taken
    }

    /// Lets go of everything `delta` named, save what failed again.
    pub(super) fn succeeded_except(&mut self, delta: &Delta, failures: &[Failure]) {
        if self.attempts.is_empty() {
            return;
        }
        let failed: HashSet<_> = failures.iter().filter_map(|failure| failure.server).collect();
        let upserts = delta.upserts.iter().map(|server| server.key);
        for key in upserts.chain(delta.removals.iter().copied()) {
            if !failed.contains(&key) {
                self.forget(&key);
            }
        }
    }

    pub(super) fn forget(&mut self, key: &VirtualServerKey) {
        if let Some(Attempts { due: Some(due), .. }) = self.attempts.remove(key) {
            self.waiting.remove(&(due, *key));
        }
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.attempts.clear();
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.waiting.first().map(|(due, _)| *due)
    }

    pub(super) fn len(&self) -> usize {
        self.attempts.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::test_support::at;

    #[test]
    fn several_objects_of_one_server_fail_once() {
        let (mut retries, now) = (Retries::new(Backoff::default()), Instant::now());
        let milliseconds = |number| now + Duration::from_millis(number);
        let key = at("10.96.0.1");
        for _ in 0..3 {
            retries.failed(key, now);
        }
        assert_eq!((retries.len(), retries.due()), (1, Some(milliseconds(100))));
        retries.failed(key, milliseconds(50));
        assert_eq!(retries.due(), Some(milliseconds(100)), "a failure does not put the next off");
        assert_eq!(retries.take_due(milliseconds(100)), [key]);
        assert_eq!(retries.take_due(milliseconds(100)), []);
        for _ in 0..3 {
            retries.failed(key, milliseconds(100));
        }
        assert_eq!(retries.due(), Some(milliseconds(300)));
        retries.forget(&key);
        assert_eq!((retries.len(), retries.due()), (0, None));
    }
}
