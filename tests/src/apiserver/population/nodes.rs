//! Nodes.

use serde_json::{Value, json};

use super::{Population, addresses, metadata};

const ZONES: [&str; 3] = ["zone-a", "zone-b", "zone-c"];

/// The zone of a node.
pub(super) const fn zone(node: u32) -> &'static str {
    ZONES[node as usize % ZONES.len()]
}

impl Population {
    /// Its Nodes.
    pub(super) fn nodes(&self) -> impl Iterator<Item = Value> {
        (0..self.addresses.nodes).map(|number| self.node(number))
    }

    /// One of its Nodes.
    #[must_use]
    pub fn node(&self, number: u32) -> Value {
        let name = Self::node_name(number);
        let labels = json!({
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
            "topology.kubernetes.io/region": "region-1",
            "topology.kubernetes.io/zone": zone(number),
        });
        let (four, six) = addresses::node(number);
        let networks = self.addresses.pod_networks(number);
        json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": metadata("", &name, &labels, "kubelet"),
            "spec": { "podCIDR": networks[0], "podCIDRs": networks },
            "status": {
                "addresses": [
                    { "type": "InternalIP", "address": four },
                    { "type": "InternalIP", "address": six },
                    { "type": "Hostname", "address": name },
                ],
                "conditions": [{
                    "type": "Ready",
                    "status": "True",
                    "reason": "KubeletReady",
                    "message": "kubelet is posting ready status",
                    "lastHeartbeatTime": "2026-01-02T03:04:05Z",
                    "lastTransitionTime": "2026-01-02T03:04:05Z",
                }],
                "daemonEndpoints": { "kubeletEndpoint": { "Port": 10250 } },
            },
        })
    }
}
