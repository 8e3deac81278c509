use std::sync::Arc;
use std::time::UNIX_EPOCH;

use crate::api::testing::{Outcome, split};
use crate::api::{self, EndpointConditions, EndpointHints, EndpointPort, HintName};
use crate::{Conditions, EndpointSlice, Interner};

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

fn endpoint(addresses: &[&str]) -> api::Endpoint {
    api::Endpoint {
        addresses: addresses.iter().map(|&address| address.to_owned()).collect(),
        ..api::Endpoint::default()
    }
}

/// A valid slice `prod/web-1` of Service `web`, changed by `edit`.
fn slice(edit: impl FnOnce(&mut api::EndpointSlice)) -> (Option<EndpointSlice>, Outcome) {
    let label = ("kubernetes.io/service-name".to_owned(), "web".to_owned());
    let mut slice = api::EndpointSlice {
        metadata: api::Metadata {
            namespace: text("prod"),
            name: text("web-1"),
            labels: [label].into(),
            ..api::Metadata::default()
        },
        address_type: text("IPv4"),
        ports: vec![EndpointPort { port: Some(8080), ..EndpointPort::default() }],
        endpoints: vec![endpoint(&["10.1.0.1"])],
    };
    edit(&mut slice);
    split(slice.parse(&mut Interner::new()))
}

#[track_caller]
fn unused(edit: impl FnOnce(&mut api::EndpointSlice)) -> Outcome {
    let (value, outcome) = slice(edit);
    assert_eq!(value, None);
    outcome
}

#[track_caller]
fn used(edit: impl FnOnce(&mut api::EndpointSlice)) -> (EndpointSlice, Outcome) {
    let (value, outcome) = slice(edit);
    (value.expect("the slice is used"), outcome)
}

#[test]
fn some_slices_are_not_for_a_proxy() {
    unused(|slice| slice.address_type = text("FQDN")).silent();
    unused(|slice| {
        let label = ("service.kubernetes.io/headless".to_owned(), String::new());
        slice.metadata.labels.extend([label]);
    })
    .silent();
    unused(|slice| slice.metadata.labels.clear()).warned("belongs to no Service");
    unused(|slice| {
        slice.metadata.labels.insert("kubernetes.io/service-name".to_owned(), String::new());
    })
    .warned("belongs to no Service");
}

#[test]
fn a_slice_without_identity_or_family_is_rejected() {
    unused(|slice| slice.metadata.name = None).rejected("metadata.name", "");
    unused(|slice| slice.address_type = None).rejected("addressType", "");
    unused(|slice| slice.address_type = text("ipv4")).rejected("addressType", "ipv4");
}

#[test]
fn a_slice_knows_its_service() {
    let (value, outcome) = used(|_| {});
    outcome.silent();
    assert_eq!(value.key.to_string(), "prod/web-1");
    assert_eq!(value.service_key().to_string(), "prod/web");
    let (value, _) = used(|slice| slice.metadata.namespace = None);
    assert_eq!(value.service_key().to_string(), "default/web");
}

/// Name, protocol and number of one slice port; then the port as it is used.
#[track_caller]
fn port(name: Option<&str>, protocol: Option<&str>, port: Option<i64>, expected: &str) -> Outcome {
    let (value, outcome) = used(|slice| {
        slice.ports = vec![EndpointPort {
            name: name.map(str::to_owned),
            protocol: protocol.map(str::to_owned),
            port,
        }];
    });
    let ports =
        value.ports.iter().map(|port| format!("{:?} {} {}", port.name, port.protocol, port.port));
    assert_eq!(ports.collect::<Vec<_>>().join(", "), expected);
    outcome
}

