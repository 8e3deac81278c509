//! Who has which address.
//!
//! | what | IPv4 | IPv6 |
//! |---|---|---|
//! | nodes | 172.16.0.1 and on | `fd00:50::1` and on |
//! | pods | equal parts of 10.64.0.0 to 10.255.255.255, one a node | `fd00:244:N::/64` |
//! | Services | 10.32.0.0/11 | `fd00:96::` |
//! | load balancers | 198.18.0.0/15 | `2001:db8:b::` |

use std::net::{Ipv4Addr, Ipv6Addr};

const PODS: u32 = 0x0a40_0000; // 10.64.0.0
const PODS_END: u32 = 0x0b00_0000; // 11.0.0.0
const NODES: u32 = 0xac10_0000; // 172.16.0.0
const SERVICES: u32 = 0x0a20_0000; // 10.32.0.0
const LOAD_BALANCERS: u32 = 0xc612_0000; // 198.18.0.0

/// The first host of a node's network that a pod has.
const FIRST_POD: u32 = 2;
/// The first address of a Service that is not the system's.
const FIRST_SERVICE: u32 = 256;

/// The addresses of a cluster.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addresses {
    pub(super) nodes: u32,
    /// Addresses that each node has for pods; a power of two.
    share: u32,
}

/// Where a pod is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) node: u32,
    host: u32,
}

impl Addresses {
    /// Panics when there are not enough.
    pub(super) fn new(nodes: u32, pods: u64) -> Self {
        assert!(nodes > 0, "a cluster has nodes");
        let each = pods.div_ceil(u64::from(nodes)) + u64::from(FIRST_POD);
        let share = each.next_power_of_two().max(256);
        let all = share * u64::from(nodes);
        assert!(all <= u64::from(PODS_END - PODS), "{pods} pods on {nodes} nodes: too many");
        Self { nodes, share: u32::try_from(share).expect("all of them fit") }
    }

    /// Where the pod with a number is: one node after another.
    pub(super) fn place(self, pod: u64) -> Place {
        let nodes = u64::from(self.nodes);
        let narrow = |number: u64| u32::try_from(number).expect("there are enough addresses");
        Place { node: narrow(pod % nodes), host: narrow(pod / nodes) + FIRST_POD }
    }

    pub(super) fn pod(self, place: Place) -> (Ipv4Addr, Ipv6Addr) {
        let four = PODS + place.node * self.share + place.host;
        let network = 0xfd00_0244_0000_0000_u64 + (u64::from(place.node) << 16);
        let six = (u128::from(network) << 64) + u128::from(place.host);
        (four.into(), six.into())
    }

    /// The networks of a node's pods.
    pub(super) fn pod_networks(self, node: u32) -> [String; 2] {
        let (four, six) = self.pod(Place { node, host: 0 });
        [format!("{four}/{}", 32 - self.share.trailing_zeros()), format!("{six}/64")]
    }
}

pub(super) fn node(number: u32) -> (Ipv4Addr, Ipv6Addr) {
    both(NODES + 1 + number, 0xfd00_0050, 1 + number)
}

/// The addresses of a Service with a number.
pub(super) fn service(number: u32) -> (Ipv4Addr, Ipv6Addr) {
    system_service(FIRST_SERVICE + number)
}

/// The addresses of a Service of the system, by its host part.
pub(super) fn system_service(host: u32) -> (Ipv4Addr, Ipv6Addr) {
    both(SERVICES + host, 0xfd00_0096, host)
}

pub(super) fn load_balancer(number: u32) -> (Ipv4Addr, Ipv6Addr) {
    let (four, _) = both(LOAD_BALANCERS + 1 + number, 0, 0);
    let network = 0x2001_0db8_000b_u128 << 80;
    (four, (network + 1 + u128::from(number)).into())
}

fn both(four: u32, network: u32, host: u32) -> (Ipv4Addr, Ipv6Addr) {
    (four.into(), ((u128::from(network) << 96) + u128::from(host)).into())
}
