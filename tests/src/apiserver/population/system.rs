//! What every cluster has.

use serde_json::{Value, json};

use super::services::Port;
use super::slices::Slice;
use super::{Population, addresses, metadata};

const DNS: [Port; 3] = [
    Port { name: "dns", number: 53, target: 53, protocol: "UDP" },
    Port { name: "dns-tcp", number: 53, target: 53, protocol: "TCP" },
    Port { name: "metrics", number: 9153, target: 9153, protocol: "TCP" },
];
const API: [Port; 1] = [Port { name: "https", number: 443, target: 6443, protocol: "TCP" }];
/// Where API servers are: on machines that are not nodes.
const API_SERVERS: [&str; 3] = ["172.31.255.1", "172.31.255.2", "172.31.255.3"];

impl Population {
    /// The Services `default/kubernetes` and `kube-system/kube-dns`, with their slices.
    pub(super) fn system(&self) -> impl Iterator<Item = Value> {
        let (namespace, name) = ("kube-system", "kube-dns");
        let first = u64::from(self.services) * u64::from(self.endpoints + 1);
        let dns = (first..first + 2).map(|pod| self.endpoint(pod, "IPv4", namespace, "coredns"));
        let api = API_SERVERS
            .map(|address| json!({ "addresses": [address], "conditions": { "ready": true } }));
        [
            service("default", "kubernetes", 1, &API),
            slice("default", "kubernetes").object(&api, &API),
            service(namespace, name, 10, &DNS),
            slice(namespace, name).object(&dns.collect::<Vec<_>>(), &DNS),
        ]
        .into_iter()
    }
}

const fn slice<'a>(namespace: &'a str, service: &'a str) -> Slice<'a> {
    Slice { namespace, service, family: "IPv4", part: 0, is_headless: false }
}

fn service(namespace: &str, name: &str, host: u32, ports: &[Port]) -> Value {
    let labels = json!({ "kubernetes.io/cluster-service": "true", "k8s-app": name });
    let address = addresses::system_service(host).0;
    let ports = ports.iter().map(|port| {
        let Port { name, number, target, protocol } = port;
        json!({ "name": name, "port": number, "targetPort": target, "protocol": protocol })
    });
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(namespace, name, &labels, "kube-apiserver"),
        "spec": {
            "type": "ClusterIP",
            "clusterIP": address,
            "clusterIPs": [address],
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "internalTrafficPolicy": "Cluster",
            "sessionAffinity": "None",
            "ports": ports.collect::<Vec<_>>(),
        },
        "status": { "loadBalancer": {} },
    })
}
