//! One Service, as `proxyd status NAMESPACE/NAME` shows it. Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

use super::column::{Column, age, service};
use super::document::{Destination, Endpoint, Frontend, Status};
use super::table::{Style, head, problems};
use crate::resolve::section;

/// The Service with its servers, and the endpoints that are none.
pub(super) fn detail(status: &Status, service: &str, style: Style) -> String {
    let mut text = head(status, style).join("\n") + "\n";
    let _ = writeln!(text, "\nService {service}");
    if status.frontends.is_empty() {
        text.push_str("\nNothing is served for it on this node.\n");
    }
    let endpoints = status.endpoints.as_deref().unwrap_or_default();
    for frontend in &status.frontends {
        write_frontend(&mut text, frontend, endpoints);
    }
    section(&mut text, Some("Endpoints that are not used"), &UNUSED, unused(endpoints));
    text + &problems(status, style).into_iter().map(|line| line + "\n").collect::<String>()
}

fn write_frontend(text: &mut String, frontend: &Frontend, endpoints: &[Endpoint]) {
    let Frontend { kind, protocol, address, .. } = frontend;
    let (service, facts) = (service(frontend), facts(frontend));
    let _ = writeln!(text, "\n{kind} {protocol} {address} ({service}): {facts}");
    for line in connections(frontend).into_iter().chain(refusals(frontend)) {
        let _ = writeln!(text, "{line}");
    }
    section(text, None, &SERVERS, servers(frontend, endpoints));
}

/// How a frontend is served.
pub(crate) fn facts(frontend: &Frontend) -> String {
    let mut facts = format!("{}, policy {}", frontend.scheduler, frontend.policy);
    if let Some(seconds) = frontend.affinity_seconds {
        let _ = write!(facts, ", affinity {seconds}s");
    }
    if let Some(changed) = &frontend.changed {
        let _ = write!(facts, ", changed {} ago", age(changed.age_seconds));
    }
    if frontend.drift > 0 {
        let _ = write!(facts, ", drifted {} times", frontend.drift);
    }
    facts
}

/// What passes, if that could be read.
pub(crate) fn connections(frontend: &Frontend) -> Option<String> {
    let _ = frontend.traffic.as_ref()?;
    let [active, inactive, rate, total] =
        [Column::Active, Column::Inactive, Column::Rate, Column::Total]
            .map(|column| column.cell(frontend));
    Some(format!("{active} connections, {inactive} inactive, {rate} new a second, {total} in all"))
}

/// Who gets no server.
pub(crate) fn refusals(frontend: &Frontend) -> Vec<String> {
    let servers = &frontend.servers;
    let clients = [
        ("Clients outside the cluster", &servers.outside_when_empty),
        ("Pods and nodes", &servers.inside_when_empty),
    ];
    let refusal = |(who, what): (&str, &Option<String>)| match what.as_deref()? {
        "drop" => Some(format!("{who} get no answer")),
        _ => Some(format!("{who} are refused")),
    };
    clients.into_iter().filter_map(refusal).collect()
}

/// What stands above [`servers`].
pub(crate) const SERVERS: [&str; 8] =
    ["SERVER", "CLIENTS", "WEIGHT", "ACTIVE", "INACTIVE", "TOTAL", "NODE", "ZONE"];

/// The servers of a frontend as they are in the kernel, with what is known of their endpoints.
pub(crate) fn servers(frontend: &Frontend, endpoints: &[Endpoint]) -> Vec<[String; 8]> {
    let by_address: BTreeMap<SocketAddr, &Endpoint> = endpoints
        .iter()
        .filter_map(|it| Some((SocketAddr::new(it.address, it.port?), it)))
        .collect();
    let destinations = frontend.destinations.as_deref().unwrap_or_default();
    destinations.iter().map(|it| row(it, by_address.get(&it.address).copied())).collect()
}

fn row(destination: &Destination, endpoint: Option<&Endpoint>) -> [String; 8] {
    let weight = match destination.weight {
        0 => "0 (draining)".to_owned(),
        weight => weight.to_string(),
    };
    let (node, zone) = endpoint.map_or((&None, &None), |it| (&it.node, &it.zone));
    [
        destination.address.to_string(),
        destination.clients.clone(),
        weight,
        destination.active.to_string(),
        destination.inactive.to_string(),
        destination.total.to_string(),
        or_none(node.as_ref()),
        or_none(zone.as_ref()),
    ]
}

