use std::net::IpAddr;

use super::*;
use crate::manifest::testing::Scratch;

const MANIFESTS: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  type: LoadBalancer
  clusterIP: 10.96.0.9
  externalTrafficPolicy: Local
  healthCheckNodePort: 32000
  sessionAffinity: ClientIP
  sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}
  externalIPs: [bogus]
  loadBalancerSourceRanges: [10.0.0.0/8]
  ports: [{name: http, port: 80, nodePort: 30080}]
status: {loadBalancer: {ingress: [{ip: 198.51.100.7}]}}
---
apiVersion: v1
kind: Service
metadata: {name: thief, namespace: shop}
spec:
  clusterIP: 10.96.0.10
  externalIPs: [10.96.0.9, "2001:db8::5"]
  ports: [{port: 80}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints:
- {addresses: [10.1.0.10], nodeName: n1}
- {addresses: [10.1.0.9], nodeName: n2}
"#;

/// The document for node `n1`.
fn document(manifests: &str, node_ips: &[&str]) -> serde_json::Value {
    let directory = Scratch::new();
    directory.write("web.yaml", manifests);
    let node_ips: Vec<IpAddr> = node_ips.iter().map(|ip| ip.parse().unwrap()).collect();
    let document = resolved(directory.path(), "n1", &node_ips).unwrap();
    serde_json::to_value(document).unwrap()
}

#[test]
fn the_document_has_its_documented_shape() {
    let document = document(MANIFESTS, &["192.0.2.1"]);
    assert_eq!(document["node"], "n1");
    let load_balancer = &document["virtualServers"][3];
    assert_eq!(
        *load_balancer,
        serde_json::json!({
            "service": "shop/web", "portName": "http", "kind": "LoadBalancer", "family": "IPv4",
            "address": "198.51.100.7", "port": 80, "protocol": "TCP", "scheduler": "rr",
            "affinitySeconds": 60, "sourceRanges": ["10.0.0.0/8"],
            "external": {"servers": ["10.1.0.10:8080"], "whenEmpty": null},
            "internal": {"servers": ["10.1.0.9:8080", "10.1.0.10:8080"], "whenEmpty": null},
        })
    );
    let frontends: Vec<_> = document["virtualServers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|server| format!("{} {}", server["kind"], server["address"]).replace('"', ""))
        .collect();
    assert_eq!(
        frontends,
        [
            "ClusterIP 10.96.0.9",
            "ClusterIP 10.96.0.10",
            "NodePort 192.0.2.1",
            "LoadBalancer 198.51.100.7"
        ]
    );
    assert_eq!(
        document["healthChecks"],
        serde_json::json!([{"service": "shop/web", "family": "IPv4", "port": 32000, "localEndpoints": 1}])
    );
    assert_eq!(
        document["conflicts"],
        serde_json::json!([{"address": "10.96.0.9", "port": 80, "protocol": "TCP",
            "kind": "ExternalIP", "owner": "shop/web", "loser": "shop/thief"}])
    );
    let rejected = &document["rejected"][0];
    assert_eq!(rejected["object"], "Service shop/web");
    assert_eq!(
        (&rejected["field"], &rejected["value"]),
        (&"spec.externalIPs[0]".into(), &"bogus".into())
    );
    assert_eq!(document["warnings"][0]["object"], "Service shop/thief");
}

#[test]
fn fields_come_in_the_documented_order() {
    let directory = Scratch::new();
    let text = serde_json::to_string(&resolved(directory.path(), "n1", &[]).unwrap()).unwrap();
    assert_eq!(
        text,
        r#"{"node":"n1","virtualServers":[],"healthChecks":[],"rejected":[],"conflicts":[],"warnings":[]}"#
    );
}

#[test]
fn node_ports_without_an_address_are_shown_once_a_family() {
    let service = "{kind: Service, metadata: {name: web}, spec: {type: NodePort, \
        clusterIP: 10.96.0.9,
        clusterIPs: [10.96.0.9, 'fd00::9'], ipFamilies: [IPv4, IPv6], ports: [{port: 80, nodePort: 30080}]}}";
    let node_ports = |node_ips: &[&str]| -> Vec<String> {
        let document = document(service, node_ips);
        let servers = document["virtualServers"].as_array().unwrap().clone();
        let node_ports = servers.iter().filter(|server| server["kind"] == "NodePort");
        let shown = node_ports.map(|server| format!("{} {}", server["family"], server["address"]));
        shown.map(|text| text.replace('"', "")).collect()
    };
    assert_eq!(node_ports(&[]), ["IPv4 *", "IPv6 *"]);
    assert_eq!(
        node_ports(&["192.0.2.10", "192.0.2.9"]),
        ["IPv4 192.0.2.9", "IPv4 192.0.2.10", "IPv6 *"]
    );
    assert_eq!(node_ports(&["2001:db8::1", "192.0.2.9"]), ["IPv4 192.0.2.9", "IPv6 2001:db8::1"]);
}

