//! The suite is proved by what passes it and by what does not: a backend with one fault at a time.

mod faulty;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{CHECKS, Lab, Verdict};
use crate::memory::MemoryBackend;
use crate::{Capabilities, Family, FrontendKind, Inspect, Protocol, Scheduler};
use faulty::{Fault, Faulty};

/// A data plane in memory, and the fault that every backend opened on it has.
pub(super) struct MemoryLab {
    plane: MemoryBackend,
    capabilities: Capabilities,
    fault: Option<Fault>,
}

impl MemoryLab {
    fn new(capabilities: Capabilities, fault: Option<Fault>) -> Self {
        Self { plane: MemoryBackend::new(capabilities.clone()), capabilities, fault }
    }
}

impl Lab for MemoryLab {
    fn open(&mut self) -> Box<dyn Inspect + '_> {
        self.plane.restart();
        match self.fault {
            None => Box::new(&mut self.plane),
            Some(fault) => Box::new(Faulty::new(&mut self.plane, fault)),
        }
    }

    fn reset(&mut self) {
        *self = Self::new(self.capabilities.clone(), self.fault);
    }
}

fn capable() -> MemoryLab {
    MemoryLab::new(Capabilities::all(), None)
}

mod memory_backend {
    crate::conformance_tests!(super::capable());
}

#[test]
fn a_backend_that_can_do_everything_skips_nothing() {
    assert_eq!(super::run(&mut capable()), [""; 0]);
}

#[test]
fn a_backend_is_not_asked_for_what_it_cannot_express() {
    let capabilities = Capabilities {
        families: vec![Family::Ipv6],
        protocols: vec![Protocol::Udp],
        frontends: vec![FrontendKind::ClusterIp],
        schedulers: vec![Scheduler::RoundRobin],
        session_affinity: false,
        source_ranges: false,
        split_audiences: false,
    };
    let expected = [
        "scheduler_flags_are_set",
        "weights_are_set",
        "session_affinity_comes_changes_and_goes",
        "source_ranges_come_and_go",
        "audiences_are_kept_apart",
    ];
    let mut lab = MemoryLab::new(capabilities, None);
    assert_eq!(super::run(&mut lab), expected);
}

/// Names of the checks that a backend with this fault fails.
fn failed(fault: Fault) -> BTreeSet<&'static str> {
    let fails = |check: &&super::Check| {
        let mut lab = MemoryLab::new(Capabilities::all(), Some(fault));
        catch_unwind(AssertUnwindSafe(|| check.run(&mut lab) == Verdict::Passed)).is_err()
    };
    CHECKS.iter().filter(fails).map(|check| check.name).collect()
}

#[test]
fn each_fault_is_caught_by_the_checks_meant_for_it() {
    for (fault, meant) in Fault::ALL {
        let failed = failed(*fault);
        for name in *meant {
            assert!(failed.contains(name), "{fault:?} passes {name}; it fails only {failed:#?}");
        }
    }
}

#[test]
fn each_check_is_meant_for_some_fault() {
    let meant: BTreeSet<_> = Fault::ALL.iter().flat_map(|(_, meant)| *meant).copied().collect();
    let idle: Vec<_> = CHECKS.iter().map(|one| one.name).filter(|it| !meant.contains(it)).collect();
    assert_eq!(idle, [""; 0], "no fault of the table is caught by these");
}

#[test]
fn each_check_has_a_name_and_a_promise_of_its_own_and_a_test() {
    let names: BTreeSet<_> = CHECKS.iter().map(|check| check.name).collect();
    assert_eq!(names.len(), CHECKS.len());
    assert!(CHECKS.iter().all(|check| (1..=7).contains(&check.promise)));
    // `conformance_tests!` has to spell the names out.
    let source = include_str!("../mod.rs");
    let (_, tests) = source.split_once("conformance_tests!(@each (").expect("it is there");
    let spelled: BTreeSet<_> = tests.split_once(");").unwrap().0.split_whitespace().collect();
    assert!(names.is_subset(&spelled), "{:#?}", names.difference(&spelled));
}
