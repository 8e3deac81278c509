//! What tests show.

use crate::status::{
    Destination, Drifted, Endpoint, Frontend, Moment, Servers, State, Status, Traffic, Trouble,
    TroubleKind,
};

/// Services with so many new connections a second each.
pub(super) fn busy(rates: &[(&str, f64)]) -> Status {
    let frontend = |(service, rate): &(&str, f64)| Frontend {
        service: (*service).to_owned(),
        traffic: Some(Traffic { per_second: Some(*rate), ..Traffic::default() }),
        ..Frontend::default()
    };
    Status { frontends: rates.iter().map(frontend).collect(), ..Status::default() }
}

/// A node with something of everything, and names that try to be markup.
pub(super) fn node() -> Status {
    let ago = |seconds| Moment { at: "2026-01-02T03:04:05Z".to_owned(), age_seconds: seconds };
    let frontend = |service: &str, kind: &str, address: &str, ready, rate| Frontend {
        service: service.to_owned(),
        port_name: "http".to_owned(),
        kind: kind.to_owned(),
        protocol: "TCP".to_owned(),
        address: address.to_owned(),
        scheduler: "rr".to_owned(),
        policy: "Cluster".to_owned(),
        servers: Servers {
            outside: ready,
            inside: ready,
            ready,
            draining: Some(0),
            ..Servers::default()
        },
        traffic: Some(Traffic {
            active: Some(3),
            per_second: Some(rate),
            total: 70,
            ..Traffic::default()
        }),
        changed: Some(ago(61.0)),
        ..Frontend::default()
    };
    let mut broken = frontend("shop/broken", "ClusterIP", "10.96.0.15:443", 0, 0.0);
    (broken.problems, broken.drift) = (1, 1);
    broken.servers.outside_when_empty = Some("reject".to_owned());
    let mut status = Status {
        node: "node-1".to_owned(),
        version: "0.1.0".to_owned(),
        pid: 7,
        state: State::InStep,
        as_of: ago(0.0),
        last_change: Some(ago(3.0)),
        last_comparison: Some(ago(20.0)),
        frontends: vec![
            frontend("default/web", "ClusterIP", "10.96.0.9:80", 2, 12.0),
            frontend("default/web", "NodePort", "192.0.2.1:30080", 2, 3.0),
            broken,
            frontend("x/<script>alert(1)</script>", "ExternalIP", "[2001:db8::9]:80", 1, 0.0),
        ],
        problems: vec![Trouble {
            kind: TroubleKind::Rejected,
            object: "Service shop/broken".to_owned(),
            service: Some("shop/broken".to_owned()),
            reason: "spec.externalIPs[0]: \"<img src=x>\" is not an IP address".to_owned(),
        }],
        ..Status::default()
    };
    status.drift.total = 1;
    status.drift.recent = vec![Drifted {
        found: ago(130.0),
        object: "server TCP 10.96.0.15:443 -> 10.1.0.1:8080".to_owned(),
        kind: "missing".to_owned(),
    }];
    status
}

/// Service `default/web` of it.
pub(super) fn web() -> Status {
    let mut status = node();
    status.problems.clear();
    status.frontends.truncate(1);
    let destination = |address: &str, weight| Destination {
        address: address.parse().unwrap(),
        clients: "all".to_owned(),
        weight,
        active: 3,
        inactive: 1,
        total: 70,
    };
    let endpoint = |address: &str, node: &str, unused: Option<&str>| Endpoint {
        port_name: "http".to_owned(),
        protocol: "TCP".to_owned(),
        address: address.parse().unwrap(),
        port: Some(8080),
        node: Some(node.to_owned()),
        zone: Some("zone-a".to_owned()),
        slice: "default/web-1".to_owned(),
        list: "cluster".to_owned(),
        unused: unused.map(str::to_owned),
    };
    status.frontends[0].destinations =
        Some(vec![destination("10.1.0.1:8080", 1), destination("10.1.0.2:8080", 0)]);
    status.endpoints = Some(vec![
        endpoint("10.1.0.1", "node-1", None),
        endpoint("10.1.0.2", "node-2", Some("it is not ready")),
    ]);
    status
}
