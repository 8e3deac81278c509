//! The objects of a cluster of any size.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU16;
use std::sync::Arc;

use proxy_core::{
    ClusterIps, Conditions, Endpoint, EndpointSlice, Event, Family, Interner, ObjectKey, Protocol,
    Service, ServiceKind, ServicePort, SlicePort, SourceRanges, TrafficPolicy, Tuning,
};

/// Makes the objects of a cluster. Names are shared as the API's door shares them.
pub(crate) struct Cluster {
    endpoints: u32,
    names: Interner,
}

impl Cluster {
    /// One whose Services have so many endpoints each.
    pub(crate) fn new(endpoints: u32) -> Self {
        Self { endpoints, names: Interner::new() }
    }

    pub(crate) fn service(&mut self, number: u32) -> Event {
        let mut cluster_ips = ClusterIps::default();
        cluster_ips.set(address(10 << 24 | 96 << 16, number));
        Event::Service(Arc::new(Service {
            key: self.key(number, ""),
            created: Some("2026-01-01T00:00:00Z".into()),
            kind: ServiceKind::ClusterIp,
            cluster_ips,
            external_ips: Vec::new(),
            load_balancer_ips: Vec::new(),
            source_ranges: SourceRanges::default(),
            ports: vec![ServicePort {
                name: self.names.name("http"),
                protocol: Protocol::Tcp,
                port: port(80),
                node_port: None,
            }],
            external_traffic_policy: TrafficPolicy::Cluster,
            internal_traffic_policy: TrafficPolicy::Cluster,
            session_affinity: None,
            health_check_node_port: None,
            tuning: Tuning::default(),
        }))
    }

    /// All endpoints of a Service. In each round after the first, another one is not ready.
    pub(crate) fn slice(&mut self, number: u32, round: u32) -> Event {
        let key = self.key(number, "-x2x7k");
        let service = self.names.name(&format!("service-{number}"));
        let zone = self.names.name("zone-a");
        let endpoints = (0..self.endpoints)
            .map(|index| Endpoint {
                address: address(10 << 24 | 128 << 16, number * self.endpoints + index),
                conditions: Conditions::from_api(
                    Some(round == 0 || index != round % self.endpoints),
                    None,
                    None,
                ),
                node: Some(self.names.name(&format!("node-{}", (number + index) % 1_000))),
                zone: Some(zone.clone()),
                hints: None,
            })
            .collect();
        let (name, protocol, port) = (self.names.name("http"), Protocol::Tcp, port(8080));
        let ports = vec![SlicePort { name, protocol, port }];
        Event::Slice(Arc::new(EndpointSlice {
            key,
            service,
            family: Family::Ipv4,
            ports,
            endpoints,
            triggered: None,
        }))
    }

    /// A Service and its slice go.
    pub(crate) fn removal(&mut self, number: u32) -> [Event; 2] {
        let [service, slice] = ["", "-x2x7k"].map(|suffix| self.key(number, suffix));
        [Event::SliceRemoved(slice), Event::ServiceRemoved(service)]
    }

    fn key(&mut self, number: u32, suffix: &str) -> ObjectKey {
        ObjectKey {
            namespace: self.names.name(&format!("namespace-{}", number % 100)),
            name: self.names.name(&format!("service-{number}{suffix}")),
        }
    }
}

fn address(base: u32, number: u32) -> IpAddr {
    Ipv4Addr::from_bits(base + number).into()
}

fn port(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).expect("no port is 0")
}
