//! The decision about single flows as a table, and which changes make it worth asking.

use proxy_core::{
    Admission, FrontendKind, Locality, Priority, Scheduler, SchedulerFlags, ServiceKey,
    ServicePortName, SourceAddress, Vip, WhenEmpty,
};

use super::*;
use crate::ledger::Touched;
use crate::marks::MarkRange;
use crate::netlink::conntrack::Zone;
use crate::object::{internal_service_id, service_id};
use crate::plan::{NodePlan, plan};

const CLUSTER_IP: &str = "10.96.0.10:53";
const EXTERNAL_IP: &str = "203.0.113.9:53";
const LOAD_BALANCER: &str = "198.51.100.9:53";
const NODE_PORT: &str = "192.168.10.5:30053";
const EMPTY: &str = "10.96.0.11:5000";
const FIRST: &str = "10.244.1.3:53";
const SECOND: &str = "10.244.2.3:53";
/// For inside clients only, where a local traffic policy keeps outside ones to this node.
const ELSEWHERE: &str = "10.244.3.3:53";

fn socket(text: &str) -> SocketAddr {
    text.parse().expect("an address and port")
}

fn key(protocol: Protocol, at: &str) -> VirtualServerKey {
    let at = socket(at);
    VirtualServerKey { address: at.ip(), protocol, port: at.port().try_into().expect("a port") }
}

fn udp(at: &str) -> VirtualServerKey {
    key(Protocol::Udp, at)
}

fn pool(servers: &[&str]) -> Pool {
    let real = |text: &&str| {
        let at = socket(text);
        RealServer {
            address: at.ip(),
            port: at.port().try_into().expect("a port"),
            weight: NonZeroU16::MIN,
            locality: Locality::Remote,
        }
    };
    Pool { servers: servers.iter().map(real).collect(), when_empty: WhenEmpty::Reject }
}

fn split(key: VirtualServerKey, external: &[&str], internal: &[&str]) -> Arc<VirtualServer> {
    Arc::new(VirtualServer {
        key,
        origin: ServicePortName { service: ServiceKey::new("default", "dns"), port: "".into() },
        kind: FrontendKind::ClusterIp,
        scheduler: Scheduler::RoundRobin,
        scheduler_flags: SchedulerFlags::default(),
        session_affinity: None,
        admission: Admission::Anyone,
        external: pool(external),
        internal: pool(internal),
        unchosen: Arc::new([]),
        vip: Vip::Bind,
        source_address: SourceAddress::MasqueradeOffCluster,
        health_check_port: None,
        drain_limit: None,
        priority: Priority::Normal,
    })
}

fn server(key: VirtualServerKey, servers: &[&str]) -> Arc<VirtualServer> {
    split(key, servers, servers)
}

/// What is wanted of the kernel, and what it holds.
struct World {
    ledger: Ledger,
    observed: Observed,
}

impl World {
    fn new() -> Self {
        let ledger = Ledger::new(MarkRange::default());
        Self { ledger, observed: Observed::default() }
    }

    /// Wants `server`, and takes every op for it as carried out. Returns the suspects.
    fn set(&mut self, server: &Arc<VirtualServer>) -> Vec<VirtualServerKey> {
        self.change(|ledger, touched| ledger.set(server, touched))
    }

    fn remove(&mut self, key: &VirtualServerKey) -> Vec<VirtualServerKey> {
        self.change(|ledger, touched| ledger.remove(key, touched))
    }

    fn change(&mut self, change: impl FnOnce(&mut Ledger, &mut Touched)) -> Vec<VirtualServerKey> {
        let mut touched = Touched::default();
        change(&mut self.ledger, &mut touched);
        let steps = plan(&touched, &self.ledger, &self.observed, &NodePlan::default());
        let suspects = suspects(&steps, &self.ledger, &self.observed);
        for step in steps {
            self.observed.record(&step.op);
        }
        suspects.into_iter().collect()
    }
}

/// The Services of the table: one with every kind of frontend, and one without endpoints.
fn world() -> World {
    let mut world = World::new();
    let pool = [FIRST, SECOND];
    world.set(&server(udp(CLUSTER_IP), &pool));
    world.set(&server(udp(EXTERNAL_IP), &pool));
    world.set(&split(udp(LOAD_BALANCER), &pool, &[FIRST, SECOND, ELSEWHERE]));
    world.set(&server(udp(NODE_PORT), &pool));
    world.set(&server(udp(EMPTY), &[]));
    world.set(&server(key(Protocol::Tcp, "10.96.0.12:53"), &pool));
    world
}

#[track_caller]
fn check(destination: &str, reply_source: &str, expected: bool) {
    let world = world();
    // A frontend that is gone is judged once more.
    let keys = world.ledger.keys().chain([udp("10.96.0.99:53")]);
    let flow = Flow {
        source: socket("10.244.1.20:40000"),
        destination: socket(destination),
        reply_source: socket(reply_source),
        zone: Zone::Default,
        id: None,
    };
    let is_stale = Frontends::new(keys, &world.ledger).is_stale(&flow);
    assert_eq!(is_stale, expected, "{flow}");
}

