use std::cell::Cell;
use std::sync::LazyLock;

use super::*;
use crate::FrontendKind::ClusterIp;
use crate::memory::{Fault, MemoryBackend};
use crate::test_support::{desired, server};

static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

thread_local! {
    static READINGS: Cell<u32> = const { Cell::new(0) };
}

/// A clock on which each reading is longer after the one before than that was: calls take 1 s,
/// 3 s, 5 s and so on.
fn clock() -> Instant {
    let reading = READINGS.get();
    READINGS.set(reading + 1);
    *BEGIN + Duration::from_secs(u64::from(reading * (reading + 1) / 2))
}

#[test]
fn calls_are_counted_and_timed_and_their_reports_added_up() {
    let (one, two) = (
        server("web", ClusterIp, "10.96.0.1:80", "A"),
        server("api", ClusterIp, "10.96.0.2:80", "B"),
    );
    let wanted = desired([one.clone(), two.clone()]);
    let mut metered = Metered::new(MemoryBackend::default(), clock);

    assert_eq!(metered.resync(&wanted).unwrap().changes, 2);
    metered.backend_mut().tamper(|servers| servers.clear());
    assert_eq!(metered.audit(&wanted, Extent::Part).unwrap().drift.len(), 2);
    metered.backend_mut().refuse(one.key);
    let delta = Delta { upserts: Vec::new(), removals: vec![one.key, two.key] };
    assert_eq!(metered.apply(&delta).unwrap().failed.len(), 1);
    metered.backend_mut().fail(Fault::Before);
    assert!(metered.apply(&delta).is_err());
    assert_eq!(metered.maintain(*BEGIN).unwrap().next, None);

    let seconds = Duration::from_secs;
    let expected = Meter {
        resyncs: Tally { calls: 2, errors: 0, total: seconds(1 + 3), longest: seconds(3) },
        applies: Tally { calls: 2, errors: 1, total: seconds(5 + 7), longest: seconds(7) },
        maintains: Tally { calls: 1, errors: 0, total: seconds(9), longest: seconds(9) },
        changes: 5,
        failures: 1,
        drift: 2,
    };
    assert_eq!(*metered.meter(), expected);
}

#[test]
fn what_a_cleanup_changed_counts_too() {
    let web = server("web", ClusterIp, "10.96.0.1:80", "A");
    let mut metered = Metered::new(MemoryBackend::default(), clock);
    let _ = metered.resync(&desired([web])).unwrap();
    let _ = metered.cleanup().unwrap();
    assert_eq!(metered.meter().changes, 2);
}
