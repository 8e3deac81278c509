//! When things are done. Values and arithmetic only.

use std::time::Duration;

/// When a reconciler does what it has to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Between two rounds of changes, from the start of one to the start of the next.
    pub min_interval: Duration,
    /// A change waits until no other has come for this long, so that several are carried out as
    /// one. Zero carries each out at once. Urgent Services never wait for it.
    pub settle: Duration,
    /// No change waits longer than this for others to settle.
    pub max_delay: Duration,
    /// Between two comparisons of the whole state with what the backend holds.
    pub audit_interval: Duration,
    /// Services resolved and carried out in one step. Between steps a stop is noticed.
    pub batch: usize,
    /// How failures are tried again.
    pub backoff: Backoff,
}

impl Default for Schedule {
    /// At once, audited every 30 s (kube-proxy's `syncPeriod`), 256 Services a step.
    fn default() -> Self {
        Self {
            min_interval: Duration::ZERO,
            settle: Duration::ZERO,
            max_delay: Duration::from_secs(1),
            audit_interval: Duration::from_secs(30),
            batch: 256,
            backoff: Backoff::default(),
        }
    }
}

/// Delays that double.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Before the first new attempt.
    pub first: Duration,
    /// The longest delay.
    pub max: Duration,
}

impl Backoff {
    /// The delay after `attempts` earlier failures of the same thing.
    #[must_use]
    pub fn delay(&self, attempts: u32) -> Duration {
        let factor = 1_u32.checked_shl(attempts).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.max)
    }
}

impl Default for Backoff {
    /// From 100 ms to 30 s.
    fn default() -> Self {
        Self { first: Duration::from_millis(100), max: Duration::from_secs(30) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest() {
        let backoff = Backoff::default();
        let delays: Vec<_> = [0, 1, 2, 8, 9, 31, 32, 1_000]
            .map(|attempts| backoff.delay(attempts).as_millis())
            .to_vec();
        assert_eq!(delays, [100, 200, 400, 25_600, 30_000, 30_000, 30_000, 30_000]);
    }
}
