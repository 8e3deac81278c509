//! Virtual services as the kernel keeps them.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::BitOr;

use proxy_core::{Family, Protocol};

/// What identifies a virtual service in one network namespace.
///
/// Displays as `ipvsadm -Ln` does: `TCP 10.0.0.1:80`, `UDP [fd00::1]:53`, `FWM 5`, `FWM 5 IPv6`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceId {
    /// A service keyed by the destination of the packet.
    Address {
        /// Transport protocol.
        protocol: Protocol,
        /// Virtual address.
        address: IpAddr,
        /// Virtual port; 0 is a service for every port, which the kernel allows only with
        /// [`ServiceFlags::PERSISTENT`].
        port: u16,
    },
    /// A service keyed by the packet's firewall mark.
    Fwmark {
        /// Family of the packets it takes; the same mark may serve both, as two services.
        family: Family,
        /// The mark, compared whole; never 0.
        mark: u32,
    },
}

impl ServiceId {
    /// The family of the packets it takes.
    #[must_use]
    pub const fn family(&self) -> Family {
        match self {
            Self::Address { address, .. } => Family::of(*address),
            Self::Fwmark { family, .. } => *family,
        }
    }
}

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Address { protocol, address, port } => {
                write!(f, "{protocol} {}", SocketAddr::new(address, port))
            }
            Self::Fwmark { family: Family::Ipv4, mark } => write!(f, "FWM {mark}"),
            Self::Fwmark { family: Family::Ipv6, mark } => write!(f, "FWM {mark} IPv6"),
        }
    }
}

/// The name of a scheduler, such as `rr` or `mh`: one to fifteen bytes without NUL
/// (`IP_VS_SCHEDNAME_MAXLEN` less its terminator).
///
/// Whether the kernel has a module of that name is found out when a service is added.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SchedulerName([u8; 16]);

/// A scheduler name that is empty, longer than fifteen bytes, or holds a NUL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no scheduler name: it must have 1 to 15 bytes and no NUL")]
pub struct InvalidSchedulerName(pub String);

impl SchedulerName {
    /// Round robin, the kernel tools' default.
    pub const ROUND_ROBIN: Self = {
        let mut bytes = [0; 16];
        bytes[0] = b'r';
        bytes[1] = b'r';
        Self(bytes)
    };

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let length = self.0.iter().position(|&b| b == 0).unwrap_or(self.0.len());
        // Made from a `str` only, and never cut inside a character.
        std::str::from_utf8(&self.0[..length]).unwrap_or_default()
    }
}

impl TryFrom<&str> for SchedulerName {
    type Error = InvalidSchedulerName;

    fn try_from(name: &str) -> Result<Self, Self::Error> {
        let mut bytes = [0; 16];
        if name.is_empty() || name.len() >= bytes.len() || name.contains('\0') {
            return Err(InvalidSchedulerName(name.to_owned()));
        }
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        Ok(Self(bytes))
    }
}

impl std::str::FromStr for SchedulerName {
    type Err = InvalidSchedulerName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::try_from(name)
    }
}

impl fmt::Display for SchedulerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for SchedulerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// Flags of a virtual service (`IP_VS_SVC_F_*`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceFlags(u32);

