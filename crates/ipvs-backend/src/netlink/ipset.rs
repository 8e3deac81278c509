//! IP sets over netfilter netlink, subsystem 6
//! (`include/uapi/linux/netfilter/ipset/ip_set.h`).
//!
//! Adds and deletes of one set that follow each other travel in one message, up to 200 entries;
//! a refused entry is told apart by its line number, and those after it are sent again, since
//! the kernel stops a message at the first refusal. Requests take effect in the order given.
//!
//! Sets are per network namespace, as is a client: it speaks to the one its thread was in when
//! it was opened. All requests need `CAP_NET_ADMIN` there.

mod client;
mod codec;
mod entry;
mod error;
mod listing;
mod name;
mod pack;
mod request;
mod set;

pub use client::Ipset;
pub use entry::{Entry, Mark, Member, Network};
pub use error::SetError;
pub use name::{InvalidSetName, SetName};
pub use request::Request;
pub use set::{SetKind, SetSpec, SetState};

/// Reads `bytes` as each kind of answer there is.
#[cfg(feature = "fuzzing")]
pub(super) fn parse_anything(bytes: &[u8]) {
    let mut listing = listing::Listing::default();
    listing.push(bytes);
    let _ = (listing.into_sets(), codec::parse_type(bytes), codec::parse_line(bytes));
}
