//! What becomes of a packet on this node, hook by hook, and because of what. Pure.
//!
//! It walks through the very values that are programmed: the static rules as data, and the sets,
//! virtual servers and routes that the plan's ops leave behind. So it has no opinion of its own on
//! traffic policies, and cannot drift from what is done. Rules, policies and routes of other
//! software are unknown to it: a packet can be lost to them all the same.
//!
//! ```
//! use ipvs_backend::IpvsConfig;
//! use ipvs_backend::explain::{Client, DataPlane, Packet, Verdict, explain};
//! use proxy_core::{DesiredState, Protocol};
//!
//! let plane = DataPlane::of(&DesiredState::new(), &IpvsConfig::default(), []);
//! let packet = Packet {
//!     client: Client::Other { address: "203.0.113.9".parse()?, interface: None },
//!     protocol: Protocol::Tcp,
//!     destination: "10.96.0.9:80".parse()?,
//! };
//! // Nothing is served, so the address is none of this node's.
//! assert!(matches!(explain(&packet, &plane).verdict, Verdict::Routed { .. }));
//! # Ok::<(), std::net::AddrParseError>(())
//! ```

mod condition;
mod field;
mod plane;
#[cfg(test)]
mod tests;
mod walk;

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use proxy_core::{Family, Protocol};

use crate::netlink::ipset::Entry;
use crate::netlink::ipvs::{Destination, Service, ServiceId};
use crate::observe::Observed;
use crate::rules::{Rule, Table};
use crate::set::SetId;

pub use field::Field;
pub use plane::{DataPlane, read};

/// The first packet of a connection. Those that follow take the way that it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Who sends it.
    pub client: Client,
    /// Over what.
    pub protocol: Protocol,
    /// Where to. Of the same family as the client's address.
    pub destination: SocketAddr,
}

impl Packet {
    /// The family of its addresses.
    #[must_use]
    pub const fn family(&self) -> Family {
        Family::of(self.destination.ip())
    }

    /// The IPVS services that it may come to by its destination and by the mark that it may get:
    /// those whose servers must be known.
    #[must_use]
    pub fn services(&self, held: &Observed) -> Vec<ServiceId> {
        walk::services(self, held)
    }
}

/// Who sends a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Client {
    /// A process of this node that has no address of its own: it gets the one that the routes say.
    ThisNode,
    /// Somebody else.
    Other {
        /// The address, as the packet has it when it comes here.
        address: IpAddr,
        /// The interface it comes through. It matters where pods are told by it.
        interface: Option<String>,
    },
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Its source when it begins; `None` if this node has no address of the family.
    pub source: Option<IpAddr>,
    /// What happens to it, in order, up to the choice of a server.
    pub steps: Vec<Step>,
    /// How it ends.
    pub verdict: Verdict,
}

/// Something that happens to a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where on its way.
    pub hook: Hook,
    /// What.
    pub event: Event,
    /// Its mark afterwards.
    pub mark: u32,
    /// Why: fields of the Service, or of the node's configuration. None where it follows from the
    /// steps before.
    pub fields: Vec<Field>,
}

/// A place in the kernel where a packet passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hook {
    /// It came in.
    Prerouting,
    /// It is for this node.
    Input,
    /// It goes on to another host.
    Forward,
    /// It was made by this node, or IPVS sends it to another.
    Output,
    /// It goes out.
    Postrouting,
}

impl Hook {
    /// The name of the kernel's chains there.
    #[must_use]
    pub const fn chain(self) -> &'static str {
        match self {
            Self::Prerouting => "PREROUTING",
            Self::Input => "INPUT",
            Self::Forward => "FORWARD",
            Self::Output => "OUTPUT",
            Self::Postrouting => "POSTROUTING",
        }
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.chain())
    }
}

/// What happens to a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A rule matches. Those that do not are not told.
    Rule {
        /// The table.
        table: Table,
        /// The chain.
        chain: &'static str,
        /// The rule.
        rule: Rule,
        /// The members of sets that the packet was found to be, of those that the rule asks.
        entries: Vec<(SetId, Entry)>,
    },
    /// The routes are asked where it goes.
    Route(Owner),
    /// IPVS has a service for it.
    Balance {
        /// The service.
        service: Service,
        /// Its servers, those included that take no new connections (weight 0).
        servers: Vec<Destination>,
    },
}

/// Whose an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// An interface of this node has it.
    Interface,
    /// This node has it because a Service has.
    Service,
    /// Not this node's.
    Elsewhere,
}

/// How the way of a packet ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// IPVS gives the connection to one of these servers. By turns, weights or a hash, as its
    /// scheduler says.
    Balanced(Vec<Branch>),
    /// The client is told that nobody serves it.
    Refused(Refusal),
    /// The client gets no answer.
    Dropped,
    /// It is for this node itself, and no Service's: whatever listens there gets it.
    Local,
    /// It is no Service's here, and goes on by the routes.
    Routed {
        /// The source that it has then.
        source: Source,
    },
}

/// What becomes of a connection that was given to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// The server.
    pub server: Destination,
    /// What happens on the way to it.
    pub steps: Vec<Step>,
    /// The source that the server sees, or why it sees nothing.
    pub end: Result<Source, Stop>,
}

/// How a packet ends before it is anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stop {
    /// The client is told.
    Refused(Refusal),
    /// The client is not.
    Dropped,
}

/// How a client is told that nobody serves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// By a TCP reset.
    Reset,
    /// By an ICMP error: port unreachable.
    Unreachable,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reset => "TCP reset",
            Self::Unreachable => "ICMP port unreachable",
        })
    }
}

/// The source address of a packet that arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// As it was sent; `None` if this node sent it and has no address of the family.
    Kept(Option<IpAddr>),
    /// This node's, on the interface that it leaves by.
    Masqueraded,
}

/// What becomes of `packet` where `plane` decides.
#[must_use]
pub fn explain(packet: &Packet, plane: &DataPlane) -> Explanation {
    walk::walk(packet, plane)
}
