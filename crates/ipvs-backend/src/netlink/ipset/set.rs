//! Sets and their parameters.

use std::fmt;

use proxy_core::Family;

use super::{Member, SetName};

/// What a set holds. The family is part of the kind where the kernel makes it so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SetKind {
    /// `hash:ip`: addresses.
    HashIp(Family),
    /// `hash:ip,port`: address, protocol and port.
    HashIpPort(Family),
    /// `hash:ip,port,ip`: address, protocol, port and a second address.
    HashIpPortIp(Family),
    /// `hash:ip,port,net`: address, protocol, port and a network.
    HashIpPortNet(Family),
    /// `bitmap:port` over 0 to 65535: ports of any protocol and family.
    BitmapPort,
    /// A type this client does not speak; seen in listings only.
    Other,
}

impl SetKind {
    /// The kernel's name of the type; empty for [`SetKind::Other`].
    #[must_use]
    pub const fn type_name(self) -> &'static str {
        match self {
            Self::HashIp(_) => "hash:ip",
            Self::HashIpPort(_) => "hash:ip,port",
            Self::HashIpPortIp(_) => "hash:ip,port,ip",
            Self::HashIpPortNet(_) => "hash:ip,port,net",
            Self::BitmapPort => "bitmap:port",
            Self::Other => "",
        }
    }

    /// The family of its addresses, if it holds any.
    #[must_use]
    pub const fn family(self) -> Option<Family> {
        match self {
            Self::HashIp(family)
            | Self::HashIpPort(family)
            | Self::HashIpPortIp(family)
            | Self::HashIpPortNet(family) => Some(family),
            Self::BitmapPort | Self::Other => None,
        }
    }
}

impl fmt::Display for SetKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.family() {
            Some(Family::Ipv4) => write!(f, "{} family inet", self.type_name()),
            Some(Family::Ipv6) => write!(f, "{} family inet6", self.type_name()),
            None if *self == Self::BitmapPort => write!(f, "{} range 0-65535", self.type_name()),
            None => f.write_str("other"),
        }
    }
}

/// A set without its members: what is sent to create one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetSpec {
    /// Its name.
    pub name: SetName,
    /// What it holds.
    pub kind: SetKind,
    /// Most members it takes; a hash refuses more with [`SetError::Full`](super::SetError::Full).
    /// 0 for a bitmap.
    pub max_elements: u32,
    /// Buckets a hash starts with, rounded up to a power of two by the kernel. In a listing the
    /// present number, which grows with the members. 0 for a bitmap.
    pub hash_size: u32,
    /// Members may carry a [`Mark`](super::Mark).
    pub skbinfo: bool,
}

impl SetSpec {
    /// A set of `kind` with the sizes kube-proxy gives: 65,536 members, 1,024 buckets.
    #[must_use]
    pub const fn new(name: SetName, kind: SetKind) -> Self {
        let hash = kind.family().is_some();
        Self {
            name,
            kind,
            max_elements: if hash { 65_536 } else { 0 },
            hash_size: if hash { 1024 } else { 0 },
            skbinfo: false,
        }
    }

    /// The same set whose members may carry a mark.
    #[must_use]
    pub const fn with_skbinfo(self) -> Self {
        Self { skbinfo: true, ..self }
    }

    /// True if a set like `existing` can stand for this one: all is equal but the bucket count,
    /// which a kernel changes as the set grows.
    #[must_use]
    pub fn is_met_by(&self, existing: &Self) -> bool {
        Self { hash_size: existing.hash_size, ..*self } == *existing
    }
}

/// A set as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetState {
    /// Name, kind and parameters.
    pub spec: SetSpec,
    /// How many rules, and sets of sets, refer to it. While there are any it cannot be destroyed.
    pub references: u32,
    /// Its members, in the kernel's order; empty for [`SetKind::Other`].
    pub members: Vec<Member>,
}