#[test]
fn a_service_without_endpoints_refuses() {
    let service =
        "{kind: Service, metadata: {name: web}, spec: {clusterIP: 10.96.0.9, ports: [{port: 80}]}}";
    let document = document(service, &[]);
    let nothing = serde_json::json!({"servers": [], "whenEmpty": "reject"});
    assert_eq!(document["virtualServers"][0]["external"], nothing);
    assert_eq!(document["virtualServers"][0]["internal"], nothing);
    assert_eq!(document["virtualServers"][0]["affinitySeconds"], serde_json::Value::Null);
}

#[test]
fn a_load_balancer_ip_that_admits_nobody_is_shown_to_serve_nobody() {
    let manifests = MANIFESTS.replace("[10.0.0.0/8]", "[10.0.0.0/33]");
    let document = document(&manifests, &["192.0.2.1"]);
    let load_balancer = &document["virtualServers"][3];
    let nobody = serde_json::json!({"servers": [], "whenEmpty": "drop"});
    assert_eq!((&load_balancer["external"], &load_balancer["internal"]), (&nobody, &nobody));
    assert_eq!(load_balancer["sourceRanges"], serde_json::json!([]));
    assert_eq!(document["rejected"][1]["field"], "spec.loadBalancerSourceRanges[0]");
}

#[test]
fn a_file_that_cannot_be_parsed_is_rejected_by_name() {
    let document = document("kind: [", &[]);
    assert_eq!(document["rejected"][0]["object"], "web.yaml");
    assert_eq!(document["rejected"][0]["field"], "line 1, column 7");
}

#[test]
fn a_directory_that_is_not_there_is_an_error_with_a_remedy() {
    let missing = Scratch::new().path().join("missing");
    let error = resolved(&missing, "n1", &[]).unwrap_err().to_string();
    assert!(error.contains("missing: cannot be read") && error.contains("create it"), "{error}");
}

#[test]
fn the_table_shows_what_there_is() {
    let directory = Scratch::new();
    directory.write("web.yaml", MANIFESTS);
    let node_ip = "192.0.2.1".parse().unwrap();
    let text = table::table(&resolved(directory.path(), "n1", &[node_ip]).unwrap());
    let expected = "\
Node n1

SERVICE        KIND          FRONTEND             SCHEDULER         CLIENTS                SERVERS
shop/web:http  ClusterIP     TCP 10.96.0.9:80     rr, affinity 60s  all                    10.1.0.9:8080 10.1.0.10:8080
shop/thief     ClusterIP     TCP 10.96.0.10:80    rr                all                    none: reject
shop/web:http  NodePort      TCP 192.0.2.1:30080  rr, affinity 60s  outside                10.1.0.10:8080
shop/web:http  NodePort      TCP 192.0.2.1:30080  rr, affinity 60s  inside                 10.1.0.9:8080 10.1.0.10:8080
shop/web:http  LoadBalancer  TCP 198.51.100.7:80  rr, affinity 60s  outside of 10.0.0.0/8  10.1.0.10:8080
shop/web:http  LoadBalancer  TCP 198.51.100.7:80  rr, affinity 60s  inside of 10.0.0.0/8   10.1.0.9:8080 10.1.0.10:8080

Health checks
SERVICE   FAMILY  PORT   LOCAL ENDPOINTS
shop/web  IPv4    32000  1

Rejected
";
    assert!(text.starts_with(expected), "{text}");
    let empty = Scratch::new();
    let text = table::table(&resolved(empty.path(), "n1", &[]).unwrap());
    assert_eq!(text, "Node n1\n\nNothing is served.\n");
}
