//! Random objects, histories of objects, and what a history comes to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

use crate::test_support::{NODE, address, key, node, number, service};
use crate::{
    Conditions, Conflict, DesiredState, Endpoint, EndpointSlice, Event, Family, HealthCheck, Hints,
    Model, Name, Protocol, Service, ServiceKind, ServicePort, SlicePort, TrafficPolicy, VipChoice,
    VirtualServer, Warning, WhenEmpty,
};

/// One object of the world; its histories say what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Object {
    Service(u8),
    Slice(u8),
    Node(u8),
    NodePortAddresses,
}

/// Events in the order in which a watch would deliver them.
pub(super) type History = Vec<(Object, Event)>;

/// A history of up to `length` events.
pub(super) fn history(length: usize) -> impl Strategy<Value = History> {
    vec(event(), 0..length)
}

/// The same events in another order, those of each object in their own order: what a watch may
/// deliver instead.
pub(super) fn interleaved(history: &History, picks: &[Index]) -> History {
    let mut queues: BTreeMap<Object, VecDeque<Event>> = BTreeMap::new();
    for (object, event) in history {
        queues.entry(*object).or_default().push_back(event.clone());
    }
    let mut picks = picks.iter().cycle();
    let mut result = History::new();
    while !queues.is_empty() {
        let objects: Vec<_> = queues.keys().copied().collect();
        let object = *picks.next().expect("there are picks").get(&objects);
        let queue = queues.get_mut(&object).expect("it is one of the keys");
        result.extend(queue.pop_front().map(|event| (object, event)));
        if queue.is_empty() {
            queues.remove(&object);
        }
    }
    result
}

/// A model that was told everything, and the state it asks for.
pub(super) fn outcome(history: &History) -> (Model, DesiredState) {
    outcome_of(Model::new(NODE), history)
}

/// The same for a model that was told something before.
pub(super) fn outcome_of(mut model: Model, history: &History) -> (Model, DesiredState) {
    for (_, event) in history {
        let _ = model.apply(event.clone());
    }
    let mut state = DesiredState::new();
    for key in model.service_keys() {
        let _ = state.replace(key, model.resolve(key));
    }
    (model, state)
}

/// Everything that is to be seen of a state.
pub(super) type Seen = (Vec<Arc<VirtualServer>>, Vec<Conflict>, Vec<HealthCheck>, Vec<Warning>);

pub(super) fn seen(state: &DesiredState) -> Seen {
    (
        state.iter().cloned().collect(),
        state.conflicts().collect(),
        state.health_checks().into_iter().cloned().collect(),
        state.warnings().into_iter().cloned().collect(),
    )
}

fn event() -> impl Strategy<Value = (Object, Event)> {
    prop_oneof![
        6 => (0..4_u8, option::weighted(0.85, a_service())).prop_map(|(id, value)| {
            let key = key(&format!("s{id}"));
            (Object::Service(id), match value {
                Some(service) => Event::Service(Arc::new(Service { key, ..service })),
                None => Event::ServiceRemoved(key),
            })
        }),
        8 => (0..5_u8, option::weighted(0.85, a_slice())).prop_map(|(id, value)| {
            let key = key(&format!("slice{id}"));
            (Object::Slice(id), match value {
                Some(slice) => Event::Slice(Arc::new(EndpointSlice { key, ..slice })),
                None => Event::SliceRemoved(key),
            })
        }),
        2 => (1..4_u8, option::weighted(0.85, a_node())).prop_map(|(id, value)| {
            let name = format!("n{id}");
            (Object::Node(id), match value {
                Some(words) => Event::Node(Arc::new(node(&format!("{name} {words}")))),
                None => Event::NodeRemoved(name.into()),
            })
        }),
        1 => subsequence(vec!["192.0.2.1", "192.0.2.2", "2001:db8:1::1"], 0..=3).prop_map(|list| {
            let addresses = list.into_iter().map(address).collect();
            (Object::NodePortAddresses, Event::NodePortAddresses(addresses))
        }),
    ]
}

