//! A tracked UDP flow.

use std::fmt;
use std::net::SocketAddr;

/// A UDP flow as the connection tracker has it. Written as `conntrack -L` would, in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// Where its first packet came from.
    pub source: SocketAddr,
    /// Where its first packet was sent to, before any translation.
    pub destination: SocketAddr,
    /// Where replies come from. The same as `destination` if the flow was never translated.
    pub reply_source: SocketAddr,
    /// The table of its own that it is in.
    pub zone: Zone,
    /// Tells it apart from a later flow between the same addresses and ports, unless that one lies
    /// at the same place in memory: the kernel makes it of the two.
    pub id: Option<u32>,
}

/// Conntrack zones: flows in different ones do not meet (`iptables -j CT --zone`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Zone {
    /// Zone 0, where everything is that nobody put elsewhere.
    #[default]
    Default,
    /// This zone, in both directions.
    Both(u16),
    /// This zone in the direction of the first packet only.
    Original(u16),
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "UDP flow {} -> {}, replies from {}",
            self.source, self.destination, self.reply_source
        )
    }
}
