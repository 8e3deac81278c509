//! Hears from the kernel what others change: addresses, devices, the routes that carry our mark, and
//! the packet filter.
//!
//! It gives facts and draws no conclusion. What we do ourselves is announced to us as well; whether
//! a removed route is damage only its owner can tell. Only what the rest of this crate depends on
//! is heard, so that a node on which pods come and go is not busy listening.

mod filter;

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use netlink_sys::protocols::{NETLINK_NETFILTER, NETLINK_ROUTE};
use socket2::SockFilter;

use super::Errno;
use super::attribute::Attributes;
use super::message::{self, Content};
use super::route::{LocalRoute, message_type, parse_address, parse_link, parse_route};
use super::transport::Subscription;
use crate::rules::Table;
use crate::{DUMMY_DEVICE, ROUTE_PROTOCOL};

/// Something that changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// An interface got this address or lost it, or it became usable.
    Address(IpAddr),
    /// A device changed on which we bind addresses: `lo` or `kube-ipvs0`. It may have taken
    /// addresses and routes along: the kernel does not announce IPv4 routes that go down with a
    /// device.
    Device,
    /// A route that carries our mark went.
    RouteRemoved(LocalRoute),
    /// Announcements of these were lost: anything may have changed.
    Unknown,
    /// A rule or a chain of the packet filter went, which may have been ours.
    Rules,
}

/// What a monitor listens to.
struct Source {
    protocol: isize,
    groups: &'static [u32],
    /// What of it the kernel shall hand over; all if empty.
    filter: &'static [SockFilter],
    /// What is to be learned of an announcement.
    read: fn(u16, &[u8]) -> Option<Change>,
    /// What is to be feared when some were lost.
    lost: Change,
}

/// The groups are `RTNLGRP_*` of `include/uapi/linux/rtnetlink.h`: links, then addresses and routes
/// of IPv4 and of IPv6.
const NETWORK: Source = Source {
    protocol: NETLINK_ROUTE,
    groups: &[1, 5, 7, 9, 11],
    filter: &filter::NO_ROUTES_BUT_REMOVALS_OF_OURS,
    read: network_change,
    lost: Change::Unknown,
};

/// The group is `NFNLGRP_NFTABLES` of `include/uapi/linux/netfilter/nfnetlink.h`.
const RULES: Source = Source {
    protocol: NETLINK_NETFILTER,
    groups: &[7],
    filter: &[],
    read: rules_change,
    lost: Change::Rules,
};

/// Hears changes in one network namespace.
pub struct Monitor {
    source: &'static Source,
    subscription: Subscription,
    datagram: Vec<u8>,
}

impl std::fmt::Debug for Monitor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Monitor").finish_non_exhaustive()
    }
}

impl Monitor {
    /// Hears of addresses, devices and routes from now on, in the network namespace of the calling
    /// thread. What happens while nobody waits is kept, as far as there is room.
    ///
    /// # Errors
    /// Whatever the system calls say.
    pub fn of_network() -> io::Result<Self> {
        Self::open(&NETWORK)
    }

    /// Hears of the packet filter likewise, if it is `nf_tables`. The older `ip_tables` announces
    /// nothing.
    ///
    /// # Errors
    /// Whatever the system calls say; `EPROTONOSUPPORT` if the kernel has no netfilter.
    pub fn of_rules() -> io::Result<Self> {
        Self::open(&RULES)
    }

    fn open(source: &'static Source) -> io::Result<Self> {
        let subscription = Subscription::open(source.protocol, source.groups, source.filter)?;
        Ok(Self { source, subscription, datagram: Vec::new() })
    }

    /// Begins anew, after an error of [`Self::wait`].
    ///
    /// # Errors
    /// Whatever the system calls say.
    pub fn reopen(&mut self) -> io::Result<()> {
        *self = Self::open(self.source)?;
        Ok(())
    }

    /// What is to be feared when announcements were lost.
    #[must_use]
    pub const fn lost(&self) -> Change {
        self.source.lost
    }

