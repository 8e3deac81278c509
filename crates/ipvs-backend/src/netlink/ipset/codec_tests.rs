//! ipset messages against bytes of a Linux 6.1 kernel and of `ipset` 7.17, captured with an
//! `nlmon` device.
#![cfg(target_endian = "little")]

use ipnet::IpNet;
use proptest::prelude::*;

use super::super::listing::{Listing, parse_member};
use super::super::{Network, SetState};
use super::*;
use crate::netlink::test_support::{damaged, is_within, payload};

/// ipset create N hash:ip,port,net family inet6 hashsize 2048 maxelem 70000 skbinfo
const CREATE_NET: &str = "680000000206050655cc056b00000000020000000500010007000000060002004e0000001500030068617368\
     3a69702c706f72742c6e6574000000000500040008000000050005000a0000001c0007800800084000000040\
     08001240000008000800134000011170";

/// ipset create B bitmap:port range 0-65535
const CREATE_BITMAP: &str = "580000000206050656cc056b000000000200000005000100070000000600020042000000100003006269746d\
     61703a706f7274000500040003000000050005000000000014000780060004400000000006000540ffff0000";

/// ipset add N fd00::1,udp:53,fd02::/64 skbmark 0x1/0xff
const ADD_NET: &str = "840000000906050255cc056b00000000020000000500010007000000060002004e0000006000078018000180\
     14000240fd000000000000000000000000000001060004400035000005000700110000001800148014000240\
     fd02000000000000000000000000000005001500400000000c001b4000000001000000ff0800094000000000";

/// ipset add B 30080
const ADD_PORT: &str = "380000000906050256cc056b0000000002000000050001000700000006000200420000001400078006000440\
     758000000800094000000000";

/// ipset del H 10.0.0.1,tcp:80,10.0.0.1
const DELETE_IP: &str = "580000000a06050257cc056b000000000200000005000100070000000600020048000000340007800c000180\
     080001400a000001060004400050000005000700060000000c001480080001400a0000010800094000000000";

/// ipset swap H N
const SWAP: &str =
    "2c0000000606050057cc056b000000000200000005000100070000000600020048000000060003004e000000";

/// ipset destroy H
const DESTROY: &str = "240000000306050257cc056b000000000200000005000100070000000600020048000000";

/// ipset create N hash:ip,port,net: what the kernel answers to IPSET_CMD_TYPE.
const TYPE: &str = "4c0000000d06000054cc056be503000002000000050001000700000015000300686173683a69702c706f7274\
     2c6e6574000000000500050002000000050004000800000005000a0000000000";

/// ipset save: what the kernel answers.
const LIST_NET: &str = "440100000706020057cc056bf5030000020000000500010007000000060002004e0000001500030068617368\
     3a69702c706f72742c6e657400000000050005000a000000050004000800000006000b400000000044000780\
     08001240000008000800134000011170050015000c0000000800114094e17266080019400000000008001a40\
     0000060008001840000000020800084000000040ac0008805c0007801800018014000200fd00000000000000\
     00000000000000011800148014000200fd020000000000000000000000000000060004400035000005001500\
     40000000050007001100000004001e000c001b4000000001000000ff4c0007801800018014000200fd000000\
     0000000000000000000000011800148014000200fd0200000000000000000000000000010600044000350000\
     05001500800000000500070006000000";

/// ipset save: what the kernel answers.
const LIST_BITMAP: &str = "880000000706020057cc056bf50300000200000005000100070000000600020042000000100003006269746d\
     61703a706f7274000500050000000000050004000300000006000b40000100002c0007800600044000000000\
     06000540ffff0000080019400000000008001a40000020480800184000000001100008800c00078006000440\
     75800000";

/// ipset save: what the kernel answers.
const LIST_IP: &str = "900000000706020057cc056bf503000002000000050001000700000006000200480000001400030068617368\
     3a69702c706f72742c6970000500050002000000050004000600000006000b40000200003c00078008001240\
     000004000800134000010000050015000c00000008001140fb66d346080019400000000008001a40000000c8\
     080018400000000004000880";

