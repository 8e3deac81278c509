//! What the kernel does not even hand over: a node on which routes come and go by the thousand,
//! those of pods, of a routing daemon, or ours at a start, wakes nobody.
//!
//! A program for the kernel's packet filter of sockets
//! (`Documentation/networking/filter.rst`), which sees one announcement at a time.

use socket2::SockFilter;

use crate::ROUTE_PROTOCOL;
use crate::netlink::route::message_type;

/// `BPF_*` of `include/uapi/linux/bpf_common.h`: load 16 or 8 bits at an offset, jump if equal to
/// a constant, return a constant.
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const JUMP_IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

/// Offset of `nlmsg_type` in `struct nlmsghdr`.
const TYPE: u32 = 4;
/// Offset of `rtm_protocol` in the `struct rtmsg` that follows it.
const PROTOCOL: u32 = 16 + 5;

/// Of routes only the removals of those with our mark, and everything that is not about routes.
pub(super) const NO_ROUTES_BUT_REMOVALS_OF_OURS: [SockFilter; 7] = [
    SockFilter::new(LOAD_HALF, 0, 0, TYPE),
    SockFilter::new(JUMP_IF_EQUAL, 3, 0, loaded(message_type::NEW_ROUTE)),
    SockFilter::new(JUMP_IF_EQUAL, 0, 3, loaded(message_type::DEL_ROUTE)),
    SockFilter::new(LOAD_BYTE, 0, 0, PROTOCOL),
    SockFilter::new(JUMP_IF_EQUAL, 1, 0, ROUTE_PROTOCOL as u32),
    SockFilter::new(RETURN, 0, 0, 0),
    SockFilter::new(RETURN, 0, 0, u32::MAX),
];

/// What the program loads of a number in this machine's byte order: it takes it for the network's.
const fn loaded(number: u16) -> u32 {
    number.to_be() as u32
}
