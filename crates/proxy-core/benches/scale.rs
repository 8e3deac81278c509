//! What a change costs, and what an endpoint weighs, as the cluster grows.
//!
//! `cargo bench -p proxy-core`. Prints a line for each size of cluster: how long it takes to learn
//! and decide everything, per event; what the state weighs, per endpoint; and what one change of
//! one slice costs from event to delta, which must not grow with the cluster. Decoding JSON and
//! programming a data plane are not in it.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock and the machine")]
#![expect(clippy::print_stdout, reason = "it is a program that prints")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU16;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use proxy_core::reconciler::{Outcome, Reconciler, Schedule};
use proxy_core::{
    Backend, BackendError, Capabilities, ClusterIps, Conditions, Delta, DesiredState, Endpoint,
    EndpointSlice, Event, Family, Interner, Model, ObjectKey, Protocol, Report, Service,
    ServiceKind, ServicePort, SlicePort, SourceRanges, TrafficPolicy, Tuning,
};

/// Services and endpoints of each.
const SIZES: [(u32, u32); 5] = [(1_000, 10), (10_000, 10), (50_000, 10), (5_000, 50), (50, 1_000)];
const CHANGES: u32 = 200;

fn main() {
    println!("{}", machine());
    println!(
        "{:>8} {:>9} {:>10} {:>10} {:>12} {:>12} {:>12} {:>7}",
        "services",
        "endpoints",
        "ns/event",
        "MiB",
        "B/endpoint",
        "change p50",
        "change p99",
        "visits",
    );
    for (services, endpoints) in SIZES {
        measure(services, endpoints);
    }
}

fn measure(services: u32, endpoints: u32) {
    let mut cluster = Cluster { endpoints, names: Interner::new() };
    let before = LIVE.load(Ordering::Relaxed);
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
    let bytes = LIVE.load(Ordering::Relaxed).saturating_sub(before);

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

    let all = u64::from(services) * u64::from(endpoints);
    println!(
        "{:>8} {:>9} {:>10} {:>10.1} {:>12.1} {:>9.1} µs {:>9.1} µs {:>7}",
        services,
        all,
        spent.as_nanos() / u128::from(2 * services),
        bytes as f64 / f64::from(1 << 20),
        bytes as f64 / all as f64,
        microseconds(times[times.len() / 2]),
        microseconds(times[times.len() * 99 / 100]),
        visits,
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

fn microseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// Makes the objects of a cluster. Names are shared as the API's door shares them.
struct Cluster {
    endpoints: u32,
    names: Interner,
}

impl Cluster {
    fn service(&mut self, number: u32) -> Event {
        let mut cluster_ips = ClusterIps::default();
        cluster_ips.set(address(10 << 24 | 96 << 16, number));
        Event::Service(Arc::new(Service {
            key: self.key(number, ""),
            created: Some("2026-01-01T00:00:00Z".into()),
            kind: ServiceKind::ClusterIp,
            cluster_ips,
            external_ips: Vec::new(),
            load_balancer_ips: Vec::new(),
            source_ranges: SourceRanges::default(),
            ports: vec![ServicePort {
                name: self.names.name("http"),
                protocol: Protocol::Tcp,
                port: port(80),
                node_port: None,
            }],
            external_traffic_policy: TrafficPolicy::Cluster,
            internal_traffic_policy: TrafficPolicy::Cluster,
            session_affinity: None,
            health_check_node_port: None,
            tuning: Tuning::default(),
        }))
    }

    /// All endpoints of a Service. In each round after the first, another one is not ready.
    fn slice(&mut self, number: u32, round: u32) -> Event {
        let key = self.key(number, "-x2x7k");
        let service = self.names.name(&format!("service-{number}"));
        let zone = self.names.name("zone-a");
        let endpoints = (0..self.endpoints)
            .map(|index| Endpoint {
                address: address(10 << 24 | 128 << 16, number * self.endpoints + index),
                conditions: Conditions::from_api(
                    Some(round == 0 || index != round % self.endpoints),
                    None,
                    None,
                ),
                node: Some(self.names.name(&format!("node-{}", (number + index) % 1_000))),
                zone: Some(zone.clone()),
                hints: None,
            })
            .collect();
        let (name, protocol, port) = (self.names.name("http"), Protocol::Tcp, port(8080));
        let ports = vec![SlicePort { name, protocol, port }];
        Event::Slice(Arc::new(EndpointSlice {
            key,
            service,
            family: Family::Ipv4,
            ports,
            endpoints,
            triggered: None,
        }))
    }

    fn key(&mut self, number: u32, suffix: &str) -> ObjectKey {
        ObjectKey {
            namespace: self.names.name(&format!("namespace-{}", number % 100)),
            name: self.names.name(&format!("service-{number}{suffix}")),
        }
    }
}

fn address(base: u32, number: u32) -> IpAddr {
    Ipv4Addr::from_bits(base + number).into()
}

fn port(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).expect("no port is 0")
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

/// The machine the figures are from.
fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cpus = std::thread::available_parallelism().map_or(0, std::num::NonZeroUsize::get);
    format!(
        "{}, {cpus} CPUs, {} {} {}",
        model.map_or("unknown CPU", |(_, model)| model),
        std::env::consts::OS,
        kernel.trim(),
        std::env::consts::ARCH,
    )
}

/// Bytes that are allocated and not freed yet.
static LIVE: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The system's allocator, counted.
struct Counting;

// SAFETY: every call is handed on to `System` as it came, so its guarantees are `System`'s.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`, which is the same here and there.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: `pointer` came from `alloc` above, and so from `System`, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}
