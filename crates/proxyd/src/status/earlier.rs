//! Earlier readings of what the kernel counts, with which a later one makes rates. Pure.
//!
//! Two are kept, so whoever looks while others look finds one that is old enough, however many they
//! are.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proxy_core::VirtualServerKey;

use super::counts::Counts;

/// New connections a second are counted over so long at least.
const INTERVAL: Duration = Duration::from_secs(1);
/// A rate over so long says nothing about the present: what was counted is forgotten.
pub(super) const FORGET: Duration = Duration::from_secs(60);

/// Connections so far, and when that was.
#[derive(Debug)]
pub(crate) struct Before {
    read: Instant,
    connections: HashMap<VirtualServerKey, u64>,
}

impl Before {
    /// From here to another reading.
    pub(crate) fn seconds(&self, after: &Counts) -> f64 {
        after.read.saturating_duration_since(self.read).as_secs_f64()
    }

    /// New connections a second since. What is new since, or began to count anew, counts whole.
    pub(crate) fn per_second(&self, key: &VirtualServerKey, after: &Counts) -> f64 {
        let now = after.of.get(key).map_or(0, |count| count.connections);
        let before = self.connections.get(key).copied().unwrap_or(0);
        let added = now.checked_sub(before).unwrap_or(now);
        #[expect(clippy::cast_precision_loss, reason = "nobody has so many connections a second")]
        let added = added as f64;
        added / self.seconds(after).max(f64::MIN_POSITIVE)
    }

    fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.read)
    }

    /// Whether a rate from here to `now` says something about the present.
    fn is_fit(&self, now: Instant) -> bool {
        (INTERVAL..FORGET).contains(&self.age(now))
    }
}

impl From<&Counts> for Before {
    fn from(counts: &Counts) -> Self {
        let connections = counts.of.iter().map(|(key, count)| (*key, count.connections));
        Self { read: counts.read, connections: connections.collect() }
    }
}

/// The two latest, of which at least one is old enough as long as somebody looks every minute.
#[derive(Debug, Default)]
pub(super) struct Earlier {
    older: Option<Arc<Before>>,
    newer: Option<Arc<Before>>,
}

/// Whether a reading would have something to be compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Now,
    /// After so long.
    In(Duration),
    /// Once another was noted.
    Unknown,
}

impl Earlier {
    /// What to compare a reading at `now` with: the latest that is old enough.
    pub(super) fn against(&self, now: Instant) -> Option<Arc<Before>> {
        [&self.newer, &self.older].into_iter().flatten().find(|it| it.is_fit(now)).cloned()
    }

    /// When a reading makes rates.
    pub(super) fn due(&self, now: Instant) -> Due {
        if self.against(now).is_some() {
            return Due::Now;
        }
        let newer = self.newer.as_ref().filter(|it| it.age(now) < INTERVAL);
        newer.map_or(Due::Unknown, |it| Due::In(INTERVAL - it.age(now)))
    }

    /// Takes in a reading. One that follows the last too soon is left out: that one has to get old
    /// enough.
    pub(super) fn note(&mut self, counts: &Counts) {
        let is_soon = |it: &Arc<Before>| counts.read < it.read + INTERVAL;
        if !self.newer.as_ref().is_some_and(is_soon) {
            self.older = self.newer.replace(Arc::new(Before::from(counts)));
        }
    }

    /// Numbers of many frontends are not held on to when nobody looks.
    pub(super) fn forget(&mut self, now: Instant) {
        for kept in [&mut self.older, &mut self.newer] {
            kept.take_if(|it| it.age(now) >= FORGET);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::counts::Count;

    fn counts(read: Instant, connections: &[(&str, u64)]) -> Counts {
        let of = connections.iter().map(|&(address, connections)| {
            let port = std::num::NonZeroU16::MIN;
            let address = address.parse().unwrap();
            let key = VirtualServerKey { address, protocol: proxy_core::Protocol::Tcp, port };
            (key, Count { connections, ..Count::default() })
        });
        Counts { read, of: of.collect(), left_out: std::collections::BTreeSet::new() }
    }

    #[test]
    fn rates_are_taken_between_two_readings_and_never_negative() {
        let begin = Instant::now();
        let before = Before::from(&counts(begin, &[("10.0.0.1", 100), ("10.0.0.2", 100)]));
        let later = begin + Duration::from_secs(2);
        let after = counts(later, &[("10.0.0.1", 110), ("10.0.0.2", 4), ("10.0.0.3", 2)]);
        let mut rates: Vec<_> =
            after.of.keys().map(|key| (*key, before.per_second(key, &after))).collect();
        rates.sort_by_key(|(key, _)| *key);
        let rates: Vec<_> = rates.into_iter().map(|(_, rate)| rate).collect();
        assert_eq!(rates, [5.0, 2.0, 1.0]);
    }

    /// Readings at so many milliseconds, and what one at `now` finds: how old what it is compared with
    /// is, or when there will be something.
    #[track_caller]
    fn check(readings: &[u64], now: u64, age: Option<u64>, due: Due) {
        let begin = Instant::now();
        let at = |milliseconds| begin + Duration::from_millis(milliseconds);
        let mut earlier = Earlier::default();
        for read in readings {
            earlier.note(&counts(at(*read), &[]));
        }
        let found = earlier.against(at(now)).map(|it| it.age(at(now)));
        assert_eq!((found, earlier.due(at(now))), (age.map(Duration::from_millis), due));
    }

    #[test]
    fn a_reading_is_compared_with_the_latest_that_is_old_enough() {
        let soon = |milliseconds| Due::In(Duration::from_millis(milliseconds));
        check(&[], 0, None, Due::Unknown);
        check(&[0], 0, None, soon(1000));
        check(&[0], 400, None, soon(600));
        check(&[0], 1000, Some(1000), Due::Now);
        check(&[0], 59_999, Some(59_999), Due::Now);
        check(&[0], 60_000, None, Due::Unknown);
        check(&[0, 60_000], 60_100, None, soon(900));
        // Somebody looked a moment ago, and somebody else before.
        check(&[0, 2000], 2500, Some(2500), Due::Now);
        check(&[0, 2000], 3000, Some(1000), Due::Now);
        check(&[0, 2000, 5000], 5500, Some(3500), Due::Now);
        // However often it is looked, nobody waits again.
        let often: Vec<_> = (0..100).map(|look| look * 100).collect();
        check(&often, 9950, Some(1950), Due::Now);
        check(&often, 10_000, Some(1000), Due::Now);
    }

    #[test]
    fn what_nobody_looks_at_is_forgotten() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut earlier = Earlier::default();
        earlier.note(&counts(begin, &[]));
        earlier.note(&counts(at(30), &[]));
        earlier.forget(at(60));
        assert!(earlier.older.is_none() && earlier.newer.is_some());
        earlier.forget(at(90));
        assert!(earlier.newer.is_none());
    }
}
