//! Output vocabulary: what one node must forward. A backend is given these and nothing else.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::{Admission, Family, Protocol, ServicePortName};

/// Address, protocol and port: the identity of a virtual server. Written `TCP 10.96.0.1:443`.
/// Ordered by address, then protocol, then port; all of IPv4 before IPv6.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VirtualServerKey {
    /// The address clients connect to.
    pub address: IpAddr,
    /// The transport protocol.
    pub protocol: Protocol,
    /// The port clients connect to.
    pub port: NonZeroU16,
}

impl VirtualServerKey {
    /// The family of the address.
    #[must_use]
    pub const fn family(&self) -> Family {
        Family::of(self.address)
    }
}

impl fmt::Display for VirtualServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.protocol, SocketAddr::new(self.address, self.port.get()))
    }
}

impl fmt::Debug for VirtualServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// One address, protocol and port, and everything a data plane needs to serve it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualServer {
    /// Where clients connect.
    pub key: VirtualServerKey,
    /// The Service port it comes from.
    pub origin: ServicePortName,
    /// What kind of address it is.
    pub kind: FrontendKind,
    /// How a real server is chosen for a new connection.
    pub scheduler: Scheduler,
    /// Variants of the scheduler.
    pub scheduler_flags: SchedulerFlags,
    /// Whether a client keeps its real server.
    pub session_affinity: Option<SessionAffinity>,
    /// Whose connections are let in.
    pub admission: Admission,
    /// Who serves clients outside the cluster.
    pub external: Pool,
    /// Who serves pods and nodes. The same pool as `external` unless a local traffic policy
    /// makes the two differ.
    pub internal: Pool,
    /// Endpoints that exist but are in neither pool, sorted. A real server that left the pools and
    /// stands here may keep its connections; one that does not is gone for good.
    pub unchosen: Arc<[(IpAddr, NonZeroU16)]>,
    /// Whether the address must be made local to this node.
    pub vip: Vip,
    /// Whether a client's source address must reach the real server unchanged.
    pub source_address: SourceAddress,
    /// A port on which this node answers health checks for the Service; it must be reachable.
    pub health_check_port: Option<NonZeroU16>,
    /// How long a real server that left may keep its connections; `None` is the backend's default.
    pub drain_limit: Option<Duration>,
    /// Whether it goes before others when there is much to do.
    pub priority: Priority,
}

impl VirtualServer {
    /// Whether outside and inside clients are served by different real servers, or differently
    /// when there are none.
    #[must_use]
    pub fn split(&self) -> bool {
        let Self { external, internal, .. } = self;
        external.servers != internal.servers
            || (external.servers.is_empty() && external.when_empty != internal.when_empty)
    }

    /// Every real server of either audience, without duplicates, in order.
    pub fn real_servers(&self) -> impl Iterator<Item = &RealServer> {
        let other: &[RealServer] = if self.split() { &self.internal.servers } else { &[] };
        merge(&self.external.servers, other)
    }
}

/// Merges two sorted lists; what stands in both comes once.
fn merge<'a>(
    left: &'a [RealServer],
    right: &'a [RealServer],
) -> impl Iterator<Item = &'a RealServer> {
    let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
    std::iter::from_fn(move || match (left.peek(), right.peek()) {
        (Some(one), Some(two)) if one.key() == two.key() => {
            right.next();
            left.next()
        }
        (Some(one), Some(two)) if two.key() < one.key() => right.next(),
        (Some(_), _) => left.next(),
        (None, _) => right.next(),
    })
}

/// What kind of address a virtual server has. In this order one wins over a later one when two
/// Services claim the same address, protocol and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FrontendKind {
    /// `spec.clusterIPs`.
    ClusterIp,
    /// `status.loadBalancer.ingress`.
    LoadBalancer,
    /// `spec.externalIPs`.
    ExternalIp,
    /// A node's address and `nodePort`.
    NodePort,
}

impl fmt::Display for FrontendKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ClusterIp => "ClusterIP",
            Self::LoadBalancer => "LoadBalancer",
            Self::ExternalIp => "ExternalIP",
            Self::NodePort => "NodePort",
        })
    }
}

/// The real servers of one audience, and what happens while there are none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Sorted by address and port, without duplicates. Virtual servers with equal pools share one.
    pub servers: Arc<[RealServer]>,
    /// The answer a client gets while `servers` is empty.
    pub when_empty: WhenEmpty,
}

/// The answer to a client when no real server is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WhenEmpty {
    /// Refused at once, with an ICMP error or a reset.
    Reject,
    /// Nothing: there are endpoints, but a local traffic policy keeps this node from using them.
    Drop,
}