#[test]
fn a_flow_is_kept_while_its_real_server_is() {
    check(CLUSTER_IP, FIRST, false);
    check(CLUSTER_IP, SECOND, false);
    check(NODE_PORT, SECOND, false);
    check(CLUSTER_IP, "10.244.9.9:53", true);
    check(NODE_PORT, "10.244.9.9:53", true);
    check(LOAD_BALANCER, "10.244.1.3:54", true);
}

#[test]
fn a_real_server_of_either_audience_will_do() {
    check(LOAD_BALANCER, ELSEWHERE, false);
    check(EXTERNAL_IP, ELSEWHERE, true);
}

#[test]
fn a_flow_that_was_never_translated_is_stale() {
    check(CLUSTER_IP, CLUSTER_IP, true);
    check(EXTERNAL_IP, EXTERNAL_IP, true);
    check(NODE_PORT, NODE_PORT, true);
}

#[test]
fn without_real_servers_every_flow_is_stale() {
    check(EMPTY, "10.244.9.9:5000", true);
    check(EMPTY, EMPTY, true);
}

#[test]
fn a_flow_to_a_frontend_that_is_gone_is_stale() {
    check("10.96.0.99:53", FIRST, true);
    check("10.96.0.99:53", "10.96.0.99:53", true);
}

#[test]
fn a_flow_to_anything_else_is_none_of_our_business() {
    // Another port of the address.
    check("10.96.0.10:54", "10.244.9.9:54", false);
    // It passes through, with the number of a node port.
    check("8.8.8.8:30053", "8.8.8.8:30053", false);
    // Something that listens on the node itself.
    check("192.168.10.5:53", "192.168.10.5:53", false);
    // A frontend of another protocol.
    check("10.96.0.12:53", "10.96.0.12:53", false);
    check("[fd00:96::a]:53", "[fd00:96::a]:53", false);
}

#[test]
fn frontends_of_other_protocols_are_never_suspect() {
    for protocol in [Protocol::Tcp, Protocol::Sctp] {
        let mut world = World::new();
        let key = key(protocol, CLUSTER_IP);
        assert_eq!(world.set(&server(key, &[FIRST, SECOND])), []);
        assert_eq!(world.set(&server(key, &[FIRST])), []);
        assert_eq!(world.remove(&key), []);
    }
}

#[test]
fn a_frontend_is_suspect_when_it_comes_goes_or_loses_a_real_server() {
    let mut world = World::new();
    let key = udp(CLUSTER_IP);
    assert_eq!(world.set(&server(key, &[FIRST])), [key], "it comes");
    assert_eq!(world.set(&server(key, &[FIRST])), [], "nothing changed");
    assert_eq!(world.set(&server(key, &[FIRST, SECOND])), [], "one more");
    assert_eq!(world.set(&server(key, &[SECOND])), [key], "one less");
    assert_eq!(world.set(&server(key, &[])), [key], "the last");
    assert_eq!(world.set(&server(key, &[FIRST])), [key], "the first");
    assert_eq!(world.remove(&key), [key], "it goes");
    assert_eq!(world.remove(&key), [], "it is gone");
}

#[test]
fn an_inside_client_loses_a_real_server_too() {
    let mut world = World::new();
    let key = udp(LOAD_BALANCER);
    world.set(&split(key, &[FIRST], &[FIRST, SECOND]));
    assert_eq!(world.set(&split(key, &[FIRST], &[FIRST, SECOND, ELSEWHERE])), []);
    assert_eq!(world.set(&split(key, &[FIRST], &[FIRST, ELSEWHERE])), [key]);
    let mark = world.ledger.marks_mut().get(&key).expect("it is split");
    assert!(world.observed.services.contains_key(&internal_service_id(&key, mark)));
    assert!(world.observed.services.contains_key(&service_id(&key)));
}

#[test]
fn an_address_that_begins_to_attract_packets_makes_its_frontends_suspect() {
    let mut world = World::new();
    let (dns, metrics) = (udp(CLUSTER_IP), key(Protocol::Tcp, "10.96.0.10:9153"));
    for key in [dns, metrics, udp(EXTERNAL_IP)] {
        world.set(&server(key, &[FIRST]));
    }
    // As if the kernel had refused the route, and it was tried again for the other port.
    world.observed.routes.clear();
    assert_eq!(world.set(&server(metrics, &[FIRST])), [dns]);
}

#[test]
fn a_real_server_without_weight_takes_no_packets() {
    let mut world = World::new();
    let key = udp(CLUSTER_IP);
    world.set(&server(key, &[FIRST]));
    let service = world.observed.services.get_mut(&service_id(&key)).expect("it was added");
    let there = service.destinations.iter().next().expect("it has one");
    service.destinations.put(Destination { weight: 0, ..there });
    assert_eq!(world.set(&server(key, &[FIRST])), [key]);
}
