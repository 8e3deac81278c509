//! The same against the kernel of the machine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ipvs_backend::kernel::Netlink;
use ipvs_backend::netlink::Traffic;
use ipvs_backend::{IpvsBackend, IpvsConfig, Plan};
use proptest::collection::vec;
use proptest::option;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use proxy_core::Backend as _;
use proxy_core::reconciler::{Reconciler, Schedule};

use crate::kernel::NODE_ADDRESSES;
use crate::namespace;
use crate::recovery::fault;
use crate::unreliable::{Faults, Unreliable};
use crate::world::{event, model};

const ROUNDS: usize = 8;

const STRANGER: &str = "-A -t 198.51.100.1:80 -s wlc";

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn whatever_fails_the_real_kernel_holds_in_the_end_what_a_fresh_process_would_make() {
    let mut runner = TestRunner::default();
    let mut random = || {
        let round = (vec(event(), 1..6), vec(option::weighted(0.5, fault()), 0..20));
        round.new_tree(&mut runner).expect("nothing is filtered out").current()
    };
    for number in 0..ROUNDS {
        namespace::leave();
        for address in NODE_ADDRESSES {
            namespace::tool(&format!("ip address add {address} dev lo"));
        }
        namespace::tool(&format!("ipvsadm {STRANGER}"));
        let open = || {
            let traffic = Arc::new(Traffic::default());
            (Netlink::open(&traffic).unwrap_or_else(|error| panic!("{error}")), traffic)
        };
        let faults = Faults::default();
        let (kernel, traffic) = open();
        let kernel = Unreliable { kernel, faults: faults.clone() };
        let backend = IpvsBackend::with_kernel(IpvsConfig::default(), kernel, traffic);
        let mut reconciler = Reconciler::new(backend, model(), Schedule::default());
        reconciler.start();
        let mut now = Instant::now();
        let mut told = Vec::new();
        for _ in 0..4 {
            let (events, befalling) = random();
            faults.befall(befalling);
            for event in events {
                told.push(event.clone());
                reconciler.handle(event, now);
                let _ = reconciler.step(now);
                now += Duration::from_millis(70);
            }
        }
        faults.end();
        let end = now + Duration::from_secs(300);
        while let Some(next) = reconciler.next(now).filter(|next| *next < end) {
            now = now.max(next);
            let _ = reconciler.step(now);
        }
        let pending = reconciler.pending();
        assert_eq!((pending.services, pending.retries), (0, 0), "round {number}: {told:#?}");
        let (kernel, traffic) = open();
        let mut fresh = IpvsBackend::with_kernel(IpvsConfig::default(), kernel, traffic);
        let plan = fresh.plan(reconciler.desired()).unwrap();
        assert_eq!(plan, Plan::default(), "round {number}, after {told:#?}");
        let report = fresh.resync(reconciler.desired()).unwrap();
        assert_eq!(report.changes, 0, "round {number}: a fresh process changes something");
        let services = namespace::tool("ipvsadm -Sn");
        assert!(services.lines().any(|line| line.trim() == STRANGER), "{services}");
    }
}
