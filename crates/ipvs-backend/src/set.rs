//! The ipsets this backend owns. Their names are kube-proxy's: network plugins, monitoring and
//! people look for them, and a restart adopts what an earlier proxy left in them.

use std::fmt;

use proxy_core::{Family, Protocol};

use crate::netlink::ipset::{SetKind, SetName, SetSpec};

macro_rules! sets {
    ($($(#[$attribute:meta])* $variant:ident $suffix:literal $kind:ident $comment:literal),* $(,)?) => {
        /// What a set is for. Each exists once a family.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Purpose {
            $($(#[$attribute])* $variant,)*
        }

        impl Purpose {
            /// Every purpose.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            const fn suffix(self) -> &'static str {
                match self { $(Self::$variant => $suffix,)* }
            }

            const fn shape(self) -> Shape {
                match self { $(Self::$variant => Shape::$kind,)* }
            }

            /// The comment that rules about the set carry.
            #[must_use]
            pub const fn comment(self) -> &'static str {
                match self { $(Self::$variant => $comment,)* }
            }
        }
    };
}

sets! {
    /// A real server on this node, as destination and as source: its hairpin traffic.
    LoopBack "LOOP-BACK" IpPortIp
        "Kubernetes endpoints dst ip:port, source ip for solving hairpin purpose",
    /// Cluster IPs.
    ClusterIp "CLUSTER-IP" IpPort
        "Kubernetes service cluster ip + port for masquerade purpose",
    /// External IPs whose clients are masqueraded.
    ExternalIp "EXTERNAL-IP" IpPort
        "Kubernetes service external ip + port for masquerade and filter purpose",
    /// External IPs whose clients keep their address.
    ExternalIpLocal "EXTERNAL-IP-LOCAL" IpPort
        "Kubernetes service external ip + port with externalTrafficPolicy=local",
    /// Load-balancer IPs.
    LoadBalancer "LOAD-BALANCER" IpPort
        "Kubernetes service lb portal",
    /// Load-balancer IPs whose clients keep their address.
    LoadBalancerLocal "LOAD-BALANCER-LOCAL" IpPort
        "Kubernetes service load balancer ip + port with externalTrafficPolicy=local",
    /// Load-balancer IPs with source ranges.
    LoadBalancerFirewall "LOAD-BALANCER-FW" IpPort
        "Kubernetes service load balancer ip + port for load balancer with sourceRange",
    /// Who may use those.
    LoadBalancerSource "LOAD-BALANCER-SOURCE-CIDR" IpPortNet
        "Kubernetes service load balancer ip + port + source cidr for packet filter purpose",
    /// TCP node ports.
    NodePortTcp "NODE-PORT-TCP" Port
        "Kubernetes nodeport TCP port for masquerade purpose",
    /// TCP node ports whose clients keep their address.
    NodePortLocalTcp "NODE-PORT-LOCAL-TCP" Port
        "Kubernetes nodeport TCP port with externalTrafficPolicy=local",
    /// UDP node ports.
    NodePortUdp "NODE-PORT-UDP" Port
        "Kubernetes nodeport UDP port for masquerade purpose",
    /// UDP node ports whose clients keep their address.
    NodePortLocalUdp "NODE-PORT-LOCAL-UDP" Port
        "Kubernetes nodeport UDP port with externalTrafficPolicy=local",
    /// SCTP node ports, by node address.
    NodePortSctp "NODE-PORT-SCTP-HASH" IpPort
        "Kubernetes nodeport SCTP port for masquerade purpose with type 'hash ip:port'",
    /// SCTP node ports whose clients keep their address, by node address.
    NodePortLocalSctp "NODE-PORT-LOCAL-SCTP-HASH" IpPort
        "Kubernetes nodeport SCTP port with externalTrafficPolicy=local with type 'hash ip:port'",
    /// Ports of health-check servers.
    HealthCheckNodePort "HEALTH-CHECK-NODE-PORT" Port
        "Kubernetes health check node port",
    /// Frontends whose inside clients have real servers of their own, each with the mark that
    /// leads to them.
    InternalMark "INTERNAL-MARK" IpPortMark
        "proxyd service ip + port with servers of its own for clients inside the cluster",
    /// Frontends without a real server on this node for outside clients, who get no answer.
    DropExternal "DROP-EXTERNAL" IpPort
        "proxyd service ip + port without local endpoints for clients outside the cluster",
    /// Frontends without a real server on this node for anybody, and nobody gets an answer.
    DropAll "DROP-ALL" IpPort
        "proxyd service ip + port without local endpoints",
    /// TCP frontends without any real server, whose clients are refused.
    Refuse "REFUSE" IpPort
        "proxyd service ip + port without endpoints",
    /// Addresses that are local to this node only because a Service has them.
    IpvsIps "IPVS-IPS" Ip
        "Addresses on the ipvs interface",
}

impl Purpose {
    /// The set of TCP, UDP or SCTP node ports.
    #[must_use]
    pub const fn node_port(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Tcp => Self::NodePortTcp,
            Protocol::Udp => Self::NodePortUdp,
            Protocol::Sctp => Self::NodePortSctp,
        }
    }

    /// The set of TCP, UDP or SCTP node ports whose clients keep their address.
    #[must_use]
    pub const fn node_port_local(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Tcp => Self::NodePortLocalTcp,
            Protocol::Udp => Self::NodePortLocalUdp,
            Protocol::Sctp => Self::NodePortLocalSctp,
        }
    }
}