/// An endpoint chosen for this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RealServer {
    /// Its address.
    pub address: IpAddr,
    /// Its port.
    pub port: NonZeroU16,
    /// Its share, relative to the others; schedulers without weights ignore it.
    pub weight: NonZeroU16,
    /// Where it runs.
    pub locality: Locality,
}

impl RealServer {
    /// Address and port: its identity within a virtual server, and the order of a pool.
    #[must_use]
    pub const fn key(&self) -> (IpAddr, NonZeroU16) {
        (self.address, self.port)
    }
}

impl fmt::Display for RealServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&SocketAddr::new(self.address, self.port.get()), f)
    }
}

/// Whether a real server runs on this node. A local one can be its own client (hairpin).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Locality {
    /// On this node.
    Local,
    /// Elsewhere, or unknown.
    Remote,
}

/// Whether a virtual server's address must be made local to this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Vip {
    /// It must, unless an interface of the node already has it.
    Bind,
    /// It must not: it is a node's own address, another node's, or the Service opted out.
    Leave,
}

/// What a real server may see as a client's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceAddress {
    /// Clients from outside the pod network get this node's address, so that replies come back.
    MasqueradeOffCluster,
    /// Every client gets this node's address.
    Masquerade,
    /// Outside clients keep their own (`externalTrafficPolicy: Local`).
    Keep,
}

/// Which virtual servers go first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// The API server's Service and cluster DNS, without which nothing else on a node works.
    Urgent,
    /// All others.
    #[default]
    Normal,
}

/// `ClientIP` session affinity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionAffinity {
    /// How long a client without connections keeps its real server, in seconds (1 to 86,400).
    pub timeout_seconds: NonZeroU32,
}

macro_rules! schedulers {
    ($($(#[$attribute:meta])* $variant:ident $name:literal),* $(,)?) => {
        /// How IPVS chooses a real server for a new connection (`ip_vs_<name>`, ipvsadm(8)).
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Scheduler {
            $($(#[$attribute])* $variant,)*
        }

        impl Scheduler {
            /// Every scheduler.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The kernel's name for it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }

        impl FromStr for Scheduler {
            type Err = UnknownScheduler;

            fn from_str(name: &str) -> Result<Self, UnknownScheduler> {
                match name {
                    $($name => Ok(Self::$variant),)*
                    _ => Err(UnknownScheduler(name.to_owned())),
                }
            }
        }
    };
}

schedulers! {
    /// Each in turn.
    #[default]
    RoundRobin "rr",
    /// Each in turn, as often as its weight says.
    WeightedRoundRobin "wrr",
    /// The one with the fewest connections.
    LeastConnection "lc",
    /// The one with the fewest connections for its weight.
    WeightedLeastConnection "wlc",
    /// By a hash of the client's address.
    SourceHash "sh",
    /// By a hash of the destination address.
    DestinationHash "dh",
    /// By Maglev consistent hashing of the client's address: few clients move when servers change.
    MaglevHash "mh",
    /// The one with the shortest expected delay.
    ShortestExpectedDelay "sed",
    /// An idle one if there is any, else as `sed`.
    NeverQueue "nq",
    /// The available one with the highest weight.
    WeightedFailover "fo",
    /// The highest weight until it has as many connections as weight, then the next.
    WeightedOverflow "ovf",
    /// Least connection, keeping a destination address on one server.
    LocalityBasedLeastConnection "lblc",
    /// As `lblc` with a set of servers for each destination address.
    LocalityBasedLeastConnectionReplicated "lblcr",
    /// The less loaded of two drawn at random.
    PowerOfTwoChoices "twos",
}

impl fmt::Display for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A scheduler name that no kernel has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown scheduler {0:?}")]
pub struct UnknownScheduler(pub String);

/// Variants of the hashing schedulers (`sh` and `mh`; ipvsadm(8) `-b`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SchedulerFlags {
    /// `sh-fallback`, `mh-fallback`: take the next server when the hashed one is not available.
    pub fallback: bool,
    /// `sh-port`, `mh-port`: hash the client's port too.
    pub port: bool,
}

impl SchedulerFlags {
    /// What a scheduler gets when nobody asked for flags. Maglev needs `fallback`, or clients
    /// hashed to a draining server are refused; it gets `port` as kube-proxy always set it.
    #[must_use]
    pub const fn default_for(scheduler: Scheduler) -> Self {
        match scheduler {
            Scheduler::MaglevHash => Self { fallback: true, port: true },
            _ => Self { fallback: false, port: false },
        }
    }
}
