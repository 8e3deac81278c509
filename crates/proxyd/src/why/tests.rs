use serde_json::{Value, json};

use super::*;
use crate::config::ExternalIps;
use crate::manifest::Reader;
use crate::manifest::testing::Scratch;
use crate::source::Parser;

const MANIFESTS: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: web, creationTimestamp: "2026-01-02T00:00:00Z"}
spec:
  type: NodePort
  clusterIP: 10.96.0.9
  externalIPs: [203.0.113.5, bogus]
  externalTrafficPolicy: Local
  ports: [{name: http, port: 80}]
---
apiVersion: v1
kind: Service
metadata: {name: older, creationTimestamp: "2026-01-01T00:00:00Z"}
spec: {clusterIP: 10.96.0.8, externalIPs: [203.0.113.5], ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: headless}
spec: {clusterIP: None, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: named}
spec: {type: ExternalName, externalName: example.org}
---
apiVersion: v1
kind: Service
metadata: {name: labelled, labels: {service.kubernetes.io/service-proxy-name: other}}
spec: {clusterIP: 10.96.0.7, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: pending}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: broken}
spec: {clusterIP: 10.96.0.300, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: lonely}
spec: {clusterIP: 10.96.0.6, ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints:
- {addresses: [10.1.0.1], nodeName: n2}
- {addresses: [10.1.0.2], nodeName: n1, conditions: {ready: false}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-2, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: HTTP, port: 8080}]
endpoints: [{addresses: [10.1.0.3], nodeName: n1}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-6, labels: {kubernetes.io/service-name: web}}
addressType: IPv6
ports: [{name: http, port: 8080}]
endpoints: [{addresses: ["fd00::1"], nodeName: n1}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: nobodys}
addressType: FQDN
endpoints: []
"#;

fn told(service: &str) -> anyhow::Result<Document> {
    let directory = Scratch::new();
    directory.write("all.yaml", MANIFESTS);
    let changes = Reader::new(directory.path(), Parser::new(ExternalIps::Serve)).read();
    document("n1", &service_key(service).unwrap(), Model::new("n1"), changes)
}

fn json(service: &str) -> Value {
    serde_json::to_value(told(service).unwrap()).unwrap()
}

#[test]
fn the_document_has_its_documented_shape() {
    let document = json("default/web");
    assert_eq!((&document["service"], &document["slices"]), (&json!("default/web"), &json!(3)));
    assert_eq!(document["notServed"], Value::Null);
    let port = &document["ports"][0];
    let named = ["portName", "protocol", "port", "family"].map(|name| &port[name]);
    assert_eq!(named, [&json!("http"), &json!("TCP"), &json!(80), &json!("IPv4")]);
    assert_eq!(
        port["frontends"],
        json!([
            {"kind": "ClusterIP", "address": "10.96.0.9", "port": 80, "outside": "cluster",
             "inside": "cluster", "lostTo": null},
            {"kind": "ExternalIP", "address": "203.0.113.5", "port": 80, "outside": "local",
             "inside": "cluster", "lostTo": "default/older"},
        ])
    );
    let endpoint = |address: &str, port: Value, slice: &str, node: &str, unused: Value| {
        json!({"address": address, "port": port, "slice": format!("default/{slice}"),
               "node": node, "unused": unused})
    };
    let no_port = "its slice has no port of this name and protocol, but \"HTTP\" TCP";
    let no_port = endpoint("10.1.0.3", Value::Null, "web-2", "n1", json!(no_port));
    let not_ready = endpoint("10.1.0.2", json!(8080), "web-1", "n1", json!("it is not ready"));
    let first = |unused| endpoint("10.1.0.1", json!(8080), "web-1", "n2", unused);
    assert_eq!(
        port["lists"],
        json!([
            {"list": "cluster", "whenEmpty": null,
             "endpoints": [first(Value::Null), not_ready, no_port]},
            {"list": "local", "whenEmpty": "drop",
             "endpoints": [first(json!("it is not on this node")), not_ready, no_port]},
        ])
    );
    assert_eq!(document["ofOtherFamilies"][0]["address"], "fd00::1");
    let objects: Vec<_> = document["rejected"].as_array().unwrap().iter().collect();
    let about = |object: &str| objects.iter().any(|it| it["object"] == object);
    assert!(about("Service default/web"), "its bogus external IP: {objects:?}");
    assert!(!about("Service default/broken"), "{objects:?}");
}

#[test]
fn a_service_that_is_not_served_is_told_with_the_reason() {
    for (service, part) in [
        ("headless", "it is headless"),
        ("named", "ExternalName"),
        ("labelled", "service-proxy-name \"other\""),
        ("pending", "set spec.clusterIP"),
        ("broken", "rejected as a whole"),
    ] {
        let document = told(&format!("default/{service}")).unwrap();
        let reason = document.not_served.as_deref().unwrap_or_default();
        assert!(reason.contains(part), "{service}: {reason}");
        assert_eq!(document.status(), 3, "{service}");
    }
    assert_eq!(json("default/broken")["rejected"][0]["value"], "10.96.0.300");
    let error = told("default/nope").unwrap_err().to_string();
    assert!(error.starts_with("there is no Service default/nope"), "{error}");
}

#[test]
fn the_status_tells_whether_every_frontend_has_a_server() {
    let status = |service: &str| told(service).unwrap().status();
    assert_eq!(status("default/web"), 3, "outside clients have no server");
    assert_eq!(status("default/lonely"), 3);
    assert_eq!(status("default/older"), 3);
}

#[test]
fn the_text_names_lists_clients_and_reasons() {
    let web = text::text(&told("default/web").unwrap());
    for line in [
        "Service default/web on node n1",
        "Port http, TCP 80, IPv4",
        "ExternalIP 203.0.113.5:80 belongs to default/older: it is not served here",
        "Endpoints of the cluster: 1 of 3 used\nfor all clients at ClusterIP 10.96.0.9:80\n",
        "Endpoints on this node: 0 of 3 used; clients get no answer\nfor nobody\n",
        "no: it is not on this node",
        "Endpoints of another family",
        "is not an IP address",
    ] {
        assert!(web.contains(line), "{line} is in\n{web}");
    }
    let lonely = text::text(&told("default/lonely").unwrap());
    assert!(lonely.contains("It has no EndpointSlice."), "{lonely}");
    assert!(lonely.contains("0 of 0 used; clients are refused"), "{lonely}");
}

#[test]
fn a_service_is_named_by_namespace_and_name() {
    assert_eq!(service_key("a/b"), Ok(ServiceKey::new("a", "b")));
    for text in ["a", "a/", "/b", "a/b/c"] {
        assert!(service_key(text).is_err(), "{text}");
    }
}
