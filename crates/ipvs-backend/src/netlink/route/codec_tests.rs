//! Route messages against bytes of a Linux 6.1 kernel and of `ip`, captured with an `nlmon`
//! device.
#![cfg(target_endian = "little")]

use proptest::prelude::*;

use super::*;
use crate::netlink::test_support::{damaged, is_within, payload};

/// ip route prepend local 10.96.0.1 dev lo table local src 192.168.10.5 proto 200
const PREPEND: &str = "340000001800050457cc056b0000000002200000ffc8fe0200000000080001000a60000108000700c0a80a05\
     0800040001000000";

/// ip -6 route add local fd96::1 dev lo table local src fd10::5 proto 200 metric 512
const ADD_IPV6: &str = "540000001800050657cc056b000000000a800000ffc800020000000014000100fd9600000000000000000000\
     0000000114000700fd10000000000000000000000000000508000600000200000800040001000000";

/// ip route del local 10.96.0.1 dev lo table local src 192.168.10.5 proto 200
const DELETE: &str = "340000001900050058cc056b0000000002200000ffc8fe0200000000080001000a60000108000700c0a80a05\
     0800040001000000";

/// ip route show table local proto 200: what the kernel answers.
const ROUTE: &str = "3c0000001800220058cc056b0604000002200000ffc8fe020000000008000f00ff000000080001000a600001\
     08000700c0a80a050800040001000000";

/// ip -6 route show table local proto 200: what the kernel answers.
const ROUTE_IPV6: &str = "880000001800220058cc056b080400000a800000ffc800020000000008000f00ff00000014000100fd960000\
     00000000000000000000000114000700fd100000000000000000000000000005080006000002000008000400\
     0100000024000c00000000000000000000000000000000000000000000000000000000000000000005001400\
     00000000";

/// ip link add kube-ipvs0 type dummy
const ADD_DUMMY: &str = "400000001000050659cc056b00000000000000000000000000000000000000000f0003006b7562652d697076\
     73300000100012000900010064756d6d79000000";

/// ip address add 10.96.0.7/32 dev kube-ipvs0
const ADD_ADDRESS: &str =
    "280000001400050659cc056b000000000220000004000000080002000a600007080001000a600007";

/// ip address show: what the kernel answers.
const ADDRESS: &str = "50000000140002005bcc056b16040000021880000300000008000100c0a80a0508000200c0a80a0509000300\
     6574683000000000080008008000000014000600ffffffffffffffff270b0000270b0000";

/// ip address show: what the kernel answers.
const ADDRESS_IPV6: &str = "48000000140002005bcc056b160400000a4082000300000014000100fd100000000000000000000000000005\
     14000600ffffffffffffffff290b0000290b00000800080082000000";

/// ip address add 10.96.0.7/32 dev kube-ipvs0: what the kernel answers to RTM_GETLINK, less the long
/// attributes of statistics.
const LINK: &str = "080100001000000059cc056b2dad0f84000001000400000082000000000000000f0003006b7562652d697076\
     7330000008000d00e80300000500100002000000050011000000000008000400dc0500000800320000000000\
     080033000000000008001b000000000008001e000000000008003d000000000008001f000100000008002800\
     ffff0000080029000000010008003a000000010008003b000000010008003c00ffff00000500210001000000\
     090006006e6f6f7000000000080023000000000008002f000000000008003000000000000500270000000000\
     0a000100823bbd67d50600000a000200ffffffffffff000004002a00100012000a00010064756d6d79000000";

const OURS: u8 = 200;
/// Length of `struct rtmsg`.
const ROUTE_HEADER: usize = 12;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn route(address: &str, source: &str) -> LocalRoute {
    LocalRoute {
        address: ip(address),
        device: 1,
        preferred_source: Some(ip(source)),
        protocol: OURS,
    }
}

fn emitted(emit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    emit(&mut bytes);
    bytes
}

/// What is sent has the parts that `ip` sends.
#[track_caller]
fn check(ours: &[u8], tool: &str, header: usize) {
    let tool = payload(tool);
    assert!(is_within(&ours[header..], &tool[header..]), "{ours:02x?} {tool:02x?}");
    assert_eq!(ours.len(), tool.len());
}

