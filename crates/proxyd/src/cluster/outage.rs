//! How long to wait before the API server is asked again. Pure: told the time and the chance.

use std::time::{Duration, Instant};

/// A server that has just gone often comes back at once.
const SHORTEST: Duration = Duration::from_millis(100);
/// No outage is noticed to be over later than this.
const LONGEST: Duration = Duration::from_secs(10);

/// Failures without a success between.
#[derive(Debug, Default)]
pub(super) struct Outage {
    since: Option<Instant>,
}

impl Outage {
    /// Something worked. Whether nothing did before.
    pub(super) fn ends(&mut self) -> bool {
        self.since.take().is_some()
    }

    /// Whether something failed since something worked.
    pub(super) const fn lasts(&self) -> bool {
        self.since.is_some()
    }

    /// Something failed. Whether that is news.
    pub(super) fn begins(&mut self, now: Instant) -> bool {
        let is_news = self.since.is_none();
        self.since.get_or_insert(now);
        is_news
    }

    /// Something was heard. It may not go on, but then it is tried again as soon as at first. The
    /// time is asked for only while something fails.
    pub(super) fn moves(&mut self, now: impl FnOnce() -> Instant) {
        self.since = self.since.map(|_| now());
    }

    /// Before the next attempt: a tenth of the time the outage has lasted, so that one of ten seconds
    /// is noticed to be over within a second, and a long one does not end with all nodes asking at
    /// once. `chance` is from 0 to 1 and takes off up to half.
    pub(super) fn delay(&self, now: Instant, chance: f64) -> Duration {
        let lasted =
            self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        (lasted / 10).clamp(SHORTEST, LONGEST).mul_f64(1.0 - chance.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lasted_millis: u64, chance: f64, expected_millis: u128) {
        let begin = Instant::now();
        let mut outage = Outage::default();
        assert!(outage.begins(begin));
        let now = begin + Duration::from_millis(lasted_millis);
        assert!(!outage.begins(now));
        assert_eq!(outage.delay(now, chance).as_millis(), expected_millis);
        assert!(outage.ends() && !outage.ends());
    }

    #[test]
    fn the_next_attempt_follows_the_length_of_the_outage() {
        check(0, 0.0, 100);
        check(0, 1.0, 50);
        check(1_000, 0.0, 100);
        check(8_000, 0.0, 800);
        check(8_000, 1.0, 400);
        check(3_600_000, 0.0, 10_000);
        check(3_600_000, 0.5, 7_500);
    }

    #[test]
    fn what_is_heard_in_between_shortens_the_wait_and_ends_nothing() {
        let begin = Instant::now();
        let mut outage = Outage::default();
        outage.moves(|| begin);
        assert!(!outage.lasts());
        assert!(outage.begins(begin));
        let later = begin + Duration::from_secs(20);
        assert_eq!(outage.delay(later, 0.0).as_millis(), 2_000);
        outage.moves(|| later);
        assert_eq!(outage.delay(later, 0.0).as_millis(), 100);
        assert!(!outage.begins(later) && outage.ends());
    }
}
