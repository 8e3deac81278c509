//! Input vocabulary: a Service as a proxy sees it. Values here are already valid; text from the
//! outside becomes one of them in [`crate::api`] or is rejected there.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::{Family, Name, ObjectKey, Protocol, Scheduler, SchedulerFlags, SessionAffinity};

/// Namespace and name of a Service.
pub type ServiceKey = ObjectKey;

/// A Service that has frontends: headless and `ExternalName` Services never become one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Namespace and name.
    pub key: ServiceKey,
    /// `metadata.creationTimestamp` as the API writes it (RFC 3339, UTC, whole seconds), so text
    /// order is age. Settles who owns a frontend that two Services claim.
    pub created: Option<Name>,
    /// `spec.type`.
    pub kind: ServiceKind,
    /// The cluster IP of each family that the Service has. A family without one has no frontends.
    pub cluster_ips: ClusterIps,
    /// `spec.externalIPs`, only of families with a cluster IP; sorted, without duplicates.
    pub external_ips: Vec<IpAddr>,
    /// `status.loadBalancer.ingress[].ip` with `ipMode` VIP; sorted, without duplicates.
    pub load_balancer_ips: Vec<IpAddr>,
    /// Who may use the load-balancer IPs.
    pub source_ranges: SourceRanges,
    /// `spec.ports`; no two share protocol and port.
    pub ports: Vec<ServicePort>,
    /// `spec.externalTrafficPolicy`: governs external IPs, load-balancer IPs and node ports.
    pub external_traffic_policy: TrafficPolicy,
    /// `spec.internalTrafficPolicy`: governs cluster IPs.
    pub internal_traffic_policy: TrafficPolicy,
    /// `spec.sessionAffinity` `ClientIP` with its timeout.
    pub session_affinity: Option<SessionAffinity>,
    /// `spec.healthCheckNodePort`, where the Service has one that matters.
    pub health_check_node_port: Option<NonZeroU16>,
    /// What annotations of the Service ask for.
    pub tuning: Tuning,
}

/// `spec.type` of a Service with frontends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceKind {
    /// Reachable inside the cluster (and at external IPs).
    ClusterIp,
    /// Also at a port of every node.
    NodePort,
    /// Also at the addresses a load balancer gave it.
    LoadBalancer,
}

/// At most one cluster IP a family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClusterIps {
    /// The IPv4 cluster IP.
    pub ipv4: Option<Ipv4Addr>,
    /// The IPv6 cluster IP.
    pub ipv6: Option<Ipv6Addr>,
}

impl ClusterIps {
    /// The cluster IP of `family`.
    #[must_use]
    pub fn of(self, family: Family) -> Option<IpAddr> {
        match family {
            Family::Ipv4 => self.ipv4.map(IpAddr::V4),
            Family::Ipv6 => self.ipv6.map(IpAddr::V6),
        }
    }

    /// Sets the cluster IP of the address's family.
    pub fn set(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => self.ipv4 = Some(address),
            IpAddr::V6(address) => self.ipv6 = Some(address),
        }
    }
}

/// One entry of `spec.ports`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// The port's name; empty is a name too.
    pub name: Name,
    /// The transport protocol.
    pub protocol: Protocol,
    /// The port of cluster, external and load-balancer IPs.
    pub port: NonZeroU16,
    /// The port of node addresses.
    pub node_port: Option<NonZeroU16>,
}

/// A port of a Service by its name: what logs and reports call a frontend's origin.
/// Written `namespace/name:port`, or `namespace/name` for the port without a name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServicePortName {
    /// The Service.
    pub service: ServiceKey,
    /// The port's name, possibly empty.
    pub port: Name,
}

impl fmt::Display for ServicePortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port.as_str() {
            "" => write!(f, "{}", self.service),
            port => write!(f, "{}:{port}", self.service),
        }
    }
}

impl fmt::Debug for ServicePortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Which endpoints may serve a frontend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TrafficPolicy {
    /// Endpoints of the whole cluster.
    #[default]
    Cluster,
    /// Endpoints of this node only.
    Local,
}

/// `spec.loadBalancerSourceRanges` by family: who may use a load-balancer IP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceRanges {
    /// Ranges for IPv4 load-balancer IPs.
    pub ipv4: Admission,
    /// Ranges for IPv6 load-balancer IPs.
    pub ipv6: Admission,
}

impl SourceRanges {
    /// Who may use the load-balancer IPs of `family`.
    #[must_use]
    pub const fn of(&self, family: Family) -> &Admission {
        match family {
            Family::Ipv4 => &self.ipv4,
            Family::Ipv6 => &self.ipv6,
        }
    }

    /// Sets who may use the load-balancer IPs of `family`.
    pub fn set(&mut self, family: Family, admission: Admission) {
        match family {
            Family::Ipv4 => self.ipv4 = admission,
            Family::Ipv6 => self.ipv6 = admission,
        }
    }
}

/// Which client addresses a virtual server answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Admission {
    /// Every client.
    #[default]
    Anyone,
    /// Clients inside one of these ranges: sorted, host bits cleared, without duplicates.
    /// An empty list admits nobody: ranges were asked for and none of them was usable.
    Only(Arc<[IpNet]>),
}

/// What a Service's annotations ask for; the default is what the node's configuration says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tuning {
    /// `proxyd/scheduler`, with the flags that belong to it.
    pub scheduler: Option<(Scheduler, SchedulerFlags)>,
    /// `proxyd/drain-limit`: how long a real server that left may keep its connections.
    pub drain_limit: Option<Duration>,
    /// `proxyd/vip`: whether the Service's addresses become addresses of this node.
    pub vip: VipChoice,
    /// `proxyd/endpoint-weights`: the first matching rule gives an endpoint's weight.
    pub weights: Vec<WeightRule>,
}

/// Whether a Service's addresses are made local to this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VipChoice {
    /// They are, so that pods and outside clients reach them here.
    #[default]
    Bind,
    /// They are not: something else on the node answers there (a node-local DNS cache, say).
    Leave,
}

/// One rule of the `proxyd/endpoint-weights` annotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightRule {
    /// Which endpoints it is for.
    pub selector: WeightSelector,
    /// Their weight, 1 to 65,535.
    pub weight: NonZeroU16,
}

/// Which endpoints a weight is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WeightSelector {
    /// `*`: every endpoint.
    Any,
    /// `local`: endpoints on the node that decides.
    Local,
    /// `node/NAME`: endpoints on that node.
    Node(Name),
    /// `zone/NAME`: endpoints in that zone.
    Zone(Name),
    /// An IP address.
    Address(IpAddr),
}