#[test]
fn slice_ports_have_the_defaults_of_the_api() {
    port(Some(""), Some("TCP"), Some(8080), r#""" TCP 8080"#).silent();
    port(None, Some("TCP"), Some(8080), r#""" TCP 8080"#).silent();
    port(Some("http"), None, Some(8080), r#""http" TCP 8080"#).silent();
    port(Some("dns"), Some("UDP"), Some(53), r#""dns" UDP 53"#).silent();
}

#[test]
fn a_slice_port_without_a_number_is_ignored() {
    port(Some("http"), Some("TCP"), None, "").silent();
    port(Some("http"), Some("TCP"), Some(0), "").silent();
}

#[test]
fn a_bad_slice_port_costs_only_itself() {
    port(Some("http"), None, Some(65_536), "").rejected("ports[0].port", "65536");
    port(Some("http"), None, Some(-1), "").rejected("ports[0].port", "-1");
    port(Some("http"), Some("tcp"), Some(80), "").rejected("ports[0].protocol", "tcp");
}

/// Address type and the addresses of one endpoint before a good one; then the addresses used.
#[track_caller]
fn addresses(given: &[&str], expected: &str) -> Outcome {
    let (value, outcome) = used(|slice| slice.endpoints.insert(0, endpoint(given)));
    let addresses: Vec<_> =
        value.endpoints.iter().map(|endpoint| endpoint.address.to_string()).collect();
    assert_eq!(addresses.join(" "), expected, "{given:?}");
    outcome
}

#[test]
fn the_first_address_of_an_endpoint_counts() {
    addresses(&["10.1.0.2"], "10.1.0.2 10.1.0.1").silent();
    addresses(&["10.1.0.2", "10.1.0.9"], "10.1.0.2 10.1.0.1").silent();
    addresses(&["10.1.0.2", "bogus"], "10.1.0.2 10.1.0.1").silent();
    addresses(&["::ffff:10.1.0.2"], "10.1.0.2 10.1.0.1").silent();
}

#[test]
fn a_bad_endpoint_costs_only_itself() {
    addresses(&[], "10.1.0.1").rejected("endpoints[0].addresses", "");
    let field = "endpoints[0].addresses[0]";
    addresses(&["bogus"], "10.1.0.1").rejected(field, "bogus");
    addresses(&["fd00::1"], "10.1.0.1").rejected(field, "fd00::1");
    addresses(&["0.0.0.0"], "10.1.0.1").rejected(field, "0.0.0.0");
    addresses(&["127.0.0.1"], "10.1.0.1").rejected(field, "127.0.0.1");
    addresses(&["224.0.0.1"], "10.1.0.1").rejected(field, "224.0.0.1");
    addresses(&["169.254.0.1"], "10.1.0.1").rejected(field, "169.254.0.1");
}

#[test]
fn absent_conditions_are_those_of_a_running_endpoint() {
    let (value, _) = used(|_| {});
    let running = Conditions { ready: true, serving: true, terminating: false };
    assert_eq!(value.endpoints[0].conditions, running);
    let (value, _) = used(|slice| {
        slice.endpoints[0].conditions =
            EndpointConditions { ready: Some(false), serving: None, terminating: Some(true) };
    });
    let ending = Conditions { ready: false, serving: true, terminating: true };
    assert_eq!(value.endpoints[0].conditions, ending);
}

#[test]
fn an_empty_node_or_zone_is_none() {
    let (value, _) = used(|slice| {
        slice.endpoints[0].node_name = text("");
        slice.endpoints[0].zone = text("");
    });
    assert_eq!((&value.endpoints[0].node, &value.endpoints[0].zone), (&None, &None));
}

#[test]
fn equal_hints_are_one_value() {
    let hint = |zone: &str| EndpointHints {
        for_zones: vec![HintName { name: text(zone) }],
        for_nodes: Vec::new(),
    };
    let (value, _) = used(|slice| {
        slice.endpoints = ["za", "za", "zb", ""]
            .map(|zone| api::Endpoint { hints: hint(zone), ..endpoint(&["10.1.0.1"]) })
            .into();
    });
    let hints: Vec<_> = value.endpoints.iter().map(|endpoint| endpoint.hints.clone()).collect();
    assert!(Arc::ptr_eq(hints[0].as_ref().unwrap(), hints[1].as_ref().unwrap()));
    assert_eq!(hints[2].as_ref().unwrap().zones, ["zb".into()]);
    assert_eq!(hints[3], None, "a hint without a name is none");
}

#[test]
fn it_is_told_when_the_change_happened_or_that_nobody_knows() {
    let with = |value: &str| {
        let key = "endpoints.kubernetes.io/last-change-trigger-time".to_owned();
        let annotation = (key, value.to_owned());
        used(|slice| slice.metadata.annotations.extend([annotation]))
    };
    assert_eq!(used(|_| {}).0.triggered, None);
    let (slice, outcome) = with("2026-01-02T03:04:05.5Z");
    outcome.silent();
    let since = slice.triggered.unwrap().duration_since(UNIX_EPOCH).unwrap();
    assert_eq!(since.as_secs_f64(), 1_767_323_045.5);
    let (slice, outcome) = with("yesterday");
    assert_eq!(slice.triggered, None);
    outcome.warned("\"yesterday\" is no time");
}
