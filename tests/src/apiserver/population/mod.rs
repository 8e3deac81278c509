//! A cluster of any size, the same each time, with the mix of Services that clusters have.
//!
//! Of every 100 Services 80 have only a cluster IP, 9 have node ports, 5 are load balancers (half
//! with source ranges, some with a local policy), 2 have external IPs and 4 are headless; 20 have
//! both families, 7 also UDP, 5 session affinity, and 10 keep to zones. There are `default/kubernetes` and
//! `kube-system/kube-dns` too. Objects look as servers have them: with every default filled in,
//! with `managedFields`, and with at most 100 endpoints in a slice.

mod addresses;
mod mix;
mod nodes;
mod services;
mod slices;
mod system;

use serde_json::{Value, json};

use addresses::Addresses;

/// Endpoints in a slice, as the controller fills them.
const SLICE: u32 = 100;
/// Namespaces that Services are spread over.
const NAMESPACES: u32 = 50;

/// How large a cluster is.
#[derive(Clone, Debug)]
pub struct Population {
    services: u32,
    endpoints: u32,
    addresses: Addresses,
}

impl Population {
    /// A cluster of so many Services, each with so many endpoints, on so many nodes.
    ///
    /// # Panics
    /// When there is no node, or IPv4 has not enough addresses: more than 12 million pods.
    #[must_use]
    pub fn new(services: u32, endpoints: u32, nodes: u32) -> Self {
        // A place for each endpoint, for the one by which a Service's is replaced, and for DNS.
        let pods = u64::from(services) * u64::from(endpoints + 1) + 2;
        Self { services, endpoints, addresses: Addresses::new(nodes, pods) }
    }

    /// All its objects, Nodes first.
    pub fn objects(&self) -> impl Iterator<Item = Value> {
        let services = (0..self.services).map(|number| self.service(number));
        let slices = (0..self.services).flat_map(|number| self.slices(number));
        self.nodes().chain(self.system()).chain(services).chain(slices)
    }

    /// How many Services it has, beside those of the system.
    #[must_use]
    pub const fn services(&self) -> u32 {
        self.services
    }

    /// The name of a node.
    #[must_use]
    pub fn node_name(number: u32) -> String {
        format!("node-{number}")
    }

    /// The namespace of a Service, and its name.
    #[must_use]
    pub fn service_name(number: u32) -> (String, String) {
        (format!("team-{}", number % NAMESPACES), format!("app-{number}"))
    }
}

/// Metadata as a controller leaves it.
fn metadata(namespace: &str, name: &str, labels: &Value, manager: &str) -> Value {
    let fields = json!({
        "f:metadata": { "f:labels": { ".": {}, "f:app.kubernetes.io/name": {} } },
        "f:spec": {
            "f:internalTrafficPolicy": {},
            "f:ports": { ".": {}, "k:{\"port\":80,\"protocol\":\"TCP\"}": {
                ".": {}, "f:name": {}, "f:port": {}, "f:protocol": {}, "f:targetPort": {},
            } },
            "f:selector": {},
            "f:sessionAffinity": {},
            "f:type": {},
        },
    });
    let managed = json!([{
        "manager": manager,
        "operation": "Update",
        "apiVersion": "v1",
        "time": "2026-01-02T03:04:05Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }]);
    let mut metadata = json!({ "name": name, "labels": labels, "managedFields": managed });
    if !namespace.is_empty() {
        metadata["namespace"] = namespace.into();
    }
    metadata
}

#[cfg(test)]
mod tests;
