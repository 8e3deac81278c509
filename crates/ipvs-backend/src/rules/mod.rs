//! The static rules, as data. They refer to sets, so their number and text do not depend on any
//! Service; they are loaded once. Chain names, comments and the mark are kube-proxy's, which other
//! software on a node relies on.

mod config;
mod legacy;
mod removal;
mod render;
mod saved;
mod static_rules;

use ipnet::IpNet;
use proxy_core::{Family, Protocol};

use crate::set::SetId;

pub use config::{Detector, InputPolicy, MarkBit, Masquerade, RuleConfig};
pub use legacy::{LEGACY_TABLE, LegacyRules};
pub use render::render;
pub use saved::{Difference, removal_input, restore_input};
pub use static_rules::static_rules;

/// A table of the kernel's packet filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Marks, before anything is decided by them.
    Mangle,
    /// Address translation.
    Nat,
    /// Accept or not.
    Filter,
}

impl Table {
    /// Every table with rules of ours.
    pub const ALL: [Self; 3] = [Self::Mangle, Self::Nat, Self::Filter];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mangle => "mangle",
            Self::Nat => "nat",
            Self::Filter => "filter",
        }
    }
}

/// A chain of ours with its rules, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Its table.
    pub table: Table,
    /// Its name.
    pub name: &'static str,
    /// Its rules. It holds nothing else.
    pub rules: Vec<Rule>,
}

/// A rule in a chain of the kernel's that sends packets into one of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jump {
    /// The table.
    pub table: Table,
    /// The kernel's chain.
    pub from: &'static str,
    /// Where in it.
    pub place: Place,
    /// The rule.
    pub rule: Rule,
}

/// Where a jump goes when it is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Before all other rules.
    Head,
    /// After all other rules, whose word counts more than ours.
    Tail,
}

/// All the rules of one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The family.
    pub family: Family,
    /// Our chains.
    pub chains: Vec<Chain>,
    /// The ways into them. Of those that go to the head of a chain, the last ends up first.
    pub jumps: Vec<Jump>,
}

/// What is matched, all of it, and what then happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The conditions, in the order in which `iptables-save` shows them.
    pub matches: Vec<Match>,
    /// The consequence.
    pub target: Target,
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// The source address is in the network.
    Source(IpNet),
    /// The source address is not in the network.
    NotSource(IpNet),
    /// The packet did not come in through the interface; a `+` at the end matches any rest.
    NotInInterface(String),
    /// The protocol.
    Protocol(Protocol),
    /// An ICMP or `ICMPv6` echo request.
    EchoRequest(Family),
    /// A comment; always true.
    Comment(&'static str),
    /// These parts of the packet are a member of the set.
    InSet(SetId, &'static [Side]),
    /// These bits of the mark are set.
    Marked(u32),
    /// These bits of the mark are not set.
    NotMarked(u32),
    /// These parts of the packet are no member of the set.
    NotInSet(SetId, &'static [Side]),
    /// It came in through the interface; a `+` at the end matches any rest.
    InInterface(String),
    /// It goes to this TCP port now, and did not before its destination was translated.
    SentToPort(u16),
    /// The destination is an address of this node.
    DestinationIsLocal,
    /// The source is no address of this node.
    SourceIsNotLocal,
    /// The connection is new.
    New,
    /// The connection is established or related to one that is.
    Established,
    /// It answers, or is an error about, what this node or a client behind it has sent.
    Reply,
}

/// Which address or port of a packet is looked up in a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The source's.
    Source,
    /// The destination's.
    Destination,
}

/// What happens to a packet that matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// It goes through another chain of ours.
    Jump(&'static str),
    /// It goes on where it came from.
    Return,
    /// It is accepted in this table.
    Accept,
    /// It vanishes.
    Drop,
    /// It is answered with an ICMP port-unreachable error.
    Reject(Family),
    /// It is answered with a TCP reset.
    Reset,
    /// It goes to this port of the same address instead.
    ToPort(u16),
    /// These bits of its mark are set.
    Mark(u32),
    /// These bits of its mark are flipped.
    FlipMark(u32),
    /// Its mark becomes what the set has for its destination address and port, if it has it.
    MarkFromSet(SetId),
    /// Its source becomes this node's address on the way out, the port kept where possible.
    Masquerade,
    /// Its source becomes this node's address on the way out, the port chosen at random: the
    /// kernel races less for the same port.
    MasqueradeRandom,
}
