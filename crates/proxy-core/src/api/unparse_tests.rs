use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::ValueTree as _;

use crate::api::{
    self, ClientIpConfig, EndpointConditions, EndpointHints, EndpointPort, HintName, Ingress,
    LoadBalancerStatus, Metadata, NodeAddress, NodeSpec, NodeStatus, Parsed, ServicePort,
    ServiceSpec, ServiceStatus, SessionAffinityConfig, Taint,
};
use crate::{EndpointSlice, Interner};

fn text(texts: &'static [&'static str]) -> impl Strategy<Value = Option<String>> {
    option::weighted(0.8, select(texts).prop_map(str::to_owned))
}

fn texts(texts: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    subsequence(texts, 0..=texts.len().min(3))
        .prop_map(|list| list.into_iter().map(str::to_owned).collect())
}

fn metadata(
    labels: &'static [(&'static str, &'static str)],
    annotations: &'static [(&'static str, &'static str)],
) -> impl Strategy<Value = Metadata> {
    let own = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    let pairs = move |pairs: &'static [(&str, &str)]| {
        subsequence(pairs, 0..=pairs.len())
            .prop_map(move |list| list.into_iter().map(own).collect::<Vec<_>>())
    };
    let created = text(&["2026-01-02T03:04:05Z", "yesterday"]);
    (text(&["shop", "token"]), text(&["web", "secret"]), created, pairs(labels), pairs(annotations))
        .prop_map(|(namespace, name, creation_timestamp, labels, annotations)| Metadata {
            namespace,
            name,
            creation_timestamp,
            labels: labels.into_iter().collect(),
            annotations: annotations.into_iter().collect(),
            ..Metadata::default()
        })
}

fn number(numbers: &'static [i64]) -> impl Strategy<Value = Option<i64>> {
    option::weighted(0.8, select(numbers))
}

fn a_service() -> impl Strategy<Value = api::Service> {
    const ANNOTATIONS: &[(&str, &str)] = &[
        ("proxyd/scheduler", "mh"),
        ("proxyd/scheduler-flags", "mh-port"),
        ("proxyd/drain-limit", "1m1.5s"),
        ("proxyd/vip", "leave"),
        ("proxyd/endpoint-weights", "node/n1=5, zone/za=4, 10.1.0.1=3, local=2, *=1"),
    ];
    const EXTERNAL: &[&str] = &["203.0.113.5", "203.0.113.4", "2001:db8::5", "bogus"];
    const RANGES: &[&str] = &[
        "10.0.0.0/8",
        "10.1.2.3/16",
        "fd00::/8",
        "0.0.0.0/0",
        "::/0",
        "10.0.0.0/33",
        "fd00::/129",
        "bogus",
    ];
    let cluster_ips = subsequence(&["10.96.0.9", "fd00:96::9"][..], 0..=2).prop_shuffle();
    let port = (text(&["http", "dns"]), text(&["TCP", "UDP", "SCTP"]), number(&[80, 53]))
        .prop_flat_map(|(name, protocol, port)| {
            number(&[0, 30_080, 30_081, 65_536]).prop_map(move |node_port| ServicePort {
                name: name.clone(),
                protocol: protocol.clone(),
                port,
                node_port,
            })
        });
    let ingress = (text(EXTERNAL), text(&["VIP", "Proxy", "other"]))
        .prop_map(|(ip, ip_mode)| Ingress { ip, ip_mode });
    let policy = || text(&["Local", "Cluster", "other"]);
    let affinity = (text(&["ClientIP", "None"]), option::of(number(&[1, 86_400, 86_401])));
    (
        metadata(&[], ANNOTATIONS),
        (text(&["ClusterIP", "NodePort", "LoadBalancer"]), cluster_ips),
        (vec(port, 0..3), texts(EXTERNAL), vec(ingress, 0..3), texts(RANGES)),
        (policy(), policy()),
        affinity,
        number(&[0, 32_000, 70_000]),
    )
        .prop_map(
            |(
                metadata,
                (kind, ips),
                (ports, external, ingress, ranges),
                (outer, inner),
                (session_affinity, timeout),
                check,
            )| {
                let family = |ip: &&str| if ip.contains(':') { "IPv6" } else { "IPv4" };
                let client_ip = timeout.map(|timeout_seconds| ClientIpConfig { timeout_seconds });
                api::Service {
                    metadata,
                    spec: ServiceSpec {
                        kind,
                        cluster_ip: ips.first().map(|&ip| ip.to_owned()),
                        ip_families: ips.iter().map(|ip| family(ip).to_owned()).collect(),
                        cluster_ips: ips.iter().map(|&ip| ip.to_owned()).collect(),
                        ports,
                        external_ips: external,
                        load_balancer_source_ranges: ranges,
                        external_traffic_policy: outer,
                        internal_traffic_policy: inner,
                        session_affinity,
                        session_affinity_config: Some(SessionAffinityConfig { client_ip }),
                        health_check_node_port: check,
                    },
                    status: ServiceStatus { load_balancer: LoadBalancerStatus { ingress } },
                }
            },
        )
}