#[test]
fn sends_what_ip_sends() {
    let ipv4 = route("10.96.0.1", "192.168.10.5");
    let ipv6 = route("fd96::1", "fd10::5");
    let add = emitted(|bytes| emit_route(bytes, &ipv4, Purpose::Create));
    check(&add, PREPEND, ROUTE_HEADER);
    // `ip` leaves the scope to the kernel for IPv6 and in deletes; the rest is the same.
    assert_eq!(add[..8], payload(PREPEND)[..8]);
    let add = emitted(|bytes| emit_route(bytes, &ipv6, Purpose::Create));
    check(&add, ADD_IPV6, ROUTE_HEADER);
    assert_eq!(add[..6], payload(ADD_IPV6)[..6]);
    let delete = emitted(|bytes| emit_route(bytes, &ipv4, Purpose::Delete));
    check(&delete, DELETE, ROUTE_HEADER);
    assert_eq!(delete[..8], payload(DELETE)[..8]);
    let address = emitted(|bytes| emit_address(bytes, 4, ip("10.96.0.7")));
    check(&address, ADD_ADDRESS, 8);
    assert_eq!(address[..8], payload(ADD_ADDRESS)[..8]);
    let dummy = emitted(|bytes| emit_dummy_link(bytes, "kube-ipvs0"));
    // The kind with or without a NUL is the same to the kernel.
    assert_eq!(parse_link(&dummy), parse_link(&payload(ADD_DUMMY)));
}

#[test]
fn reads_what_the_kernel_shows() {
    let ipv4 = Some(route("10.96.0.1", "192.168.10.5"));
    let ipv6 = Some(route("fd96::1", "fd10::5"));
    assert_eq!(parse_route(&payload(ROUTE), OURS), ipv4);
    assert_eq!(parse_route(&payload(ROUTE_IPV6), OURS), ipv6);
    // An old kernel does not filter.
    assert_eq!(parse_route(&payload(ROUTE), OURS + 1), None);
    let address = |index, address: &str, prefix_len| {
        Some(InterfaceAddress {
            index,
            name: String::new(),
            address: ip(address),
            prefix_len,
            scope: 0,
            is_tentative: false,
        })
    };
    assert_eq!(parse_address(&payload(ADDRESS)), address(3, "192.168.10.5", 24));
    assert_eq!(parse_address(&payload(ADDRESS_IPV6)), address(3, "fd10::5", 64));
    let link =
        Link { index: 4, name: "kube-ipvs0".to_owned(), kind: Some("dummy".to_owned()), up: false };
    assert_eq!(parse_link(&payload(LINK)), Some(link));
}

prop_compose! {
    fn any_route()(ipv6: bool, octets: [[u8; 16]; 2], source: bool, device: u32, protocol: u8)
        -> LocalRoute
    {
        let [address, preferred] = octets.map(|octets| match octets.first_chunk::<4>() {
            Some(short) if !ipv6 => IpAddr::from(*short),
            _ => IpAddr::from(octets),
        });
        LocalRoute { address, device, preferred_source: source.then_some(preferred), protocol }
    }
}

proptest! {
    #[test]
    fn a_route_comes_back(route in any_route()) {
        let bytes = emitted(|bytes| emit_route(bytes, &route, Purpose::Create));
        prop_assert_eq!(parse_route(&bytes, route.protocol), Some(route));
    }

    #[test]
    fn an_address_comes_back(route in any_route()) {
        let bytes = emitted(|bytes| emit_address(bytes, route.device, route.address));
        let found = parse_address(&bytes).map(|found| (found.index, found.address));
        prop_assert_eq!(found, Some((route.device, route.address)));
    }

    #[test]
    fn any_bytes_are_read(bytes: Vec<u8>) {
        let _ = (parse_route(&bytes, OURS), parse_address(&bytes), parse_link(&bytes));
    }

    #[test]
    fn damaged_messages_are_read(
        bytes in damaged([ROUTE, ROUTE_IPV6, ADDRESS, ADDRESS_IPV6, LINK].map(payload)),
    ) {
        let _ = (parse_route(&bytes, OURS), parse_address(&bytes), parse_link(&bytes));
    }
}