/// What stands above [`unused`].
pub(crate) const UNUSED: [&str; 6] =
    ["PORT", "ADDRESS", "NODE", "ZONE", "LIST", "WHY IT IS NOT USED"];

/// Endpoints that a list leaves out, once for each reason.
pub(crate) fn unused(endpoints: &[Endpoint]) -> Vec<[String; 6]> {
    let unused = endpoints.iter().filter_map(|it| {
        let address = match it.port {
            Some(port) => SocketAddr::new(it.address, port).to_string(),
            None => it.address.to_string(),
        };
        Some([
            format!("{} {}", it.protocol, it.port_name).trim().to_owned(),
            address,
            or_none(it.node.as_ref()),
            or_none(it.zone.as_ref()),
            it.list.clone(),
            it.unused.clone()?,
        ])
    });
    unused.collect()
}

fn or_none(text: Option<&String>) -> String {
    text.cloned().unwrap_or_else(|| "-".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::document::{Moment, Servers, Traffic};
    use super::*;

    #[test]
    fn a_service_is_shown_with_its_servers_and_the_others() {
        let destination = |address: &str, weight, active| Destination {
            address: address.parse().unwrap(),
            clients: "all".to_owned(),
            weight,
            active,
            inactive: 0,
            total: 5,
        };
        let endpoint = |address: &str, node: &str, unused: Option<&str>| Endpoint {
            port_name: "http".to_owned(),
            protocol: "TCP".to_owned(),
            address: address.parse().unwrap(),
            port: Some(8080),
            node: Some(node.to_owned()),
            zone: Some("a".to_owned()),
            slice: "default/web-1".to_owned(),
            list: "cluster".to_owned(),
            unused: unused.map(str::to_owned),
        };
        let frontend = Frontend {
            service: "default/web".to_owned(),
            port_name: "http".to_owned(),
            kind: "ClusterIP".to_owned(),
            protocol: "TCP".to_owned(),
            address: "10.96.0.9:80".to_owned(),
            scheduler: "wrr".to_owned(),
            affinity_seconds: Some(60),
            policy: "Cluster".to_owned(),
            servers: Servers { outside_when_empty: Some("drop".to_owned()), ..Servers::default() },
            traffic: Some(Traffic {
                active: Some(3),
                inactive: Some(0),
                total: 10,
                ..Traffic::default()
            }),
            changed: Some(Moment { age_seconds: 61.0, ..Moment::default() }),
            destinations: Some(vec![
                destination("10.1.0.1:8080", 2, 3),
                destination("10.1.0.2:8080", 0, 0),
            ]),
            ..Frontend::default()
        };
        let status = Status {
            node: "n1".to_owned(),
            frontends: vec![frontend],
            endpoints: Some(vec![
                endpoint("10.1.0.1", "n1", None),
                endpoint("10.1.0.2", "n2", Some("it is not ready")),
            ]),
            ..Status::default()
        };
        let style =
            Style { width: None, height: None, colours: false, wide: false, sort: Column::Service };
        let text = detail(&status, "default/web", style);
        let expected = "
Service default/web

ClusterIP TCP 10.96.0.9:80 (default/web:http): wrr, policy Cluster, affinity 60s, changed 61s ago
3 connections, 0 inactive, - new a second, 10 in all
Clients outside the cluster get no answer

SERVER         CLIENTS  WEIGHT        ACTIVE  INACTIVE  TOTAL  NODE  ZONE
10.1.0.1:8080  all      2             3       0         5      n1    a
10.1.0.2:8080  all      0 (draining)  0       0         5      n2    a

Endpoints that are not used
PORT      ADDRESS        NODE  ZONE  LIST     WHY IT IS NOT USED
TCP http  10.1.0.2:8080  n2    a     cluster  it is not ready
";
        let found = text.split_once("programmed\n").unwrap().1;
        assert_eq!(found, expected, "{text}");
    }
}
