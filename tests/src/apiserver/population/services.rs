//! Services.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::{Value, json};

use super::mix::{Balancer, Exposure, Families, Mix};
use super::{Population, addresses, metadata};

/// A port of a Service, and of its endpoints.
#[derive(Clone, Copy, Debug)]
pub(super) struct Port {
    pub(super) name: &'static str,
    pub(super) number: u16,
    pub(super) target: u16,
    pub(super) protocol: &'static str,
}

impl Families {
    /// What there is of a pair of addresses.
    pub(super) fn of(self, (four, six): (Ipv4Addr, Ipv6Addr)) -> Vec<String> {
        match self {
            Self::Ipv4 => vec![four.to_string()],
            Self::Ipv6 => vec![six.to_string()],
            Self::Both => vec![four.to_string(), six.to_string()],
        }
    }

    pub(super) const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Ipv4 => &["IPv4"],
            Self::Ipv6 => &["IPv6"],
            Self::Both => &["IPv4", "IPv6"],
        }
    }
}

impl Mix {
    /// The ports, the first one is HTTP's.
    pub(super) fn ports(self) -> Vec<Port> {
        let mut ports = vec![Port { name: "http", number: 80, target: 8080, protocol: "TCP" }];
        if self.metrics {
            ports.push(Port { name: "metrics", number: 9090, target: 9090, protocol: "TCP" });
        }
        if self.udp {
            ports.push(Port { name: "media", number: 5004, target: 5004, protocol: "UDP" });
        }
        ports
    }
}

impl Population {
    /// One of its Services.
    #[must_use]
    pub fn service(&self, number: u32) -> Value {
        let mix = Mix::of(number);
        let (namespace, name) = Self::service_name(number);
        let labels = json!({ "app.kubernetes.io/name": name });
        let mut service = json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata(&namespace, &name, &labels, "kubectl"),
            "spec": {
                "type": "ClusterIP",
                "selector": { "app.kubernetes.io/name": name },
                "ipFamilies": mix.families.names(),
                "ipFamilyPolicy": match mix.families {
                    Families::Both => "PreferDualStack",
                    _ => "SingleStack",
                },
                "internalTrafficPolicy": if mix.internal_local { "Local" } else { "Cluster" },
                "sessionAffinity": "None",
            },
            "status": { "loadBalancer": {} },
        });
        let cluster_ips = match mix.exposure {
            Exposure::Headless => vec!["None".to_owned()],
            _ => mix.families.of(addresses::service(number)),
        };
        let spec = &mut service["spec"];
        spec["clusterIP"] = cluster_ips[0].clone().into();
        spec["clusterIPs"] = cluster_ips.into();
        spec["ports"] = mix.ports().into_iter().map(port).collect();
        if mix.affinity {
            spec["sessionAffinity"] = "ClientIP".into();
            spec["sessionAffinityConfig"] = json!({ "clientIP": { "timeoutSeconds": 10_800 } });
        }
        if mix.prefers_zone {
            spec["trafficDistribution"] = "PreferSameZone".into();
        }
        expose(&mut service, mix, number);
        service
    }
}

fn port(port: Port) -> Value {
    let Port { name, number, target, protocol } = port;
    json!({ "name": name, "port": number, "targetPort": target, "protocol": protocol })
}

/// Adds what makes it reachable from outside.
fn expose(service: &mut Value, mix: Mix, number: u32) {
    let spec = &mut service["spec"];
    match mix.exposure {
        Exposure::Headless | Exposure::ClusterIp => {}
        Exposure::ExternalIps => {
            let [a, b] = [(number >> 8) % 256, number % 256];
            spec["externalIPs"] = json!([format!("203.0.{a}.{b}")]);
            spec["externalTrafficPolicy"] = "Cluster".into();
        }
        Exposure::NodePort { first_port } => {
            spec["type"] = "NodePort".into();
            spec["externalTrafficPolicy"] = "Cluster".into();
            add_node_ports(spec, first_port);
        }
        Exposure::LoadBalancer(balancer) => balance(service, mix, balancer),
    }
}

fn balance(service: &mut Value, mix: Mix, balancer: Balancer) {
    let Balancer { number, first_node_port, health_check_port, source_ranges } = balancer;
    let spec = &mut service["spec"];
    spec["type"] = "LoadBalancer".into();
    spec["allocateLoadBalancerNodePorts"] = first_node_port.is_some().into();
    if let Some(first) = first_node_port {
        add_node_ports(spec, first);
    }
    spec["externalTrafficPolicy"] =
        if health_check_port.is_some() { "Local" } else { "Cluster" }.into();
    if let Some(port) = health_check_port {
        spec["healthCheckNodePort"] = port.into();
    }
    if source_ranges {
        let ranges = match mix.families {
            Families::Ipv4 => json!(["192.0.2.0/24", "198.51.100.0/24"]),
            Families::Ipv6 => json!(["2001:db8:c::/48"]),
            Families::Both => json!(["192.0.2.0/24", "2001:db8:c::/48"]),
        };
        spec["loadBalancerSourceRanges"] = ranges;
    }
    let ips = mix.families.of(addresses::load_balancer(number)).into_iter();
    service["status"]["loadBalancer"]["ingress"] =
        ips.map(|ip| json!({ "ip": ip, "ipMode": "VIP" })).collect();
}

fn add_node_ports(spec: &mut Value, first: u16) {
    let ports = spec["ports"].as_array_mut().into_iter().flatten();
    for (port, number) in ports.zip(first..) {
        port["nodePort"] = number.into();
    }
}
