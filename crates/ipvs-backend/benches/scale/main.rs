//! What it takes to hold a cluster in the kernel, without the kernel's own part.
//!
//! `cargo bench -p ipvs-backend`. A kernel that agrees to everything takes no time and no memory,
//! so what is printed is what the model, the decisions and the backend take together: how much is
//! held when all is known, when all is programmed by a first start, by a second one on the same
//! node, and after all was deleted; the peaks on the way; and what the two starts and one change
//! of one endpoint take.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock and the machine")]
#![expect(clippy::print_stdout, reason = "it is a program that prints")]

mod agreeing;
#[path = "../../../proxy-core/benches/stage/mod.rs"]
mod stage;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ipvs_backend::netlink::Traffic;
use ipvs_backend::{IpvsBackend, IpvsConfig};
use proxy_core::reconciler::{Outcome, Reconciler, Schedule};
use proxy_core::{Event, Model};

use agreeing::Agreeing;
use stage::{Cluster, live, mebibytes, microseconds, peak};

/// Services and endpoints of each.
const SIZES: [(u32, u32); 4] = [(1_000, 10), (10_000, 10), (5_000, 50), (50, 1_000)];
const CHANGES: u32 = 200;

fn main() {
    println!("{}", stage::machine());
    println!(
        "{:>8} {:>9} | {:>8} {:>8} {:>8} {:>8} | {:>8} {:>8} {:>8} | {:>8} {:>12} {:>12}",
        "services",
        "endpoints",
        "known",
        "first",
        "peak",
        "ms",
        "second",
        "peak",
        "ms",
        "deleted",
        "change p50",
        "change p99",
    );
    for (services, endpoints) in SIZES {
        measure(services, endpoints);
    }
}

fn measure(services: u32, endpoints: u32) {
    let mut cluster = Cluster::new(endpoints);
    let nothing = live();
    let since = || mebibytes(live().saturating_sub(nothing));
    let mut reconciler = process(&mut cluster, services, Agreeing::default());
    let known = since();
    let first = start(&mut reconciler);
    let (first_live, first_peak) = (since(), mebibytes(peak().saturating_sub(nothing)));
    let mut times: Vec<_> = (1..=CHANGES)
        // A prime step, so that changes are spread over the cluster.
        .map(|round| change(&mut reconciler, cluster.slice(round * 7_919 % services, round)))
        .collect();
    times.sort_unstable();
    for number in 0..services {
        for event in cluster.removal(number) {
            reconciler.handle(event, Instant::now());
        }
    }
    settle(&mut reconciler);
    let deleted = since();
    drop(reconciler);

    let kernel = Agreeing::serving(&mut cluster, services);
    let nothing = live();
    let mut reconciler = process(&mut cluster, services, kernel);
    let second = start(&mut reconciler);
    let second_live = mebibytes(live().saturating_sub(nothing));
    let second_peak = mebibytes(peak().saturating_sub(nothing));
    println!(
        "{:>8} {:>9} | {:>8.1} {:>8.1} {:>8.1} {:>8.0} | {:>8.1} {:>8.1} {:>8.0} | {:>8.1} {:>9.1} µs {:>9.1} µs",
        services,
        services * endpoints,
        known,
        first_live,
        first_peak,
        first.as_secs_f64() * 1e3,
        second_live,
        second_peak,
        second.as_secs_f64() * 1e3,
        deleted,
        microseconds(times[times.len() / 2]),
        microseconds(times[times.len() * 99 / 100]),
    );
}

/// A process that knows everything and has programmed nothing.
fn process(cluster: &mut Cluster, services: u32, kernel: Agreeing) -> Reconciler<Backend> {
    let schedule = Schedule {
        audit_interval: Duration::from_secs(3_600),
        min_interval: Duration::ZERO,
        ..Schedule::default()
    };
    let backend =
        IpvsBackend::with_kernel(IpvsConfig::default(), kernel, Arc::new(Traffic::default()));
    let mut reconciler = Reconciler::new(backend, Model::new("n1"), schedule);
    for number in 0..services {
        for event in [cluster.service(number), cluster.slice(number, 0)] {
            reconciler.handle(event, Instant::now());
        }
    }
    let _ = peak();
    reconciler
}

type Backend = IpvsBackend<Agreeing>;

/// Programs everything.
fn start(reconciler: &mut Reconciler<Backend>) -> Duration {
    reconciler.start();
    let start = Instant::now();
    let step = reconciler.step(start);
    assert!(matches!(step.outcome, Outcome::Resynced(report) if report.failed.is_empty()));
    start.elapsed()
}

/// One event, until the kernel was told.
fn change(reconciler: &mut Reconciler<Backend>, event: Event) -> Duration {
    settle(reconciler);
    let start = Instant::now();
    reconciler.handle(event, start);
    loop {
        match reconciler.step(Instant::now()).outcome {
            Outcome::Applied { report, .. } => {
                assert!(report.changes > 0);
                return start.elapsed();
            }
            Outcome::Maintained(_) | Outcome::Idle => {}
            other => panic!("unexpected: {other:?}"),
        }
    }
}

/// Does everything that is due.
fn settle(reconciler: &mut Reconciler<Backend>) {
    loop {
        let now = Instant::now();
        if reconciler.next(now).is_none_or(|next| next > now + Duration::from_secs(1)) {
            return;
        }
        let _ = reconciler.step(now);
    }
}
