//! What the rules depend on.

use ipnet::IpNet;
use proxy_core::Family;

use super::Match;
use crate::marks::MarkRange;

/// What the rules depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleConfig {
    /// The bit that marks packets to be masqueraded.
    pub mark_bit: MarkBit,
    /// Whose connections to cluster IPs are masqueraded.
    pub masquerade: Masquerade,
    /// How pods are told from clients outside the cluster.
    pub detector: Detector,
    /// How pods of this node are told from those of others, which come to its node ports.
    pub own_pods: Detector,
    /// The marks that lead inside clients to servers of their own.
    pub marks: MarkRange,
    /// Whether Services are served although the node accepts nothing by default.
    pub input_policy: InputPolicy,
}

/// A bit of a packet's mark, 0 to 31.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkBit(u8);

impl MarkBit {
    /// The bit with this number; `None` above 31.
    #[must_use]
    pub const fn new(bit: u8) -> Option<Self> {
        if bit < 32 { Some(Self(bit)) } else { None }
    }

    /// The mark that has only this bit.
    #[must_use]
    pub const fn mask(self) -> u32 {
        1 << self.0
    }
}

impl Default for MarkBit {
    /// Bit 14, the mark 0x4000, as kube-proxy.
    fn default() -> Self {
        Self(14)
    }
}

/// Whose connections to cluster IPs get this node's address as their source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Masquerade {
    /// Those of clients that are no pods.
    #[default]
    OffCluster,
    /// Everybody's.
    All,
}

/// What becomes of a packet for a Service that no rule of the node's INPUT chain decided about.
///
/// Connections to virtual servers go through INPUT on their way to IPVS, where those of other kinds
/// of proxies do not: a node whose policy there is DROP would serve nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InputPolicy {
    /// It is accepted, whatever the policy of the chain.
    #[default]
    Accept,
    /// The policy of the chain decides.
    Respect,
}

/// How a pod is told from other clients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Detector {
    /// By its address, a network a family. Without one for a family nobody is masqueraded there.
    Networks {
        /// Where pods have their IPv4 addresses.
        ipv4: Option<IpNet>,
        /// Where pods have their IPv6 addresses.
        ipv6: Option<IpNet>,
    },
    /// By the interface it comes through; a `+` at the end matches any rest.
    Interface(String),
    /// It cannot be told. No cluster IP's client is masqueraded, for a pod would lose its address
    /// to its peers; and only the node itself counts as inside the cluster.
    #[default]
    Unknown,
}

impl Detector {
    pub(super) fn a_pod(&self, family: Family) -> Option<Match> {
        match self {
            Self::Networks { .. } => self.network(family).map(Match::Source),
            Self::Interface(name) => Some(Match::InInterface(name.clone())),
            Self::Unknown => None,
        }
    }

    pub(super) fn not_a_pod(&self, family: Family) -> Option<Match> {
        match self {
            Self::Networks { .. } => self.network(family).map(Match::NotSource),
            Self::Interface(name) => Some(Match::NotInInterface(name.clone())),
            Self::Unknown => None,
        }
    }

    const fn network(&self, family: Family) -> Option<IpNet> {
        match (self, family) {
            (Self::Networks { ipv4, .. }, Family::Ipv4) => *ipv4,
            (Self::Networks { ipv6, .. }, Family::Ipv6) => *ipv6,
            _ => None,
        }
    }
}
