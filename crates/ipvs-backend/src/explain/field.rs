//! Which field of a Service, or of the node's configuration, a rule acts for.

use std::fmt;

use proxy_core::TrafficPolicy;

use crate::rules::{Match, Rule, Target};
use crate::set::Purpose;

/// A field of a Service, of its endpoints, or of the node's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// The Service's cluster IPs.
    ClusterIps,
    /// Its external IPs.
    ExternalIps,
    /// Its load-balancer IPs.
    LoadBalancerIps,
    /// Its node ports.
    NodePorts,
    /// Its ports: the address is a Service's, the port is none's.
    Ports,
    /// Its external traffic policy.
    ExternalPolicy(TrafficPolicy),
    /// Its internal traffic policy.
    InternalPolicy(TrafficPolicy),
    /// Whom its load-balancer IPs let in.
    SourceRanges,
    /// Its session affinity.
    SessionAffinity,
    /// Its health-check node port.
    HealthCheckNodePort,
    /// Its endpoints, of which none is usable.
    Endpoints,
    /// Where its endpoints run: a client on this node can be its own server.
    EndpointNodes,
    /// How pods are told from others: their networks, or their interfaces.
    DetectLocal,
    /// That everybody is masqueraded.
    MasqueradeAll,
    /// What becomes of packets for Services that nobody decided about.
    InputPolicy,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let policy = |policy: &TrafficPolicy| match policy {
            TrafficPolicy::Cluster => "Cluster",
            TrafficPolicy::Local => "Local",
        };
        f.write_str(match self {
            Self::ClusterIps => "spec.clusterIPs",
            Self::ExternalIps => "spec.externalIPs",
            Self::LoadBalancerIps => "status.loadBalancer.ingress",
            Self::NodePorts => "spec.ports[].nodePort",
            Self::Ports => "spec.ports",
            Self::ExternalPolicy(value) => {
                return write!(f, "spec.externalTrafficPolicy: {}", policy(value));
            }
            Self::InternalPolicy(value) => {
                return write!(f, "spec.internalTrafficPolicy: {}", policy(value));
            }
            Self::SourceRanges => "spec.loadBalancerSourceRanges",
            Self::SessionAffinity => "spec.sessionAffinity: ClientIP",
            Self::HealthCheckNodePort => "spec.healthCheckNodePort",
            Self::Endpoints => "EndpointSlice endpoints[].conditions",
            Self::EndpointNodes => "EndpointSlice endpoints[].nodeName",
            Self::DetectLocal => "detectLocalMode, clusterCIDR",
            Self::MasqueradeAll => "masqueradeAll",
            Self::InputPolicy => "input policy",
        })
    }
}

/// What a rule of `chain` acts for. Nothing if it carries on what an earlier one began.
pub(super) fn fields(chain: &str, rule: &Rule) -> Vec<Field> {
    let purpose = rule.matches.iter().find_map(|condition| match condition {
        Match::InSet(set, _) => Some(set.purpose),
        _ => None,
    });
    let cluster = Field::ExternalPolicy(TrafficPolicy::Cluster);
    let local = Field::ExternalPolicy(TrafficPolicy::Local);
    if let Target::MarkFromSet(_) = rule.target {
        return vec![local];
    }
    match (purpose, rule.target) {
        (None, Target::Jump(_)) if chain == "KUBE-LOAD-BALANCER" => vec![cluster],
        (None, Target::Drop) => vec![Field::SourceRanges],
        (None, Target::Reset) => vec![Field::Endpoints],
        (None, Target::MasqueradeRandom) if asks_for_mark(rule) => vec![local, Field::DetectLocal],
        (None, _) => vec![],
        (Some(_), Target::Accept) if chain == "KUBE-IPVS-ACCEPT" => vec![Field::InputPolicy],
        (Some(Purpose::ClusterIp), Target::Jump(_)) => vec![masquerade(rule)],
        (Some(Purpose::ExternalIp), Target::Jump(_)) => vec![Field::ExternalIps, cluster],
        (Some(purpose), Target::Jump(_)) if is_node_port(purpose) => {
            vec![Field::NodePorts, cluster]
        }
        (Some(purpose), _) => vec![of_set(purpose)],
    }
}

fn asks_for_mark(rule: &Rule) -> bool {
    rule.matches.iter().any(|condition| matches!(condition, Match::Marked(_)))
}

/// Why a client of a cluster IP is masqueraded.
fn masquerade(rule: &Rule) -> Field {
    let asks_for_client =
        |condition: &Match| matches!(condition, Match::NotSource(_) | Match::NotInInterface(_));
    if rule.matches.iter().any(asks_for_client) { Field::DetectLocal } else { Field::MasqueradeAll }
}

const fn is_node_port(purpose: Purpose) -> bool {
    matches!(purpose, Purpose::NodePortTcp | Purpose::NodePortUdp | Purpose::NodePortSctp)
}

/// What puts a packet's parts into a set.
const fn of_set(purpose: Purpose) -> Field {
    match purpose {
        Purpose::LoopBack => Field::EndpointNodes,
        Purpose::ClusterIp => Field::ClusterIps,
        Purpose::ExternalIp => Field::ExternalIps,
        Purpose::LoadBalancer => Field::LoadBalancerIps,
        Purpose::LoadBalancerFirewall | Purpose::LoadBalancerSource => Field::SourceRanges,
        Purpose::NodePortTcp | Purpose::NodePortUdp | Purpose::NodePortSctp => Field::NodePorts,
        Purpose::ExternalIpLocal
        | Purpose::LoadBalancerLocal
        | Purpose::NodePortLocalTcp
        | Purpose::NodePortLocalUdp
        | Purpose::NodePortLocalSctp
        | Purpose::InternalMark
        | Purpose::DropExternal => Field::ExternalPolicy(TrafficPolicy::Local),
        Purpose::DropAll => Field::InternalPolicy(TrafficPolicy::Local),
        Purpose::HealthCheckNodePort => Field::HealthCheckNodePort,
        Purpose::Refuse => Field::Endpoints,
        Purpose::IpvsIps => Field::Ports,
    }
}