fn a_slice() -> impl Strategy<Value = api::EndpointSlice> {
    const LABELS: &[(&str, &str)] = &[("kubernetes.io/service-name", "web")];
    const CHANGED: &[(&str, &str)] =
        &[("endpoints.kubernetes.io/last-change-trigger-time", "2026-01-02T03:04:05.6Z")];
    let hints = |names| {
        texts(names).prop_map(|names| -> Vec<_> {
            names.into_iter().map(|name| HintName { name: Some(name) }).collect()
        })
    };
    let port = (text(&["http", ""]), text(&["TCP", "UDP", "other"]), number(&[0, 8080, 70_000]))
        .prop_map(|(name, protocol, port)| EndpointPort { name, protocol, port });
    let addresses = texts(&["10.1.0.1", "10.1.0.2", "fd00::1", "127.0.0.1", "bogus"]);
    let endpoint = (
        addresses,
        any::<(Option<bool>, Option<bool>, Option<bool>)>(),
        (text(&["n1", "n2"]), text(&["za"])),
        (hints(&["za", "zb"]), hints(&["n1", ""])),
    )
        .prop_map(|(addresses, conditions, (node_name, zone), (for_zones, for_nodes))| {
            let (ready, serving, terminating) = conditions;
            api::Endpoint {
                addresses,
                conditions: EndpointConditions { ready, serving, terminating },
                node_name,
                zone,
                hints: EndpointHints { for_zones, for_nodes },
            }
        });
    (
        metadata(LABELS, CHANGED),
        text(&["IPv4", "IPv6", "FQDN"]),
        vec(port, 0..3),
        vec(endpoint, 0..4),
    )
        .prop_map(|(metadata, address_type, ports, endpoints)| api::EndpointSlice {
            metadata,
            address_type,
            ports,
            endpoints,
        })
}

fn a_node() -> impl Strategy<Value = api::Node> {
    const ZONES: &[(&str, &str)] = &[("topology.kubernetes.io/zone", "za")];
    let address = (
        text(&["InternalIP", "ExternalIP", "Hostname"]),
        text(&["192.0.2.1", "192.0.2.2", "2001:db8::1", "bogus"]),
    )
        .prop_map(|(kind, address)| NodeAddress { kind, address });
    let taint = text(&["ToBeDeletedByClusterAutoscaler", "other"]).prop_map(|key| Taint { key });
    let pod_cidrs = (text(&["10.244.1.0/24"]), texts(&["10.244.1.7/24", "fd00:1::/64", "bogus"]));
    (metadata(ZONES, &[]), pod_cidrs, vec(taint, 0..2), vec(address, 0..4)).prop_map(
        |(metadata, (pod_cidr, pod_cidrs), taints, addresses)| api::Node {
            metadata,
            spec: NodeSpec { pod_cidr, pod_cidrs, taints },
            status: NodeStatus { addresses },
        },
    )
}

/// The value of an object, and that of the object which the value comes back as.
fn back<O, V: Clone>(
    object: &O,
    parse: impl Fn(&O, &mut Interner) -> Parsed<V>,
) -> (Option<V>, Option<V>)
where
    for<'a> O: From<&'a V>,
{
    let mut names = Interner::new();
    let value = parse(object, &mut names).value;
    let again = value.as_ref().and_then(|value| parse(&O::from(value), &mut names).value);
    (value, again)
}

proptest! {
    #[test]
    fn a_service_comes_back_as_it_was_parsed(service in a_service()) {
        let (value, again) = back(&service, api::Service::parse);
        prop_assert_eq!(value, again);
    }

    #[test]
    fn a_slice_comes_back_as_it_was_parsed_but_for_when_it_changed(slice in a_slice()) {
        let (value, again) = back(&slice, api::EndpointSlice::parse);
        let timeless = |slice: EndpointSlice| EndpointSlice { triggered: None, ..slice };
        prop_assert_eq!(value.map(timeless), again);
    }

    #[test]
    fn a_node_comes_back_as_it_was_parsed(node in a_node()) {
        let (value, again) = back(&node, api::Node::parse);
        prop_assert_eq!(value, again);
    }
}

/// Of what no value at all, or only one kind of it, comes, a law says little.
#[test]
fn the_laws_are_about_something() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut parsed = |is_one: &dyn Fn(&api::Service) -> bool| {
        let mut draw = || a_service().new_tree(&mut runner).unwrap().current();
        (0..2000).filter(|_| is_one(&draw())).count()
    };
    let value = |service: &api::Service| service.parse(&mut Interner::new()).value;
    let closed = |service: &api::Service| {
        let closed = crate::Admission::Only([].into());
        value(service).is_some_and(|it| {
            (it.source_ranges.ipv4 == closed) != (it.source_ranges.ipv6 == closed)
        })
    };
    let tuned = |service: &api::Service| {
        value(service).is_some_and(|it| it.tuning.scheduler.is_some_and(|it| !it.1.fallback))
    };
    assert!(parsed(&|service| value(service).is_some()) > 200);
    assert!(parsed(&closed) > 20);
    assert!(parsed(&tuned) > 20);
}

#[cfg(feature = "serde")]
#[test]
fn what_is_written_is_read() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..200 {
        let service = a_service().new_tree(&mut runner).unwrap().current();
        let text = serde_json::to_string(&service).unwrap();
        assert_eq!(serde_json::from_str::<api::Service>(&text).unwrap(), service, "{text}");
        assert!(!text.contains("null") && !text.contains("[]"), "{text}");
    }
}
