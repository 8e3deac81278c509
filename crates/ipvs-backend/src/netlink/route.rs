//! Local routes, addresses and links over route netlink, in the message types of
//! `netlink-packet-route`.

mod client;
mod codec;
mod value;

pub(super) use codec::{message_type, parse_address, parse_link, parse_route};

pub use client::Route;
pub use value::{InterfaceAddress, Link, LocalRoute, Request};

/// Reads `bytes` as each kind of answer there is.
#[cfg(feature = "fuzzing")]
pub(super) fn parse_anything(bytes: &[u8]) {
    let _ = (codec::parse_route(bytes, crate::ROUTE_PROTOCOL), codec::parse_address(bytes));
    let _ = codec::parse_link(bytes);
}
