//! Local traffic policies: outside clients get this node's pods and keep their addresses, inside
//! clients get every pod.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use tests::lab::{Client, Cluster, Daemon, Manifests, Namespace, Refusal, Server, Transport};

const LOCAL: &str = "
apiVersion: v1
kind: Service
metadata: {name: local}
spec:
  type: LoadBalancer
  clusterIP: 10.96.0.50
  externalTrafficPolicy: Local
  healthCheckNodePort: 32000
  externalIPs: [198.51.100.51]
  ports: [{port: 80, nodePort: 30080}]
status:
  loadBalancer:
    ingress: [{ip: 198.51.100.50}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: local, labels: {kubernetes.io/service-name: local}}
addressType: IPv4
ports: [{port: 8080}]
endpoints:
  - {addresses: [10.244.1.10], nodeName: node-1}
  - {addresses: [10.244.2.10], nodeName: node-2}
";

fn who(namespace: &Namespace, target: &str, times: usize) -> BTreeSet<String> {
    let target: SocketAddr = target.parse().unwrap();
    let client = Client::in_namespace(namespace);
    (0..times)
        .map(|_| match client.ask(target, Transport::Tcp) {
            Ok(answer) => answer.to_string(),
            Err(refusal) => format!("{refusal:?}"),
        })
        .collect()
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn outside_clients_get_local_pods_and_inside_clients_get_all() {
    let cluster = Cluster::new(2);
    let here = cluster.node(1).pod("here", 10);
    let there = cluster.node(2).pod("there", 10);
    let client = cluster.node(1).pod("client", 20);
    let _servers = [&here, &there].map(|pod| Server::start(&pod.namespace, &pod.name, 8080));
    cluster.client.ip("route add 198.51.100.0/24 via 192.168.50.11");
    let manifests = Manifests::of_nodes();
    manifests.write("local.yaml", LOCAL);
    let _daemon = Daemon::start(cluster.node(1), manifests.path());
    for target in ["198.51.100.50:80", "198.51.100.51:80", "192.168.50.11:30080"] {
        eprintln!("{target}");
        eprintln!("  outside {:?}", who(&cluster.client, target, 4));
        eprintln!("  pod {:?}", who(&client.namespace, target, 4));
        eprintln!("  node {:?}", who(&cluster.node(1).namespace, target, 4));
        eprintln!("  here {:?}", who(&here.namespace, target, 4));
    }
    eprintln!("{}", cluster.node(1).namespace.exec("ipvsadm", &["-Sn"]));
    let _ = Refusal::Refused;
}
