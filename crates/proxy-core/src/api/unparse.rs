//! The way back: values of the model as objects of the API. `parse` makes the same values of them, so
//! what one node knows can be looked at on another machine, by any tool that reads such objects.
//!
//! Only what `parse` kept comes back: no field that a proxy does not read, and none that was rejected.
//! Where ranges were rejected and let nobody in, one stands that lets nobody in either.

use std::net::IpAddr;

use super::node::{TO_BE_DELETED, ZONE};
use super::slice::SERVICE_NAME;
use super::{
    ClientIpConfig, EndpointConditions, EndpointHints, EndpointPort, HintName, Ingress,
    LoadBalancerStatus, Metadata, NodeAddress, NodeSpec, NodeStatus, ServiceSpec, ServiceStatus,
    SessionAffinityConfig, Taint, tuning,
};
use crate::policy::is_externally_accessible;
use crate::{
    Admission, ClusterIps, Endpoint, EndpointSlice, Family, Name, Node, ObjectKey, Service,
    ServiceKind, ServicePort, SessionAffinity, SlicePort, SourceRanges, Tenure, TrafficPolicy,
};

impl From<&Service> for super::Service {
    fn from(service: &Service) -> Self {
        let ips: Vec<_> = Family::ALL
            .into_iter()
            .filter_map(|family| service.cluster_ips.of(family).map(|ip| ip.to_string()))
            .collect();
        let policy = |policy| (policy == TrafficPolicy::Local).then(|| "Local".to_owned());
        Self {
            metadata: Metadata {
                creation_timestamp: service.created.as_ref().map(Name::to_string),
                annotations: tuning::annotations(&service.tuning),
                ..metadata(&service.key)
            },
            spec: ServiceSpec {
                kind: Some(kind(service.kind).to_owned()),
                cluster_ip: ips.first().cloned(),
                cluster_ips: ips,
                ip_families: families(service.cluster_ips),
                ports: service.ports.iter().map(port).collect(),
                external_ips: external_ips(service),
                load_balancer_source_ranges: ranges(&service.source_ranges),
                external_traffic_policy: policy(service.external_traffic_policy),
                internal_traffic_policy: policy(service.internal_traffic_policy),
                session_affinity: service.session_affinity.map(|_| "ClientIP".to_owned()),
                session_affinity_config: service.session_affinity.map(affinity),
                health_check_node_port: service
                    .health_check_node_port
                    .map(|port| port.get().into()),
            },
            status: ServiceStatus {
                load_balancer: LoadBalancerStatus {
                    ingress: texts(&service.load_balancer_ips)
                        .into_iter()
                        .map(|ip| Ingress { ip: Some(ip), ip_mode: None })
                        .collect(),
                },
            },
        }
    }
}

/// `triggered`, which decides nothing, is left out.
impl From<&EndpointSlice> for super::EndpointSlice {
    fn from(slice: &EndpointSlice) -> Self {
        let label = (SERVICE_NAME.to_owned(), slice.service.to_string());
        let port = |SlicePort { name, protocol, port }: &SlicePort| EndpointPort {
            name: Some(name.to_string()),
            protocol: Some(protocol.to_string()),
            port: Some(port.get().into()),
        };
        Self {
            metadata: Metadata { labels: [label].into(), ..metadata(&slice.key) },
            address_type: Some(slice.family.to_string()),
            ports: slice.ports.iter().map(port).collect(),
            endpoints: slice.endpoints.iter().map(super::Endpoint::from).collect(),
        }
    }
}

impl From<&Endpoint> for super::Endpoint {
    fn from(endpoint: &Endpoint) -> Self {
        let conditions = endpoint.conditions;
        let names = |names: &[Name]| -> Vec<_> {
            names.iter().map(|name| HintName { name: Some(name.to_string()) }).collect()
        };
        Self {
            addresses: vec![endpoint.address.to_string()],
            conditions: EndpointConditions {
                ready: Some(conditions.ready),
                serving: Some(conditions.serving),
                terminating: Some(conditions.terminating),
            },
            node_name: endpoint.node.as_ref().map(Name::to_string),
            zone: endpoint.zone.as_ref().map(Name::to_string),
            hints: endpoint.hints.as_ref().map_or_else(EndpointHints::default, |hints| {
                EndpointHints { for_zones: names(&hints.zones), for_nodes: names(&hints.nodes) }
            }),
        }
    }
}

