//! Destinations of a virtual service: the servers behind it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::Stats64;

/// What identifies a destination within its service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DestinationId {
    /// Address of the server. Its family is the service's, save for tunnels.
    pub address: IpAddr,
    /// Port of the server.
    pub port: u16,
}

impl fmt::Display for DestinationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.address, self.port).fmt(f)
    }
}

/// How packets reach a destination (`IP_VS_CONN_F_FWD_MASK`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ForwardMethod {
    /// `IP_VS_CONN_F_MASQ`: the destination address and port are rewritten, replies come back.
    #[default]
    Masquerade,
    /// `IP_VS_CONN_F_LOCALNODE`: handed to this host unchanged.
    Local,
    /// `IP_VS_CONN_F_TUNNEL`: wrapped in another IP packet.
    Tunnel,
    /// `IP_VS_CONN_F_DROUTE`: sent on unchanged to the server's link-layer address.
    Route,
    /// Any other value, kept as it was read.
    Other(u32),
}

impl ForwardMethod {
    /// The method with this number; bits outside the mask are ignored.
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        match number & 7 {
            0 => Self::Masquerade,
            1 => Self::Local,
            2 => Self::Tunnel,
            3 => Self::Route,
            other => Self::Other(other),
        }
    }

    /// The kernel's number.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Masquerade => 0,
            Self::Local => 1,
            Self::Tunnel => 2,
            Self::Route => 3,
            Self::Other(other) => other,
        }
    }
}

/// The words of `ipvsadm -Ln`.
impl fmt::Display for ForwardMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Masquerade => f.write_str("Masq"),
            Self::Local => f.write_str("Local"),
            Self::Tunnel => f.write_str("Tunnel"),
            Self::Route => f.write_str("Route"),
            Self::Other(other) => write!(f, "method {other}"),
        }
    }
}

/// A destination: what is sent to create or change one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Destination {
    /// Address of the server. Its family is the service's, save for tunnels.
    pub address: IpAddr,
    /// Port of the server.
    pub port: u16,
    /// How packets reach it.
    pub forward: ForwardMethod,
    /// Share of new connections; 0 takes no new ones and lets the old ones end. At most `i32::MAX`,
    /// and 65,535 for `ipvsadm`.
    pub weight: u32,
    /// At this many connections the kernel stops choosing it; 0 is no limit.
    pub upper_threshold: u32,
    /// Below this many it is chosen again; 0 lets the kernel take three quarters of the upper.
    pub lower_threshold: u32,
}

impl Destination {
    /// A masqueraded destination without thresholds.
    #[must_use]
    pub const fn new(id: DestinationId, weight: u32) -> Self {
        Self {
            address: id.address,
            port: id.port,
            forward: ForwardMethod::Masquerade,
            weight,
            upper_threshold: 0,
            lower_threshold: 0,
        }
    }

    /// Its key within the service.
    #[must_use]
    pub const fn id(&self) -> DestinationId {
        DestinationId { address: self.address, port: self.port }
    }
}

/// A destination as a dump shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DestinationStatus {
    /// What it is.
    pub destination: Destination,
    /// Connections in an established state (`IPVS_DEST_ATTR_ACTIVE_CONNS`).
    pub active: u32,
    /// Connections in any other state, closing ones mostly (`IPVS_DEST_ATTR_INACT_CONNS`).
    pub inactive: u32,
    /// Persistence templates that point here (`IPVS_DEST_ATTR_PERSIST_CONNS`).
    pub persistent: u32,
    /// What passed through it.
    pub stats: Stats64,
}
