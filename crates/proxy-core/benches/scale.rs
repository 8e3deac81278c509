//! What a change costs, and what an endpoint weighs, as the cluster grows.
//!
//! `cargo bench -p proxy-core`. Prints a line for each size of cluster: how long it takes to learn
//! and decide everything, per event; what the state weighs, per endpoint; and what one change of
//! one slice costs from event to delta, which must not grow with the cluster; and what is held when
//! all was deleted. Decoding JSON and programming a data plane are not in it.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock and the machine")]
#![expect(clippy::print_stdout, reason = "it is a program that prints")]

mod stage;

use std::hint::black_box;
use std::time::{Duration, Instant};

use proxy_core::reconciler::{Outcome, Reconciler, Schedule};
use proxy_core::{Backend, BackendError, Capabilities, Delta, DesiredState, Event, Model, Report};

use stage::{Cluster, live, mebibytes, microseconds, peak};

/// Services and endpoints of each.
const SIZES: [(u32, u32); 5] = [(1_000, 10), (10_000, 10), (50_000, 10), (5_000, 50), (50, 1_000)];
const CHANGES: u32 = 200;

fn main() {
    println!("{}", stage::machine());
    println!(
        "{:>8} {:>9} {:>10} {:>10} {:>10} {:>12} {:>12} {:>12} {:>7} {:>8}",
        "services",
        "endpoints",
        "ns/event",
        "MiB",
        "peak",
        "B/endpoint",
        "change p50",
        "change p99",
        "visits",
        "deleted",
    );
    for (services, endpoints) in SIZES {
        measure(services, endpoints);
    }
}

fn measure(services: u32, endpoints: u32) {
    let mut cluster = Cluster::new(endpoints);
    let before = live();
    let _ = peak();
    let schedule = Schedule { audit_interval: Duration::from_secs(3_600), ..Schedule::default() };
    let mut reconciler = Reconciler::new(Nowhere(Capabilities::all()), Model::new("n1"), schedule);
    let mut spent = Duration::ZERO;
    for number in 0..services {
        let events = [cluster.service(number), cluster.slice(number, 0)];
        let start = Instant::now();
        for event in events {
            reconciler.handle(event, start);
        }
        spent += start.elapsed();
    }
    reconciler.start();
    let start = Instant::now();
    let step = reconciler.step(start);
    spent += start.elapsed();
    assert!(matches!(step.outcome, Outcome::Resynced(_)));
    let bytes = live().saturating_sub(before);
    let peak = peak().saturating_sub(before);

    let visits = reconciler.model().visits();
    let mut times: Vec<_> = (1..=CHANGES)
        .map(|round| {
            // A prime step, so that changes are spread over the cluster.
            let event = cluster.slice(round * 7_919 % services, round);
            change(&mut reconciler, event)
        })
        .collect();
    times.sort_unstable();
    let visits = (reconciler.model().visits() - visits) / u64::from(CHANGES);

    for event in (0..services).flat_map(|number| cluster.removal(number)) {
        reconciler.handle(event, start);
    }
    while !matches!(reconciler.step(start).outcome, Outcome::Idle) {}
    let deleted = live().saturating_sub(before);

    let all = u64::from(services) * u64::from(endpoints);
    println!(
        "{:>8} {:>9} {:>10} {:>10.1} {:>10.1} {:>12.1} {:>9.1} µs {:>9.1} µs {:>7} {:>8.1}",
        services,
        all,
        spent.as_nanos() / u128::from(2 * services),
        mebibytes(bytes),
        mebibytes(peak),
        bytes as f64 / all as f64,
        microseconds(times[times.len() / 2]),
        microseconds(times[times.len() * 99 / 100]),
        visits,
        mebibytes(deleted),
    );
}

/// One event, until the delta was handed over.
fn change(reconciler: &mut Reconciler<Nowhere>, event: Event) -> Duration {
    let start = Instant::now();
    reconciler.handle(event, start);
    loop {
        match reconciler.step(start).outcome {
            Outcome::Applied { delta, .. } => {
                assert_eq!(delta.len(), 1);
                return start.elapsed();
            }
            Outcome::Maintained(_) => {}
            other => panic!("unexpected: {other:?}"),
        }
    }
}

/// A data plane that takes everything and keeps nothing, so that only the decisions are measured.
struct Nowhere(Capabilities);

impl Backend for Nowhere {
    fn capabilities(&self) -> &Capabilities {
        &self.0
    }

    fn resync(&mut self, desired: &DesiredState) -> Result<Report, BackendError> {
        black_box(desired.len());
        Ok(Report::default())
    }

    fn apply(&mut self, delta: &Delta) -> Result<Report, BackendError> {
        black_box(delta);
        Ok(Report::default())
    }

    fn cleanup(&mut self) -> Result<Report, BackendError> {
        Ok(Report::default())
    }
}