impl Purpose {
    /// Whether clients of its members keep their addresses.
    #[must_use]
    pub const fn keeps_source(self) -> bool {
        self.masqueraded().is_some()
    }

    /// The set in which a frontend also is, or would be instead, when its clients are masqueraded.
    #[must_use]
    pub const fn masqueraded(self) -> Option<Self> {
        match self {
            Self::ExternalIpLocal => Some(Self::ExternalIp),
            Self::LoadBalancerLocal => Some(Self::LoadBalancer),
            Self::NodePortLocalTcp => Some(Self::NodePortTcp),
            Self::NodePortLocalUdp => Some(Self::NodePortUdp),
            Self::NodePortLocalSctp => Some(Self::NodePortSctp),
            _ => None,
        }
    }
}

/// What a member is made of.
#[derive(Clone, Copy)]
enum Shape {
    Ip,
    IpPort,
    /// With a mark for the packet.
    IpPortMark,
    IpPortIp,
    IpPortNet,
    Port,
}

/// One of our sets.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetId {
    /// What it is for.
    pub purpose: Purpose,
    /// The family of its members and of the rules that use it.
    pub family: Family,
}

impl SetId {
    /// All our sets, IPv4 first.
    pub fn all() -> impl Iterator<Item = Self> {
        Family::ALL
            .into_iter()
            .flat_map(|family| Purpose::ALL.iter().map(move |&purpose| Self { purpose, family }))
    }

    /// Its name: `KUBE-…` for IPv4, `KUBE-6-…` cut to what the kernel allows for IPv6.
    #[must_use]
    pub fn name(self) -> SetName {
        let prefix = match self.family {
            Family::Ipv4 => "KUBE-",
            Family::Ipv6 => "KUBE-6-",
        };
        let mut name = format!("{prefix}{}", self.purpose.suffix());
        name.truncate(SetName::MAX_LENGTH);
        SetName::try_from(name.as_str()).expect("it is ASCII, not empty, and was cut to length")
    }

    /// Name of a set that is built to replace it.
    #[must_use]
    pub fn scratch_name(self) -> SetName {
        let name = match self.family {
            Family::Ipv4 => SCRATCH_SETS[0],
            Family::Ipv6 => SCRATCH_SETS[1],
        };
        SetName::try_from(name).expect("it is ASCII and short")
    }

    /// How it is created.
    #[must_use]
    pub fn spec(self) -> SetSpec {
        let kind = match self.purpose.shape() {
            Shape::Ip => SetKind::HashIp(self.family),
            Shape::IpPort | Shape::IpPortMark => SetKind::HashIpPort(self.family),
            Shape::IpPortIp => SetKind::HashIpPortIp(self.family),
            Shape::IpPortNet => SetKind::HashIpPortNet(self.family),
            Shape::Port => SetKind::BitmapPort,
        };
        let spec = match self.purpose.shape() {
            Shape::IpPortMark => SetSpec::new(self.name(), kind).with_skbinfo(),
            _ => SetSpec::new(self.name(), kind),
        };
        match kind {
            SetKind::BitmapPort => spec,
            _ => SetSpec { max_elements: MAX_ELEMENTS, ..spec },
        }
    }
}

/// Sets that kube-proxy has and we do not: the node's own connections do not come from a virtual
/// server's address here, and SCTP ports have not been in bitmaps since 1.15. And those in which
/// an earlier process built a replacement and then died.
pub const LEGACY_SETS: [&str; 8] = [
    "KUBE-LOAD-BALANCER-SOURCE-IP",
    "KUBE-6-LOAD-BALANCER-SOURCE-IP",
    "KUBE-NODE-PORT-SCTP",
    "KUBE-6-NODE-PORT-SCTP",
    "KUBE-NODE-PORT-LOCAL-SCTP",
    "KUBE-6-NODE-PORT-LOCAL-SCTP",
    SCRATCH_SETS[0],
    SCRATCH_SETS[1],
];

/// Where replacements are built, in IPv4 and IPv6.
const SCRATCH_SETS: [&str; 2] = ["KUBE-PROXYD-SCRATCH", "KUBE-6-PROXYD-SCRATCH"];

/// Room in a hash set. Memory is taken as members come, so a generous limit costs nothing;
/// kube-proxy's 65,536 is too few for a large cluster.
const MAX_ELEMENTS: u32 = 1 << 20;

impl fmt::Display for SetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.name(), f)
    }
}

impl fmt::Debug for SetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_names_are_cut_to_31_characters() {
        let name = |purpose, family| SetId { purpose, family }.name().to_string();
        let source = Purpose::LoadBalancerSource;
        assert_eq!(name(source, Family::Ipv4), "KUBE-LOAD-BALANCER-SOURCE-CIDR");
        assert_eq!(name(source, Family::Ipv6), "KUBE-6-LOAD-BALANCER-SOURCE-CID");
        assert_eq!(name(Purpose::IpvsIps, Family::Ipv6), "KUBE-6-IPVS-IPS");
    }

    #[test]
    fn no_two_sets_share_a_name() {
        let names: std::collections::BTreeSet<_> = SetId::all().map(SetId::name).collect();
        assert_eq!(names.len(), SetId::all().count());
    }
}