impl ServiceFlags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// `IP_VS_SVC_F_PERSISTENT`: a client stays with its destination for [`Service::timeout`].
    pub const PERSISTENT: Self = Self(0x1);
    /// `IP_VS_SVC_F_ONEPACKET`: every UDP packet is scheduled by itself.
    pub const ONE_PACKET: Self = Self(0x4);
    /// `IP_VS_SVC_F_SCHED1`, for `sh` and `mh` their `*-fallback`: when the hashed destination
    /// has weight 0, take the next instead of refusing.
    pub const SCHED1: Self = Self(0x8);
    /// `IP_VS_SVC_F_SCHED2`, for `sh` and `mh` their `*-port`: hash the source port as well.
    pub const SCHED2: Self = Self(0x10);
    /// `IP_VS_SVC_F_SCHED3`, without a meaning for any scheduler so far.
    pub const SCHED3: Self = Self(0x20);

    /// `IP_VS_SVC_F_HASHED`: the kernel's own note that the service is in its table.
    const HASHED: u32 = 0x2;

    /// The flags with these bits. The kernel's own `IP_VS_SVC_F_HASHED` (0x2) is left out, so
    /// that what was read back equals what was asked for.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits & !Self::HASHED)
    }

    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// True if every flag of `other` is set here.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for ServiceFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A virtual service: what is sent to create or change one, and what a dump tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Service {
    /// Its key.
    pub id: ServiceId,
    /// How a destination is chosen. The kernel shows a service without any as `none`.
    pub scheduler: SchedulerName,
    /// Its flags.
    pub flags: ServiceFlags,
    /// How long a client stays with a destination, in seconds; 0 unless persistent.
    pub timeout: u32,
    /// Clients within the same prefix of this length count as one for persistence; 32 for IPv4
    /// and 128 for IPv6 is "each client by itself".
    pub persistence_prefix: u8,
}

impl Service {
    /// A service without flags.
    #[must_use]
    pub const fn new(id: ServiceId, scheduler: SchedulerName) -> Self {
        Self {
            id,
            scheduler,
            flags: ServiceFlags::NONE,
            timeout: 0,
            persistence_prefix: full_prefix(id.family()),
        }
    }

    /// The same service, each client staying with its destination for `seconds`.
    #[must_use]
    pub fn persistent(self, seconds: u32) -> Self {
        Self { flags: self.flags | ServiceFlags::PERSISTENT, timeout: seconds, ..self }
    }
}

/// The length of an address of `family` in bits.
pub(super) const fn full_prefix(family: Family) -> u8 {
    match family {
        Family::Ipv4 => 32,
        Family::Ipv6 => 128,
    }
}

/// Traffic of a service or destination since it was created or zeroed (`IPVS_STATS_ATTR_*`).
/// Rates are the kernel's own estimates over the last seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stats64 {
    /// Connections scheduled.
    pub connections: u64,
    /// Packets from clients.
    pub packets_in: u64,
    /// Packets to clients; 0 for forwarding methods whose replies pass by.
    pub packets_out: u64,
    /// Bytes from clients.
    pub bytes_in: u64,
    /// Bytes to clients.
    pub bytes_out: u64,
    /// New connections a second.
    pub connections_per_second: u64,
    /// Packets from clients a second.
    pub packets_in_per_second: u64,
    /// Packets to clients a second.
    pub packets_out_per_second: u64,
    /// Bytes from clients a second.
    pub bytes_in_per_second: u64,
    /// Bytes to clients a second.
    pub bytes_out_per_second: u64,
}

/// A service as a dump shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ServiceStatus {
    /// What it is.
    pub service: Service,
    /// What passed through it.
    pub stats: Stats64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn displays_as_ipvsadm_prints() {
        let address = |protocol, address: &str, port| ServiceId::Address {
            protocol,
            address: address.parse().expect("an address"),
            port,
        };
        for (id, expected) in [
            (address(Protocol::Tcp, "10.0.0.1", 80), "TCP 10.0.0.1:80"),
            (address(Protocol::Udp, "fd00::1", 53), "UDP [fd00::1]:53"),
            (ServiceId::Fwmark { family: Family::Ipv4, mark: 5 }, "FWM 5"),
            (ServiceId::Fwmark { family: Family::Ipv6, mark: 5 }, "FWM 5 IPv6"),
        ] {
            assert_eq!(id.to_string(), expected);
        }
    }

    #[test]
    fn a_scheduler_name_fits_the_kernel() {
        assert_eq!(SchedulerName::ROUND_ROBIN, "rr".parse().expect("short"));
        assert_eq!(SchedulerName::try_from("fifteen_letters").map(|n| n.as_str().len()), Ok(15));
        for name in ["", "sixteen__letters", "r\0r"] {
            assert_eq!(SchedulerName::try_from(name), Err(InvalidSchedulerName(name.to_owned())));
        }
    }

    #[test]
    fn the_kernels_own_flag_is_masked() {
        assert_eq!(ServiceFlags::from_bits(0x3), ServiceFlags::PERSISTENT);
    }
}
