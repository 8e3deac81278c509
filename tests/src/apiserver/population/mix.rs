//! What a Service with a number is like.
//!
//! Node ports end: a cluster has 2768, whatever its size. Here 1500 are for Services of that type,
//! 600 for load balancers, and the rest for their health checks. Who comes later has none.

/// What a Service is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mix {
    pub(super) exposure: Exposure,
    pub(super) families: Families,
    /// A second port, over UDP.
    pub(super) udp: bool,
    /// A second port, for metrics.
    pub(super) metrics: bool,
    pub(super) affinity: bool,
    pub(super) internal_local: bool,
    /// Prefers endpoints of the client's zone; its slices have hints.
    pub(super) prefers_zone: bool,
}

/// How a Service is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exposure {
    /// At the addresses of its endpoints.
    Headless,
    ClusterIp,
    /// Also at addresses that somebody routes here.
    ExternalIps,
    /// Also at a port of each node.
    NodePort {
        first_port: u16,
    },
    LoadBalancer(Balancer),
}

/// What a load balancer is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Balancer {
    /// Counted from 0.
    pub(super) number: u32,
    pub(super) first_node_port: Option<u16>,
    /// With a local policy: where it is asked for its health.
    pub(super) health_check_port: Option<u16>,
    pub(super) source_ranges: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Families {
    Ipv4,
    Ipv6,
    Both,
}

/// Ports of a Service, at most.
const PORTS: u32 = 3;

impl Mix {
    pub(super) fn of(number: u32) -> Self {
        Self {
            exposure: exposure(number),
            families: match number % 20 {
                1 | 6 | 11 | 16 => Families::Both,
                18 => Families::Ipv6,
                _ => Families::Ipv4,
            },
            udp: number % 15 == 2,
            metrics: number.is_multiple_of(4),
            affinity: number % 20 == 9,
            internal_local: number % 40 == 14,
            prefers_zone: number % 10 == 4,
        }
    }
}

fn exposure(number: u32) -> Exposure {
    match number % 100 {
        5 | 30 | 55 | 80 => Exposure::Headless,
        11 | 61 => Exposure::ExternalIps,
        of_hundred if of_hundred % 20 == 3 => Exposure::LoadBalancer(balancer(number / 20)),
        of_hundred if of_hundred % 11 == 7 => {
            match port(30_000, 1_500, (number / 100 * 9 + of_hundred / 11) * PORTS) {
                Some(first_port) => Exposure::NodePort { first_port },
                None => Exposure::ClusterIp,
            }
        }
        _ => Exposure::ClusterIp,
    }
}

fn balancer(number: u32) -> Balancer {
    let is_local = number % 4 == 1;
    Balancer {
        number,
        first_node_port: port(31_500, 600, number * PORTS),
        health_check_port: port(32_100, 667, number / 4).filter(|_| is_local),
        source_ranges: number.is_multiple_of(2),
    }
}

/// A port of a range that ends, if there are [`PORTS`] of them left.
fn port(first: u16, count: u32, number: u32) -> Option<u16> {
    (number + PORTS <= count).then(|| first + u16::try_from(number).expect("fewer than count"))
}
