use std::net::IpAddr;

use ipvs_backend::explain::Client;
use ipvs_backend::rules::{Detector, RuleConfig};
use serde_json::{Value, json};

use super::*;
use crate::config::ExternalIps;
use crate::manifest::Reader;
use crate::manifest::testing::Scratch;
use crate::source::Parser;

const MANIFESTS: &str = r#"
apiVersion: v1
kind: Node
metadata: {name: n1}
spec: {podCIDRs: [10.244.1.0/24]}
status: {addresses: [{type: InternalIP, address: 192.168.50.11}]}
---
apiVersion: v1
kind: Node
metadata: {name: n2}
spec: {podCIDRs: [10.244.2.0/24]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  clusterIP: 10.96.0.9
  clusterIPs: [10.96.0.9, "fd00:96::9"]
  ipFamilies: [IPv4, IPv6]
  ipFamilyPolicy: RequireDualStack
  ports: [{name: http, port: 80, nodePort: 30080}, {name: dns, port: 53, protocol: UDP, nodePort: 30053}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints:
- {addresses: [10.244.1.2], nodeName: n1}
- {addresses: [10.244.2.2], nodeName: n2}
"#;

/// What is known on node n1.
struct World {
    cast: Cast,
    model: Model,
    desired: DesiredState,
    plane: DataPlane,
}

impl World {
    fn new(detector: Detector) -> Self {
        let directory = Scratch::new();
        directory.write("all.yaml", MANIFESTS);
        let mut events =
            Reader::new(directory.path(), Parser::new(ExternalIps::Serve)).read().events;
        let own: Vec<IpAddr> = vec!["192.168.50.11".parse().unwrap()];
        events.push(Event::NodePortAddresses(own.clone()));
        let rules = RuleConfig { detector, ..RuleConfig::default() };
        let config = IpvsConfig { rules, ..IpvsConfig::default() };
        let cast = Cast::new("n1", &events, own.clone(), &config);
        let (model, desired) = desired(Model::new("n1"), events);
        let plane = DataPlane::of(&desired, &config, own);
        Self { cast, model, desired, plane }
    }

    fn packets(&self, source: &str, destination: &str) -> anyhow::Result<Vec<Packet>> {
        let Self { cast, model, desired, .. } = self;
        let pairs = [source, destination].map(str::to_owned);
        let (who, target) = questions(&pairs)?.remove(0);
        subject::packets(&who, &target, cast, model, desired)
    }

    fn document(&self, source: &str, destination: &str) -> Document {
        let packets = self.packets(source, destination).unwrap();
        Document::new("n1", &packets, &self.plane, &self.desired, Vec::new())
    }
}

fn networks() -> Detector {
    Detector::Networks { ipv4: "10.244.1.0/24".parse().ok(), ipv6: None }
}

/// The packets, `CLIENT DESTINATION` each, or why there are none.
#[track_caller]
fn check(world: &World, [source, destination]: [&str; 2], expected: &[&str]) {
    let packets = world.packets(source, destination).unwrap_or_else(|error| panic!("{error:#}"));
    let told: Vec<_> = packets
        .iter()
        .map(|Packet { client, protocol, destination }| {
            let client = match client {
                Client::ThisNode => "node".to_owned(),
                Client::Other { address, interface: None } => address.to_string(),
                Client::Other { address, interface: Some(name) } => format!("{address}%{name}"),
            };
            format!("{client} {protocol} {destination}")
        })
        .collect();
    assert_eq!(told, expected, "{source} {destination}");
}

#[track_caller]
fn check_error(source: &str, destination: &str, expected: &str) {
    let error = World::new(networks()).packets(source, destination).unwrap_err();
    let told = format!("{error:#}");
    assert!(told.contains(expected), "{told}");
}

#[test]
fn clients_are_addresses_or_words() {
    let world = World::new(networks());
    let to = "10.96.0.9:80";
    check(&world, ["10.244.1.7", to], &["10.244.1.7 TCP 10.96.0.9:80"]);
    check(&world, ["10.244.1.7%cni0", to], &["10.244.1.7%cni0 TCP 10.96.0.9:80"]);
    check(&world, ["::ffff:10.244.1.7", to], &["10.244.1.7 TCP 10.96.0.9:80"]);
    check(&world, ["node", to], &["node TCP 10.96.0.9:80"]);
    check(&world, ["192.168.50.11", to], &["node TCP 10.96.0.9:80"]);
    // 10.244.1.1 is a gateway's, 10.244.1.2 a server's.
    check(&world, ["pod", to], &["10.244.1.3 TCP 10.96.0.9:80"]);
    check(&world, ["remote-pod", to], &["10.244.2.3 TCP 10.96.0.9:80"]);
    check(&world, ["outside", to], &["203.0.113.1 TCP 10.96.0.9:80"]);
    check(&world, ["outside", "[fd00:96::9]:80"], &["2001:db8:ffff::1 TCP [fd00:96::9]:80"]);
    let by_interface = World::new(Detector::Interface("veth+".into()));
    check(&by_interface, ["pod", to], &["10.244.1.3%veth TCP 10.96.0.9:80"]);
    check(&by_interface, ["10.244.1.9", to], &["10.244.1.9%veth TCP 10.96.0.9:80"]);
    check(&by_interface, ["10.244.2.9", to], &["10.244.2.9 TCP 10.96.0.9:80"]);
}

#[test]
fn destinations_are_addresses_or_services() {
    let world = World::new(networks());
    check(&world, ["node", "10.96.0.9:53/UDP"], &["node UDP 10.96.0.9:53"]);
    check(&world, ["node", "10.96.0.9:9/sctp"], &["node SCTP 10.96.0.9:9"]);
    let http = ["TCP 10.96.0.9:80", "TCP 192.168.50.11:30080", "TCP [fd00:96::9]:80"];
    let http = http.map(|frontend| format!("node {frontend}"));
    let http: Vec<_> = http.iter().map(String::as_str).collect();
    check(&world, ["node", "svc/default/web:http"], &http);
    check(&world, ["node", "svc/default/web:30080"], &http[1..2]);
    check(&world, ["10.244.1.9", "svc/default/web:53"], &["10.244.1.9 UDP 10.96.0.9:53"]);
    assert_eq!(world.packets("node", "svc/default/web").unwrap().len(), 6);
}

#[test]
fn what_means_nothing_is_told_with_a_remedy() {
    check_error("nobody", "10.96.0.9:80", "use an IP address, pod, remote-pod, node or outside");
    check_error("node", "10.96.0.9", "use ADDRESS:PORT");
    check_error("node", "10.96.0.9:80/icmp", "use tcp, udp or sctp");
    check_error("node", "svc/web", "svc/NAMESPACE/NAME");
    check_error("node", "svc/default/nope", "`proxyd why default/nope` says why");
    check_error("node", "svc/default/web:8080", "no frontend with port \"8080\"");
    check_error("10.244.1.9", "[fd00:96::9]:80", "give one of that family");
    check_error("pod", "[fd00:96::9]:80", "give its address");
    let error = questions(&["node".to_owned()]).unwrap_err();
    assert!(error.to_string().contains("has no destination"), "{error}");
}

#[test]
fn the_document_has_its_documented_shape() {
    let world = World::new(networks());
    let document: Value = serde_json::to_value(world.document("pod", "10.96.0.9:80")).unwrap();
    let packet = &document["packets"][0];
    assert_eq!(
        packet["client"],
        json!({"address": "10.244.1.3", "interface": null, "isThisNode": false})
    );
    assert_eq!(packet["destination"], "10.96.0.9:80");
    assert_eq!(packet["protocol"], "TCP");
    assert_eq!(
        packet["frontend"],
        json!({"service": "default/web", "portName": "http", "kind": "ClusterIP"})
    );
    assert_eq!(
        packet["steps"][1],
        json!({
            "hook": "PREROUTING", "place": "nat", "chain": "KUBE-SERVICES",
            "rule": "-A KUBE-SERVICES -m set --match-set KUBE-CLUSTER-IP dst,dst -j ACCEPT",
            "members": ["KUBE-CLUSTER-IP 10.96.0.9,tcp:80"], "what": "is accepted", "mark": 0,
            "fields": ["spec.clusterIPs"]
        })
    );
    assert_eq!((&packet["verdict"], &packet["refusal"]), (&json!("served"), &Value::Null));
    let server = &packet["servers"][1];
    assert_eq!(server["server"], "10.244.2.2:8080");
    assert_eq!((&server["weight"], &server["outcome"]), (&json!(1), &json!("reached")));
    assert_eq!(server["seen"], json!({"address": "10.244.1.3", "isMasqueraded": false}));
    assert_eq!(server["steps"][0]["what"], "keeps its source");
    assert_eq!(document["ruleDifferences"], json!([]));
}

#[test]
fn the_status_tells_what_becomes_of_the_first_packet_that_no_server_gets() {
    let world = World::new(networks());
    let status = |destination| world.document("outside", destination).status();
    assert_eq!(status("10.96.0.9:80"), 0);
    assert_eq!(status("10.96.0.9:53/udp"), 3);
    assert_eq!(status("svc/default/web:http"), 3, "its IPv6 frontend is refused");
    assert_eq!(status("8.8.8.8:53"), 5);
}

#[test]
fn the_text_says_how_it_ends() {
    let world = World::new(networks());
    let text = |destination| text::text(&world.document("outside", destination));
    let served = text("192.168.50.11:30080");
    for line in [
        "203.0.113.1 -> TCP 192.168.50.11:30080, NodePort of default/web:http",
        "INPUT       ipvs",
        "To 10.244.2.2:8080",
        "10.244.2.2:8080 (weight 1), which sees this node's address on the way there",
        "spec.ports[].nodePort; spec.externalTrafficPolicy: Cluster",
    ] {
        assert!(served.contains(line), "{line} is in\n{served}");
    }
    assert!(text("10.96.0.9:53/udp").ends_with("Refused, by ICMP port unreachable\n"));
    assert!(text("8.8.8.8:53").ends_with("goes on by the routes, from 203.0.113.1\n"));
    assert!(text("192.168.50.11:22").contains("what listens there gets it"));
}
