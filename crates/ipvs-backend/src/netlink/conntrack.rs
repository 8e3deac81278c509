//! Tracked UDP flows over netfilter netlink, subsystem 1
//! (`include/uapi/linux/netfilter/nfnetlink_conntrack.h`).
//!
//! The connection tracker remembers a flow by the addresses and ports of its first packet, and
//! which ones its replies carry. A UDP flow has no end, so as long as its client keeps sending it
//! is never looked at anew: what was right for its first packet stays.
//!
//! Only what is needed to forget such flows is here. A [`Flow`] is UDP, and has every part of its
//! identity, so a request that would flush the table, or touch another protocol, cannot be made.
//!
//! A client speaks to the network namespace its thread was in when it was opened. All requests
//! need `CAP_NET_ADMIN` there.

mod client;
mod codec;
mod flow;

pub use client::{Conntrack, FILTERED_DUMPS, Scope};
pub use flow::{Flow, Zone};

/// Reads `bytes` as each kind of answer there is.
#[cfg(feature = "fuzzing")]
pub(super) fn parse_anything(bytes: &[u8]) {
    let _ = codec::parse_flow(bytes);
}
