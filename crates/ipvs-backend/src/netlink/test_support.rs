//! What codec tests share: bytes as text, bytes that were damaged, and a
//! comparison that forgives what is free.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::attribute::Attributes;

/// The bytes that a capture shows as hexadecimal digits.
pub(super) fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.bytes().filter(|digit| !digit.is_ascii_whitespace()).collect();
    let text = |pair| std::str::from_utf8(pair).expect("digits");
    digits.chunks(2).map(|pair| u8::from_str_radix(text(pair), 16).expect("digits")).collect()
}

/// What follows the netlink header of a captured message.
pub(super) fn payload(digits: &str) -> Vec<u8> {
    hex(digits).split_off(super::message::HEADER)
}

/// True if every attribute of `ours` is among `theirs`: a tool may send more, in another order,
/// and without the mark that says an attribute holds others.
pub(super) fn is_within(ours: &[u8], theirs: &[u8]) -> bool {
    Attributes::new(ours).all(|our| {
        Attributes::new(theirs).filter(|their| their.kind == our.kind).any(|their| {
            let nested = our.nested().next().is_some();
            our.payload == their.payload || nested && is_within(our.payload, their.payload)
        })
    })
}

/// One of `messages` with some bytes changed and an end cut off.
pub(super) fn damaged<const N: usize>(messages: [Vec<u8>; N]) -> impl Strategy<Value = Vec<u8>> {
    let damage = prop::collection::vec((any::<Index>(), any::<u8>()), 1..8);
    (select(messages.to_vec()), damage, any::<Index>()).prop_map(|(mut bytes, damage, cut)| {
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(cut.index(bytes.len() + 1));
        bytes
    })
}