/// The header of netfilter and the protocol version; the tool speaks a newer one.
const PREAMBLE: usize = NFGEN_HEADER + 8;

fn set(name: &str) -> SetName {
    SetName::try_from(name).expect("short")
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn net_spec() -> SetSpec {
    SetSpec {
        max_elements: 70_000,
        hash_size: 2048,
        ..SetSpec::new(set("N"), SetKind::HashIpPortNet(Family::Ipv6)).with_skbinfo()
    }
}

fn net_members() -> [Member; 2] {
    let entry = |protocol, network: &str| Entry::IpPortNet {
        address: ip("fd00::1"),
        protocol,
        port: 53,
        network: Network::from(network.parse::<IpNet>().expect("a network")),
    };
    [
        Member {
            entry: entry(Protocol::Udp, "fd02::77/64"),
            mark: Some(Mark { value: 1, mask: 0xff }),
        },
        entry(Protocol::Tcp, "fd02::1/128").into(),
    ]
}

fn ip_member() -> Member {
    let address = ip("10.0.0.1");
    Entry::IpPortIp { address, protocol: Protocol::Tcp, port: 80, source: address }.into()
}

/// What is sent is what `ipset` sends, which may say more.
#[track_caller]
fn check(emit: impl FnOnce(&mut Vec<u8>), tool: &str) {
    let mut ours = Vec::new();
    emit(&mut ours);
    let tool = payload(tool);
    assert_eq!(ours[..NFGEN_HEADER], tool[..NFGEN_HEADER]);
    assert!(is_within(&ours[PREAMBLE..], &tool[PREAMBLE..]), "{ours:02x?} {tool:02x?}");
}

#[test]
fn sends_what_ipset_sends() {
    let bitmap = SetSpec::new(set("B"), SetKind::BitmapPort);
    check(|bytes| emit_create(bytes, &net_spec(), 8), CREATE_NET);
    check(|bytes| emit_create(bytes, &bitmap, 3), CREATE_BITMAP);
    check(|bytes| emit_members(bytes, set("N"), &net_members()[..1]), ADD_NET);
    check(|bytes| emit_members(bytes, set("B"), &[Entry::Port(30_080).into()]), ADD_PORT);
    check(|bytes| emit_members(bytes, set("H"), &[ip_member()]), DELETE_IP);
    check(|bytes| emit_swap(bytes, set("H"), set("N")), SWAP);
    check(|bytes| emit_about(bytes, set("H")), DESTROY);
}

#[test]
fn reads_what_the_kernel_lists() {
    let mut listing = Listing::default();
    for message in [LIST_NET, LIST_BITMAP, LIST_IP] {
        listing.push(&payload(message));
    }
    let state =
        |spec, members: &[Member]| SetState { spec, references: 0, members: members.to_vec() };
    let bitmap = SetSpec::new(set("B"), SetKind::BitmapPort);
    let hash = SetSpec::new(set("H"), SetKind::HashIpPortIp(Family::Ipv4));
    let expected = [
        state(net_spec(), &net_members()),
        state(bitmap, &[Entry::Port(30_080).into()]),
        state(hash, &[]),
    ];
    assert_eq!(listing.into_sets(), expected);
}

#[test]
fn a_set_in_several_messages_is_put_together() {
    let mut more = Vec::new();
    emit_members(&mut more, set("N"), &[net_members(), net_members()].concat());
    let mut stray = Vec::new();
    emit_members(&mut stray, set("other"), &net_members());
    let mut listing = Listing::default();
    for message in [payload(LIST_NET), more, stray] {
        listing.push(&message);
    }
    let sets = listing.into_sets();
    assert_eq!(sets.len(), 1);
    assert_eq!(sets[0].members.len(), 6);
}

#[test]
fn chooses_a_revision_the_kernel_has() {
    let offered = parse_type(&payload(TYPE)).expect("revisions");
    assert_eq!(offered, Revisions { min: 0, max: 8 });
    let kind = SetKind::HashIpPortNet(Family::Ipv4);
    assert_eq!(kind.revision(offered, true), Some(7));
    let old = Revisions { min: 0, max: 6 };
    assert_eq!(kind.revision(old, false), Some(6));
    assert_eq!(kind.revision(old, true), None);
    assert_eq!(kind.revision(Revisions { min: 8, max: 9 }, true), Some(8));
}

#[test]
fn the_line_of_a_refusal_is_found() {
    let mut echo = Vec::new();
    emit_members(&mut echo, set("N"), &net_members());
    // As it was sent: no line was refused.
    assert_eq!(parse_line(&echo), None);
    let line = echo.windows(4).position(|bytes| bytes == [8, 0, 9, 0x40]).expect("LINENO");
    echo[line + 7] = 2;
    assert_eq!(parse_line(&echo), Some(2));
}

#[test]
fn displays_as_the_tool_prints() {
    let [first, second] = net_members();
    assert_eq!(first.entry.to_string(), "fd00::1,udp:53,fd02::/64");
    assert_eq!(second.entry.to_string(), "fd00::1,tcp:53,fd02::1");
    assert_eq!(ip_member().entry.to_string(), "10.0.0.1,tcp:80,10.0.0.1");
    assert_eq!(first.mark.expect("marked").to_string(), "0x1/0xff");
    assert_eq!(Mark { value: 16, mask: u32::MAX }.to_string(), "0x10");
}

fn address(family: Family) -> BoxedStrategy<IpAddr> {
    match family {
        Family::Ipv4 => any::<[u8; 4]>().prop_map(IpAddr::from).boxed(),
        Family::Ipv6 => any::<[u8; 16]>().prop_map(IpAddr::from).boxed(),
    }
}

/// A kind and a member that fits it.
fn member() -> impl Strategy<Value = (SetKind, Member)> {
    let family = prop_oneof![Just(Family::Ipv4), Just(Family::Ipv6)];
    let protocol = prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp), Just(Protocol::Sctp)];
    let parts = family.prop_flat_map(|family| (Just(family), address(family), address(family)));
    let mark =
        prop::option::of((any::<u32>(), 1_u32..).prop_map(|(value, mask)| Mark { value, mask }));
    (parts, protocol, any::<u16>(), 0_u8..=128, 0_u8..5, mark).prop_map(
        |((family, address, source), protocol, port, prefix, shape, mark)| {
            let network = IpNet::new(source, prefix).unwrap_or_else(|_| source.into()).into();
            let (kind, entry) = match shape {
                0 => (SetKind::HashIp(family), Entry::Ip(address)),
                1 => (SetKind::HashIpPort(family), Entry::IpPort { address, protocol, port }),
                2 => (
                    SetKind::HashIpPortIp(family),
                    Entry::IpPortIp { address, protocol, port, source },
                ),
                3 => (
                    SetKind::HashIpPortNet(family),
                    Entry::IpPortNet { address, protocol, port, network },
                ),
                _ => (SetKind::BitmapPort, Entry::Port(port)),
            };
            (kind, Member { entry, mark })
        },
    )
}

proptest! {
    #[test]
    fn members_come_back((kind, member) in member(), count in 2_usize..5) {
        let mut bytes = Vec::new();
        emit_members(&mut bytes, set("N"), &vec![member; count]);
        let list = attributes(&bytes).and_then(|all| all.find(top::ADT)).expect("a list");
        let found: Vec<_> = list.nested().map(|data| parse_member(kind, data.nested())).collect();
        prop_assert_eq!(found, vec![Some(member); count]);
    }

    #[test]
    fn any_bytes_are_read(bytes: Vec<u8>) {
        let _ = (parse_type(&bytes), parse_line(&bytes));
        Listing::default().push(&bytes);
    }

    #[test]
    fn damaged_listings_are_read(
        bytes in damaged([LIST_NET, LIST_BITMAP, LIST_IP].map(payload)),
    ) {
        Listing::default().push(&bytes);
    }
}
