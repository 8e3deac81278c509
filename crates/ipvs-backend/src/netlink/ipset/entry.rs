//! Members of sets.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use proxy_core::Protocol;

/// A network without host bits, as the kernel stores it.
///
/// A full-length one displays as the bare address, as `ipset save` prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network(IpNet);

impl Network {
    /// The network address.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.0.addr()
    }

    /// The length of the prefix in bits. A set takes no 0.
    #[must_use]
    pub fn prefix_len(&self) -> u8 {
        self.0.prefix_len()
    }
}

/// Clears the host bits.
impl From<IpNet> for Network {
    fn from(network: IpNet) -> Self {
        Self(network.trunc())
    }
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        Self(IpNet::from(address))
    }
}

impl From<Network> for IpNet {
    fn from(network: Network) -> Self {
        network.0
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() {
            self.0.addr().fmt(f)
        } else {
            self.0.fmt(f)
        }
    }
}

/// The key of one member. Displays as `ipset save` prints it: `10.96.0.1,tcp:80`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entry {
    /// Member of a `hash:ip` set.
    Ip(IpAddr),
    /// Member of a `hash:ip,port` set.
    IpPort {
        /// Address.
        address: IpAddr,
        /// Protocol of the port.
        protocol: Protocol,
        /// Port.
        port: u16,
    },
    /// Member of a `hash:ip,port,ip` set.
    IpPortIp {
        /// Address.
        address: IpAddr,
        /// Protocol of the port.
        protocol: Protocol,
        /// Port.
        port: u16,
        /// Second address.
        source: IpAddr,
    },
    /// Member of a `hash:ip,port,net` set.
    IpPortNet {
        /// Address.
        address: IpAddr,
        /// Protocol of the port.
        protocol: Protocol,
        /// Port.
        port: u16,
        /// Network.
        network: Network,
    },
    /// Member of a `bitmap:port` set.
    Port(u16),
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Ip(address) => address.fmt(f),
            Self::IpPort { address, protocol, port } => {
                write!(f, "{address},{}:{port}", lower(protocol))
            }
            Self::IpPortIp { address, protocol, port, source } => {
                write!(f, "{address},{}:{port},{source}", lower(protocol))
            }
            Self::IpPortNet { address, protocol, port, network } => {
                write!(f, "{address},{}:{port},{network}", lower(protocol))
            }
            Self::Port(port) => port.fmt(f),
        }
    }
}

const fn lower(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
    }
}

/// What `-j SET --map-mark` does to a packet that matches: the bits in `mask` become `value`'s.
/// The kernel does not tell one of all zeros from none: it is read back as none.
///
/// Displays as `ipset save` prints it: `0x1/0xff`, the mask left out when it is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// The new bits.
    pub value: u32,
    /// Which bits are replaced.
    pub mask: u32,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.mask == u32::MAX {
            write!(f, "{:#x}", self.value)
        } else {
            write!(f, "{:#x}/{:#x}", self.value, self.mask)
        }
    }
}

/// An entry and what hangs on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Member {
    /// Its key.
    pub entry: Entry,
    /// Its mark, in a set created with [`SetSpec::skbinfo`](super::SetSpec::skbinfo).
    pub mark: Option<Mark>,
}

impl From<Entry> for Member {
    fn from(entry: Entry) -> Self {
        Self { entry, mark: None }
    }
}