/// Every address comes back as an `InternalIP`, in the order in which they count.
impl From<&Node> for super::Node {
    fn from(node: &Node) -> Self {
        let label = |zone: &Name| (ZONE.to_owned(), zone.to_string());
        let address =
            |address| NodeAddress { kind: Some("InternalIP".to_owned()), address: Some(address) };
        let taint = || Taint { key: Some(TO_BE_DELETED.to_owned()) };
        Self {
            metadata: Metadata {
                name: Some(node.name.to_string()),
                labels: node.zone.as_ref().map(label).into_iter().collect(),
                ..Metadata::default()
            },
            spec: NodeSpec {
                pod_cidr: None,
                pod_cidrs: node.pod_cidrs.iter().map(ToString::to_string).collect(),
                taints: (node.tenure == Tenure::Leaving).then(taint).into_iter().collect(),
            },
            status: NodeStatus {
                addresses: texts(&node.addresses).into_iter().map(address).collect(),
            },
        }
    }
}

fn metadata(key: &ObjectKey) -> Metadata {
    Metadata {
        namespace: Some(key.namespace.to_string()),
        name: Some(key.name.to_string()),
        ..Metadata::default()
    }
}

const fn kind(kind: ServiceKind) -> &'static str {
    match kind {
        ServiceKind::ClusterIp => "ClusterIP",
        ServiceKind::NodePort => "NodePort",
        ServiceKind::LoadBalancer => "LoadBalancer",
    }
}

fn families(cluster_ips: ClusterIps) -> Vec<String> {
    let has = |family: &Family| cluster_ips.of(*family).is_some();
    Family::ALL.into_iter().filter(has).map(|family| family.to_string()).collect()
}

fn port(port: &ServicePort) -> super::ServicePort {
    super::ServicePort {
        name: Some(port.name.to_string()),
        protocol: Some(port.protocol.to_string()),
        port: Some(port.port.get().into()),
        node_port: port.node_port.map(|port| port.get().into()),
    }
}

fn affinity(affinity: SessionAffinity) -> SessionAffinityConfig {
    let timeout_seconds = Some(affinity.timeout_seconds.get().into());
    SessionAffinityConfig { client_ip: Some(ClientIpConfig { timeout_seconds }) }
}

fn texts(addresses: &[IpAddr]) -> Vec<String> {
    addresses.iter().map(ToString::to_string).collect()
}

/// The external IPs. A Service that has `Local` only because it names some has a blank one if none of
/// them is served.
fn external_ips(service: &Service) -> Vec<String> {
    let named = !is_externally_accessible(service.kind, service.external_ips.len())
        && service.external_traffic_policy == TrafficPolicy::Local;
    if named { vec![String::new()] } else { texts(&service.external_ips) }
}

/// The ranges. A family that admits nobody has one that is none: too long a prefix. The other, if it
/// admits anyone, says so then, since unusable ranges alone close both.
fn ranges(ranges: &SourceRanges) -> Vec<String> {
    let is_closed = |family: &Family| matches!(ranges.of(*family), Admission::Only(ranges) if ranges.is_empty());
    let any_is_closed = Family::ALL.iter().any(is_closed);
    let of_family = |family: Family| -> Vec<String> {
        let (unusable, everything) = match family {
            Family::Ipv4 => ("0.0.0.0/33", "0.0.0.0/0"),
            Family::Ipv6 => ("::/129", "::/0"),
        };
        match ranges.of(family) {
            Admission::Only(ranges) if ranges.is_empty() => vec![unusable.to_owned()],
            Admission::Only(ranges) => ranges.iter().map(ToString::to_string).collect(),
            Admission::Anyone if any_is_closed => vec![everything.to_owned()],
            Admission::Anyone => Vec::new(),
        }
    };
    Family::ALL.into_iter().flat_map(of_family).collect()
}

#[cfg(test)]
#[path = "unparse_tests.rs"]
mod tests;