fn a_service() -> impl Strategy<Value = Service> {
    let kinds = [ServiceKind::ClusterIp, ServiceKind::NodePort, ServiceKind::LoadBalancer];
    let external = || subsequence(vec!["203.0.113.5", "203.0.113.6", "2001:db8::5"], 0..=2);
    let ports = subsequence(vec![("http", Protocol::Tcp, 80), ("", Protocol::Udp, 53)], 1..=2);
    (
        select(kinds.to_vec()),
        (subsequence(vec!["10.96.0.1", "10.96.0.2", "10.96.0.3"], 1), option::of(0..2_u8)),
        (external(), external()),
        (ports, option::of(select(vec![30080_u16, 30081]))),
        (policy(), policy()),
        option::of(select(vec!["2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z"])),
        any::<(bool, bool)>(),
    )
        .prop_map(
            |(kind, (ipv4, ipv6), (x, v), (ports, node_port), policies, created, flags)| {
                let mut service = service("int");
                service.kind = kind;
                service.cluster_ips.set(address(ipv4[0]));
                if let Some(last) = ipv6 {
                    service.cluster_ips.set(address(&format!("fd00:96::{last}")));
                }
                service.external_ips = x.into_iter().map(address).collect();
                service.load_balancer_ips = v.into_iter().map(address).collect();
                service.ports = ports
                    .into_iter()
                    .map(|(name, protocol, port)| ServicePort {
                        name: name.into(),
                        protocol,
                        port: number(port),
                        node_port: node_port.map(number),
                    })
                    .collect();
                (service.internal_traffic_policy, service.external_traffic_policy) = policies;
                service.created = created.map(Name::from);
                service.health_check_node_port = flags.0.then(|| number(32000));
                service.tuning.vip = if flags.1 { VipChoice::Leave } else { VipChoice::Bind };
                service
            },
        )
}

fn policy() -> impl Strategy<Value = TrafficPolicy> {
    select(vec![TrafficPolicy::Cluster, TrafficPolicy::Local])
}

fn a_slice() -> impl Strategy<Value = EndpointSlice> {
    let ports = subsequence(
        vec![("http", Protocol::Tcp, 8080), ("http", Protocol::Tcp, 8081), ("", Protocol::Udp, 53)],
        1..=3,
    );
    (0..4_u8, select(Family::ALL.to_vec()), ports, vec(an_endpoint(), 0..5)).prop_map(
        |(owner, family, ports, mut endpoints)| {
            for endpoint in &mut endpoints {
                if family == Family::Ipv6 {
                    let last = endpoint.address.to_string().split_off("10.1.0.".len());
                    endpoint.address = address(&format!("fd00:1::{last}"));
                }
            }
            EndpointSlice {
                key: key("any"),
                service: format!("s{owner}").into(),
                family,
                ports: ports
                    .into_iter()
                    .map(|(name, protocol, port)| SlicePort {
                        name: name.into(),
                        protocol,
                        port: number(port),
                    })
                    .collect(),
                endpoints: endpoints.into(),
                triggered: None,
            }
        },
    )
}

fn an_endpoint() -> impl Strategy<Value = Endpoint> {
    let names = |list: [&'static str; 2]| {
        subsequence(list.to_vec(), 0..=2)
            .prop_map(|names| names.into_iter().map(Name::from).collect::<Vec<_>>())
    };
    (
        1..6_u8,
        any::<(bool, bool, bool)>(),
        option::of(select(vec!["n1", "n2"])),
        option::of((names(["za", "zb"]), names(["n1", "n2"]))),
    )
        .prop_map(|(last, (ready, serving, terminating), node, hints)| Endpoint {
            address: address(&format!("10.1.0.{last}")),
            conditions: Conditions { ready, serving, terminating },
            node: node.map(Name::from),
            zone: None,
            hints: hints.map(|(zones, nodes)| Arc::new(Hints { zones, nodes })),
        })
}

/// Words for [`node`]: a zone, and addresses that Services claim too.
fn a_node() -> impl Strategy<Value = String> {
    (
        option::of(select(vec!["za", "zb"])),
        subsequence(vec!["203.0.113.5", "203.0.113.6", "192.0.2.77"], 0..=2),
    )
        .prop_map(|(zone, addresses)| {
            let zone = zone.map(|zone| format!("zone={zone} ")).unwrap_or_default();
            let addresses: String =
                addresses.iter().map(|address| format!("ip={address} ")).collect();
            zone + &addresses
        })
}

/// Whether some client of `server` gets no answer.
pub(super) fn drops(server: &VirtualServer) -> bool {
    [&server.external, &server.internal]
        .iter()
        .any(|pool| pool.servers.is_empty() && pool.when_empty == WhenEmpty::Drop)
}
