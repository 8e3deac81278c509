//! A node with one Service, who calls it, and tables of what becomes of that.

use std::sync::Arc;

use proxy_core::{Event as News, Interner, Model, api};

use crate::explain::*;
use crate::rules::{Detector, RuleConfig};
use crate::{IpvsConfig, NodeIps, NodePlan};

/// On this node, and on another.
pub(super) const HERE: &str = "10.244.1.10";
pub(super) const THERE: &str = "10.244.2.10";

/// Who is who. The node's own packets have its first address by route.
pub(super) const PEOPLE: [(&str, &str, &str); 6] = [
    ("pod", "10.244.1.20", "pod20"),
    ("here", HERE, "pod10"),
    ("peer", "10.244.2.20", "eth0"),
    ("outside", "203.0.113.9", "eth0"),
    ("node", "192.168.50.11", ""),
    ("there", THERE, "eth0"),
];

/// Frontends of the one Service.
pub(super) const FRONTENDS: [(&str, &str); 4] = [
    ("cluster", "10.96.0.9:80"),
    ("external", "198.51.100.9:80"),
    ("balancer", "192.0.2.9:80"),
    ("port", "192.168.50.11:30009"),
];

pub(super) fn config() -> IpvsConfig {
    let networks = |text: &str| Detector::Networks { ipv4: text.parse().ok(), ipv6: None };
    let ips = NodeIps { ipv4: "192.168.50.11".parse().ok(), ipv6: None };
    let detector = networks("10.244.1.0/24");
    let rules = RuleConfig { own_pods: detector.clone(), detector, ..RuleConfig::default() };
    IpvsConfig { node: NodePlan { ips, ..NodePlan::default() }, rules, ..IpvsConfig::default() }
}

/// A Service with every frontend, whose spec `change` completes, with these endpoints.
pub(super) fn desired(
    change: &dyn Fn(&mut api::ServiceSpec),
    endpoints: &[&str],
) -> proxy_core::DesiredState {
    let text = |text: &str| Some(text.to_owned());
    let mut spec = api::ServiceSpec {
        kind: text("LoadBalancer"),
        cluster_ip: text("10.96.0.9"),
        external_ips: vec!["198.51.100.9".into()],
        ports: ["TCP", "UDP"]
            .map(|protocol| api::ServicePort {
                name: text(&protocol.to_lowercase()),
                protocol: text(protocol),
                port: Some(80),
                node_port: Some(30009),
            })
            .into(),
        health_check_node_port: Some(32009),
        ..Default::default()
    };
    change(&mut spec);
    let metadata = |name: &str| api::Metadata { name: text(name), ..Default::default() };
    let mut service = api::Service { metadata: metadata("web"), spec, ..Default::default() };
    let ingress = api::Ingress { ip: text("192.0.2.9"), ..Default::default() };
    service.status.load_balancer.ingress.push(ingress);
    let mut slice = api::EndpointSlice {
        metadata: metadata("web-1"),
        address_type: text("IPv4"),
        ports: ["tcp", "udp"]
            .map(|name| api::EndpointPort {
                name: text(name),
                protocol: text(&name.to_uppercase()),
                port: Some(8080),
            })
            .into(),
        ..Default::default()
    };
    slice.metadata.labels.insert("kubernetes.io/service-name".into(), "web".into());
    slice.endpoints = endpoints
        .iter()
        .map(|address| api::Endpoint {
            addresses: vec![(*address).into()],
            node_name: text(if *address == THERE { "n2" } else { "n1" }),
            ..Default::default()
        })
        .collect();
    let mut names = Interner::new();
    let service = service.parse(&mut names).value.unwrap();
    let slice = slice.parse(&mut names).value.unwrap();
    let mut model = Model::new("n1");
    let addresses = vec!["192.168.50.11".parse().unwrap(), "10.244.1.1".parse().unwrap()];
    let _ = model.apply(News::NodePortAddresses(addresses));
    let _ = model.apply(News::Slice(Arc::new(slice)));
    let key = service.key.clone();
    let _ = model.apply(News::Service(Arc::new(service)));
    let mut desired = proxy_core::DesiredState::new();
    let _ = desired.replace(&key, model.resolve(&key));
    desired
}

pub(super) fn plane(
    change: &dyn Fn(&mut api::ServiceSpec),
    endpoints: &[&str],
    config: &IpvsConfig,
) -> DataPlane {
    let addresses = ["192.168.50.11", "10.244.1.1", "127.0.0.1"].map(|ip| ip.parse().unwrap());
    DataPlane::of(&desired(change, endpoints), config, addresses)
}

pub(super) fn packet(client: &str, protocol: Protocol, to: &str) -> Packet {
    let (_, address, interface) = PEOPLE.into_iter().find(|(name, ..)| *name == client).unwrap();
    let client = match client {
        "node" => Client::ThisNode,
        _ => Client::Other {
            address: address.parse().unwrap(),
            interface: Some(interface.to_owned()),
        },
    };
    let named = FRONTENDS.into_iter().find(|(name, ..)| *name == to);
    let destination = named.map_or(to, |(_, address)| address).parse().unwrap();
    Packet { client, protocol, destination }
}

/// What becomes of it, as `here saw pod, there saw masquerade`, or in one word.
pub(super) fn outcome(packet: &Packet, plane: &DataPlane) -> String {
    let word = |address: IpAddr| {
        let known = PEOPLE.into_iter().find(|(_, text, _)| address.to_string() == *text);
        known.map_or_else(|| address.to_string(), |(name, ..)| name.to_owned())
    };
    let seen = |source: Source| match source {
        Source::Masqueraded => "masquerade".to_owned(),
        Source::Kept(source) => source.map_or_else(|| "nothing".to_owned(), word),
    };
    match explain(packet, plane).verdict {
        Verdict::Balanced(branches) => {
            let told = branches.into_iter().map(|Branch { server, end, .. }| match end {
                Ok(source) => format!("{} saw {}", word(server.address), seen(source)),
                Err(stop) => format!("{} {stop:?}", word(server.address)),
            });
            told.collect::<Vec<_>>().join(", ")
        }
        Verdict::Refused(refusal) => format!("refused by {refusal}"),
        Verdict::Dropped => "dropped".to_owned(),
        Verdict::Local => "local".to_owned(),
        Verdict::Routed { source } => format!("routed from {}", seen(source)),
    }
}

/// Rows `CLIENTS -> FRONTENDS: OUTCOME`, over TCP.
#[track_caller]
pub(super) fn check(plane: &DataPlane, rows: &[&str]) {
    check_over(Protocol::Tcp, plane, rows);
}

#[track_caller]
pub(super) fn check_over(protocol: Protocol, plane: &DataPlane, rows: &[&str]) {
    for row in rows {
        let (clients, rest) = row.split_once(" -> ").unwrap();
        let (frontends, expected) = rest.split_once(": ").unwrap();
        for client in clients.split(", ") {
            for frontend in frontends.split(", ") {
                let got = outcome(&packet(client, protocol, frontend), plane);
                assert_eq!(got, expected, "{client} -> {frontend}");
            }
        }
    }
}

pub(super) fn as_it_is(_: &mut api::ServiceSpec) {}

pub(super) fn local(spec: &mut api::ServiceSpec) {
    spec.external_traffic_policy = Some("Local".into());
}

pub(super) fn internal_local(spec: &mut api::ServiceSpec) {
    spec.internal_traffic_policy = Some("Local".into());
}