    /// Waits for an announcement, at most for `timeout`. Returns the changes in it, in order; there
    /// may be none that matter.
    ///
    /// # Errors
    /// When the socket failed: then [`Self::reopen`], and take it that [`Self::lost`] happened.
    pub fn wait(&mut self, timeout: Duration) -> io::Result<Vec<Change>> {
        let received = self.subscription.receive(&mut self.datagram, timeout);
        heard(self.source, received, &self.datagram)
    }
}

/// What is to be learned of an attempt to receive. Without room for it, the kernel drops what it
/// announces and says so once.
fn heard(source: &Source, received: io::Result<()>, datagram: &[u8]) -> io::Result<Vec<Change>> {
    let change = |content: Content<'_>| match content {
        Content::Data { kind, payload } => (source.read)(kind, payload),
        Content::Overrun => Some(source.lost),
        _ => None,
    };
    match received {
        Ok(()) => {
            let replies = message::replies(datagram);
            let changes = replies.filter_map(|reply| match reply {
                Some(reply) => change(reply.content),
                None => Some(source.lost),
            });
            Ok(changes.collect())
        }
        Err(error) if error.raw_os_error() == Some(Errno::NOBUFS.raw()) => Ok(vec![source.lost]),
        Err(error) => match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(Vec::new()),
            io::ErrorKind::InvalidData => Ok(vec![source.lost]),
            _ => Err(error),
        },
    }
}

fn network_change(kind: u16, payload: &[u8]) -> Option<Change> {
    match kind {
        message_type::NEW_ADDR | message_type::DEL_ADDR => {
            Some(Change::Address(parse_address(payload)?.address))
        }
        message_type::NEW_LINK | message_type::DEL_LINK => {
            let name = parse_link(payload)?.name;
            (name == "lo" || name == DUMMY_DEVICE).then_some(Change::Device)
        }
        message_type::DEL_ROUTE => {
            Some(Change::RouteRemoved(parse_route(payload, ROUTE_PROTOCOL)?))
        }
        _ => None,
    }
}

/// Whatever is removed from a chain that is named like ours, or from one with jumps into ours. That
/// it was one of these jumps only older kernels say: since 6.3 a removed rule is announced by its
/// number.
fn rules_change(kind: u16, payload: &[u8]) -> Option<Change> {
    /// Length of `struct nfgenmsg`; the family comes first.
    const HEADER: usize = 4;
    /// `NFNL_SUBSYS_NFTABLES` and `NFT_MSG_*` of `include/uapi/linux/netfilter/nf_tables.h`.
    const DEL_TABLE: u16 = 10 << 8 | 2;
    const DEL_CHAIN: u16 = 10 << 8 | 5;
    const DEL_RULE: u16 = 10 << 8 | 8;
    /// `NFTA_TABLE_NAME`, `NFTA_CHAIN_TABLE` and `NFTA_RULE_TABLE`.
    const TABLE: u16 = 1;
    const CHAIN_NAME: u16 = 3;
    const RULE_CHAIN: u16 = 2;
    /// `NFPROTO_IPV4` and `NFPROTO_IPV6`: the tables of iptables and ip6tables.
    const FAMILIES: [u8; 2] = [2, 10];
    const HOOKED: [&str; 5] = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"];

    let header: &[u8; HEADER] = payload.first_chunk()?;
    let attributes = Attributes::new(&payload[HEADER..]);
    let text = |kind| attributes.find(kind).and_then(|attribute| attribute.text());
    let table = text(TABLE)?;
    let is_ours = FAMILIES.contains(&header[0]) && Table::ALL.iter().any(|it| it.name() == table);
    let may_be_ours = |chain: &str| chain.starts_with("KUBE-") || HOOKED.contains(&chain);
    let went = match kind {
        DEL_TABLE => true,
        DEL_CHAIN => may_be_ours(text(CHAIN_NAME)?),
        DEL_RULE => may_be_ours(text(RULE_CHAIN)?),
        _ => false,
    };
    (is_ours && went).then_some(Change::Rules)
}

#[cfg(test)]
#[path = "monitor_tests.rs"]
mod tests;
