//! Announcements of a Linux 6.1 kernel, captured from sockets in the groups.
#![cfg(target_endian = "little")]

use proptest::prelude::*;

use super::*;
use crate::netlink::test_support::{damaged, hex};

/// ip address add 192.168.10.5/24 dev eth0
const NEW_ADDRESS: &str = "50000000140000002dd4056bd0020000021880000200000008000100c0a80a0508000200c0a80a050900\
     03006574683000000000080008008000000014000600ffffffffffffffff6c0100006c010000";

/// ip address add fd10::5/64 dev eth0: the first of two
const TENTATIVE_ADDRESS: &str = "480000001400000000000000000000000a40c0000200000014000100fd10000000000000000000000000\
     000514000600ffffffffffffffff8f0100008f01000008000800c0000000";

/// ip address del fd10::5/64 dev eth0
const GONE_ADDRESS: &str = "480000001500000000000000000000000a4080000200000014000100fd10000000000000000000000000\
     000514000600ffffffffffffffff8f0100008f0100000800080080000000";

/// ip address add 192.168.10.5/24 dev eth0: the kernel's own route
const KERNEL_ROUTE: &str = "3c00000018000006000000000000000002200000ff02fe020000000008000f00ff00000008000100c0a8\
     0a0508000700c0a80a050800040002000000";

/// ip route prepend local 10.96.0.1 dev lo table local src 192.168.10.5 proto 153
const NEW_ROUTE: &str = "3c0000001800000630d4056bd602000002200000ff99fe020000000008000f00ff000000080001000a60\
     000108000700c0a80a050800040001000000";

/// ip route del local 10.96.0.1 dev lo table local proto 153
const GONE_ROUTE: &str = "3c0000001900000032d4056be402000002200000ff99fe020000000008000f00ff000000080001000a60\
     000108000700c0a80a050800040001000000";

/// ip -6 route del local fd96::1 dev lo table local proto 153
const GONE_ROUTE_IPV6: &str = "880000001900000033d4056be60200000a800000ff9900020000000008000f00ff00000014000100fd96\
     000000000000000000000000000114000700fd1000000000000000000000000000050800060000020000\
     080004000100000024000c00000000000000000000000000000000000000000000000000000000000000\
     00000500140000000000";

/// ip link set lo down, less most attributes: all that is said of the IPv4 routes that go too
const LOOPBACK_DOWN: &str = "3000000010000000000000000000000000000403010000000800000001000000070003006c6f00000800\
     0d00e8030000";

/// ip link add kube-ipvs0 type dummy, less most attributes
const NEW_DUMMY: &str = "30000000100000000000000000000000000001000300000082000000ffffffff0f0003006b7562652d69\
     707673300000";

/// ip link add veth01234 type dummy, likewise
const OTHER_LINK: &str = "300000001000000000000000000000000000010003000000820000\
     00ffffffff0e000300766574683031323334000000";

/// iptables -t nat -A KUBE-SERVICES -j RETURN
const NEW_RULE: &str = "9c000000060a000c020000008e00000002000004080001006e617400120002004b5542452d5345525649\
     4345530000000c0003000000000000000004600004002c0001000c000100636f756e746572001c000200\
     0c00010000000000000000000c0002000000000000000000300001000e000100696d6d65646961746500\
     00001c0002000800010000000000100002000c00020008000100fffffffb";

/// iptables -t nat -F KUBE-SERVICES
const GONE_RULE: &str = "9c000000080a0000020000009600000002000008080001006e617400120002004b5542452d5345525649\
     4345530000000c0003000000000000000004600004002c0001000c000100636f756e746572001c000200\
     0c00010000000000000000000c0002000000000000000000300001000e000100696d6d65646961746500\
     00001c0002000800010000000000100002000c00020008000100fffffffb";

/// iptables -t nat -F, with a jump in PREROUTING
const GONE_JUMP: &str = "ac000000080a0000020000009800000002000009080001006e6174000f000200505245524f5554494e47\
     00000c0003000000000000000003740004002c0001000c000100636f756e746572001c0002000c000100\
     00000000000000000c0002000000000000000000440001000e000100696d6d6564696174650000003000\
     02000800010000000000240002002000020008000100fffffffd120002004b5542452d53455256494345\
     53000000";

/// iptables -t nat -X KUBE-SERVICES
const GONE_CHAIN: &str = "44000000050a0000020000009a0000000200000a080001006e6174000c00020000000000000000011200\
     03004b5542452d53455256494345530000000800060000000000";

