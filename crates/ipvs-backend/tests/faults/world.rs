//! Random Services with endpoints that come and go.

use std::net::IpAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proxy_core::{
    Admission, ClusterIps, Conditions, DesiredState, Endpoint, EndpointSlice, Event, Family, Model,
    ObjectKey, Protocol, Scheduler, SchedulerFlags, Service, ServiceKind, ServicePort,
    SessionAffinity, SlicePort, SourceRanges, TrafficPolicy, Tuning,
};

use crate::kernel::NODE_ADDRESSES;

/// The node that the backend is on.
const HERE: &str = "node-1";

/// A model that knows the node, and nothing to serve.
pub(crate) fn model() -> Model {
    let mut model = Model::new(HERE);
    let addresses = NODE_ADDRESSES.map(address).to_vec();
    let _ = model.apply(Event::NodePortAddresses(addresses));
    model
}

/// What a model that was told `events` asks for.
pub(crate) fn desired(events: &[Event]) -> DesiredState {
    let mut model = model();
    for event in events {
        let _ = model.apply(event.clone());
    }
    let mut state = DesiredState::new();
    for key in model.service_keys() {
        let _ = state.replace(key, model.resolve(key));
    }
    state
}

/// One Service, or its endpoints, comes, changes or goes.
pub(crate) fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (0..3_u8).prop_flat_map(|id| service(id).prop_map(|it| Event::Service(Arc::new(it)))),
        1 => (0..3_u8).prop_map(|id| Event::ServiceRemoved(key(id))),
        5 => (0..3_u8, select(Family::ALL.to_vec()), vec(endpoint(), 0..4))
            .prop_map(|(id, family, endpoints)| Event::Slice(Arc::new(slice(id, family, &endpoints)))),
    ]
}

fn key(id: u8) -> ObjectKey {
    match id {
        // The one that goes before others.
        0 => ObjectKey::new("default", "kubernetes"),
        id => ObjectKey::new("default", format!("s{id}")),
    }
}

/// A Service on a load-balancer IP that others may have too.
pub(crate) fn balanced(id: u8, scheduler: Scheduler) -> Event {
    let mut cluster_ips = ClusterIps::default();
    cluster_ips.set(address(&format!("10.96.0.{}", 10 + id)));
    Event::Service(Arc::new(Service {
        key: key(id),
        created: None,
        kind: ServiceKind::LoadBalancer,
        cluster_ips,
        external_ips: Vec::new(),
        load_balancer_ips: vec![address("203.0.113.5")],
        source_ranges: SourceRanges::default(),
        ports: vec![service_port(id, ServiceKind::ClusterIp, Protocol::Tcp)],
        external_traffic_policy: TrafficPolicy::Cluster,
        internal_traffic_policy: TrafficPolicy::Cluster,
        session_affinity: None,
        health_check_node_port: None,
        tuning: Tuning {
            scheduler: Some((scheduler, SchedulerFlags::default_for(scheduler))),
            ..Tuning::default()
        },
    }))
}

/// The Services share external and load-balancer IPs, on ports of their own.
fn service(id: u8) -> impl Strategy<Value = Service> {
    let policy = || select(vec![TrafficPolicy::Cluster, TrafficPolicy::Local]);
    let kinds = [ServiceKind::ClusterIp, ServiceKind::NodePort, ServiceKind::LoadBalancer];
    let ips = || subsequence(vec!["203.0.113.5", "2001:db8::5"], 0..=2);
    let ranges = subsequence(vec!["198.51.100.0/24", "10.0.0.0/8"], 0..=2);
    let protocols = subsequence(vec![Protocol::Tcp, Protocol::Udp], 1..=2);
    (
        select(kinds.to_vec()),
        (policy(), policy()),
        (ips(), ips()),
        option::of(ranges),
        option::of(Just(NonZeroU32::new(600).unwrap())),
        protocols,
    )
        .prop_map(
            move |(kind, policies, (external, balanced), ranges, affinity, protocols)| {
                let parsed = |ips: Vec<&str>| ips.into_iter().map(address).collect::<Vec<_>>();
                let with = |text: &str| format!("{text}{}", 10 + id);
                let mut cluster_ips = ClusterIps::default();
                cluster_ips.set(address(&with("10.96.0.")));
                cluster_ips.set(address(&with("fd00:96::")));
                let mut source_ranges = SourceRanges::default();
                if let Some(ranges) = ranges {
                    let ranges = ranges.into_iter().map(|range| range.parse().unwrap()).collect();
                    source_ranges.set(Family::Ipv4, Admission::Only(ranges));
                }
                Service {
                    key: key(id),
                    created: None,
                    kind,
                    cluster_ips,
                    external_ips: parsed(external),
                    load_balancer_ips: parsed(balanced),
                    source_ranges,
                    ports: protocols
                        .into_iter()
                        .map(|protocol| service_port(id, kind, protocol))
                        .collect(),
                    external_traffic_policy: policies.0,
                    internal_traffic_policy: policies.1,
                    session_affinity: affinity
                        .map(|timeout_seconds| SessionAffinity { timeout_seconds }),
                    health_check_node_port: None,
                    tuning: Tuning::default(),
                }
            },
        )
}

fn service_port(id: u8, kind: ServiceKind, protocol: Protocol) -> ServicePort {
    let node_port = (kind != ServiceKind::ClusterIp).then(|| port(30_080 + u16::from(id)));
    ServicePort {
        name: name_of(protocol).into(),
        protocol,
        port: port(80 + u16::from(id)),
        node_port,
    }
}

/// An endpoint by its number, with its conditions. The first three are on this node.
type Sketch = (u8, Conditions);

fn endpoint() -> impl Strategy<Value = Sketch> {
    let conditions = |ready, serving, terminating| Conditions { ready, serving, terminating };
    let ready = conditions(true, true, false);
    let others = [conditions(false, true, true), conditions(false, false, false)];
    (1..7_u8, prop_oneof![2 => Just(ready), 1 => select(others.to_vec())])
}

fn slice(id: u8, family: Family, endpoints: &[Sketch]) -> EndpointSlice {
    let endpoint = |&(number, conditions): &Sketch| Endpoint {
        address: match family {
            Family::Ipv4 => address(&format!("10.244.0.{number}")),
            Family::Ipv6 => address(&format!("fd00:244::{number}")),
        },
        conditions,
        node: Some(if number < 4 { HERE } else { "node-2" }.into()),
        zone: None,
        hints: None,
    };
    let of = |protocol| SlicePort { name: name_of(protocol).into(), protocol, port: port(8080) };
    EndpointSlice {
        key: ObjectKey::new("default", format!("slice-{id}-{family}")),
        service: key(id).name,
        family,
        ports: [Protocol::Tcp, Protocol::Udp].map(of).to_vec(),
        endpoints: endpoints.iter().map(endpoint).collect(),
        triggered: None,
    }
}

const fn name_of(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "stream",
        _ => "datagram",
    }
}

fn port(number: u16) -> NonZeroU16 {
    number.try_into().unwrap()
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}
