//! A way for a fuzzer to the parsers, which are nobody else's business.

use super::{conntrack, ipset, ipvs, message, route};

/// Reads `bytes` as whatever the kernel could have sent.
pub fn parse_anything(bytes: &[u8]) {
    message::replies(bytes).for_each(drop);
    ipvs::parse_anything(bytes);
    ipset::parse_anything(bytes);
    route::parse_anything(bytes);
    conntrack::parse_anything(bytes);
}