/// iptables -t nat -F OTHER
const GONE_OTHER_RULE: &str = "94000000080a0000020000009400000002000007080001006e6174000a0002004f544845520000000c00\
     03000000000000000006600004002c0001000c000100636f756e746572001c0002000c00010000000000\
     000000000c0002000000000000000000300001000e000100696d6d6564696174650000001c0002000800\
     010000000000100002000c00020008000100fffffffb";

/// what follows each of these
const GENERATION: &str = "340000000f0a0000020000009400000000000007080001000000000708000200000000940d0003006970\
     7461626c657300000000";

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn route(address: &str, source: &str) -> LocalRoute {
    LocalRoute {
        address: ip(address),
        device: 1,
        preferred_source: Some(ip(source)),
        protocol: ROUTE_PROTOCOL,
    }
}

#[track_caller]
fn check(datagram: &str, expected: &[Change]) {
    assert_eq!(heard(&NETWORK, Ok(()), &hex(datagram)).expect("it was received"), expected);
}

#[test]
fn addresses_come_and_go() {
    check(NEW_ADDRESS, &[Change::Address(ip("192.168.10.5"))]);
    check(TENTATIVE_ADDRESS, &[Change::Address(ip("fd10::5"))]);
    check(GONE_ADDRESS, &[Change::Address(ip("fd10::5"))]);
}

#[test]
fn of_routes_only_that_ours_go_matters() {
    let ipv4 = route("10.96.0.1", "192.168.10.5");
    check(NEW_ROUTE, &[]);
    check(GONE_ROUTE, &[Change::RouteRemoved(ipv4)]);
    check(GONE_ROUTE_IPV6, &[Change::RouteRemoved(route("fd96::1", "fd10::5"))]);
    check(KERNEL_ROUTE, &[]);
}

#[test]
fn of_devices_only_those_with_addresses_of_virtual_servers_matter() {
    check(LOOPBACK_DOWN, &[Change::Device]);
    check(NEW_DUMMY, &[Change::Device]);
    check(OTHER_LINK, &[]);
}

#[track_caller]
fn check_rules(datagram: &str, expected: &[Change]) {
    assert_eq!(heard(&RULES, Ok(()), &hex(datagram)).expect("it was received"), expected);
}

#[test]
fn of_the_packet_filter_only_what_may_have_been_ours_matters_and_only_when_it_goes() {
    check_rules(NEW_RULE, &[]);
    check_rules(GENERATION, &[]);
    check_rules(GONE_OTHER_RULE, &[]);
    for gone in [GONE_RULE, GONE_JUMP, GONE_CHAIN] {
        check_rules(gone, &[Change::Rules]);
        // The same in a table of family inet.
        check_rules(
            &gone
                .replacen("02000009", "01000009", 1)
                .replacen("02000008", "01000008", 1)
                .replacen("0200000a", "0100000a", 1),
            &[],
        );
    }
    check_rules("ff000000080a0000020000009400000002000007", &[Change::Rules]);
}

#[test]
fn several_in_a_datagram_are_heard_in_order() {
    let ipv4 = route("10.96.0.1", "192.168.10.5");
    let datagram = [GONE_ROUTE, KERNEL_ROUTE, NEW_ADDRESS].concat();
    check(&datagram, &[Change::RouteRemoved(ipv4), Change::Address(ip("192.168.10.5"))]);
}

#[test]
fn what_was_lost_or_cannot_be_read_may_be_anything() {
    check("ff0000001400000019d4056bcb020000", &[Change::Unknown]);
    // NLMSG_OVERRUN
    check("10000000040000000000000000000000", &[Change::Unknown]);
    let failed = |error: io::Error| heard(&NETWORK, Err(error), &[]).map_err(|error| error.kind());
    assert_eq!(failed(Errno::NOBUFS.into()), Ok(vec![Change::Unknown]));
    assert_eq!(failed(io::ErrorKind::InvalidData.into()), Ok(vec![Change::Unknown]));
    assert_eq!(failed(io::ErrorKind::WouldBlock.into()), Ok(vec![]));
    assert_eq!(failed(io::ErrorKind::Interrupted.into()), Ok(vec![]));
    assert_eq!(failed(io::ErrorKind::NotConnected.into()), Err(io::ErrorKind::NotConnected));
}

proptest! {
    #[test]
    fn any_bytes_are_read(bytes: Vec<u8>) {
        for source in [&NETWORK, &RULES] {
            prop_assert!(heard(source, Ok(()), &bytes).is_ok());
        }
    }

    #[test]
    fn damaged_announcements_are_read(
        bytes in damaged([NEW_ADDRESS, NEW_ROUTE, GONE_ROUTE_IPV6, NEW_DUMMY, GONE_RULE].map(hex)),
    ) {
        for source in [&NETWORK, &RULES] {
            prop_assert!(heard(source, Ok(()), &bytes).is_ok());
        }
    }
}
