//! Many times, as few.

use std::time::Duration;

use crate::reading::say_time;

/// Says the median, the 99th percentile and the maximum of times. Nothing of none.
pub(crate) fn say_percentiles(name: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    for (label, per_mille) in [("p50", 500), ("p99", 990), ("max", 1000)] {
        if let Some(time) = percentile(&times, per_mille) {
            say_time(&format!("{name} {label}"), time);
        }
    }
}

/// The smallest of sorted times that is no less than so many of a thousand.
fn percentile(sorted: &[Duration], per_mille: usize) -> Option<Duration> {
    let rank = (sorted.len() * per_mille).div_ceil(1000).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_the_nearest() {
        let times: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        for (per_mille, expected) in [(500, 100), (990, 198), (1000, 200)] {
            assert_eq!(percentile(&times, per_mille), Some(Duration::from_millis(expected)));
        }
        assert_eq!(percentile(&times[..1], 500), Some(Duration::from_millis(1)));
        assert_eq!(percentile(&[], 500), None);
    }
}
