//! Conntrack messages against bytes of Linux 6.1 and 6.18 kernels and of `conntrack` 1.4.7,
//! captured with an `nlmon` device and from a socket.
#![cfg(target_endian = "little")]

use proptest::prelude::*;

use super::*;
use crate::netlink::test_support::{damaged, is_within, payload};

/// conntrack -D -p udp -s 10.0.0.1 -d 10.96.0.10 --sport 1111 --dport 53
const DELETE: &str = "b000000002010500dad3056b00000000020000003400018014000180080001000a000001080002000a60000a\
     1c0002800500010011000000060002000457000006000300003500003400028014000180080001000af40103\
     08000200c0a8320b1c00028005000100111000000600020014e90000060003009c4000000800030000000008\
     080007000000003608000800000000001c001880080001000000000008000200000000000800030000000000";

/// conntrack -I -p udp -s 10.0.0.2 -d 10.96.0.10 --sport 1111 --dport 53 -t 60 --zone 7
const CREATE_IN_ZONE: &str = "8c00000000010506d6d3056b00000000020000003400018014000180080001000a000002080002000a60000a\
     1c0002800500010011000000060002000457000006000300003500003400028014000180080001000a60000a\
     080002000a0000021c0002800500010011100000060002000035000006000300045700000800070000\
     00003c0600120000070000";

/// conntrack -I -p udp -s 10.0.0.3 -d 10.96.0.10 --sport 1111 --dport 53 -t 60 --orig-zone 8
const CREATE_IN_ORIGINAL_ZONE: &str = "8c00000000010506d7d3056b00000000020000003c00018014000180080001000a000003080002000a60000a\
     1c000280050001001100000006000200045700000600030000350000060003000008000034000280140001800\
     80001000a60000a080002000a0000031c00028005000100112000000600020000350000060003000457000008\
     0007000000003c";

/// conntrack -L: what the kernel answers for a flow that goes from 10.0.0.1:1111 to 10.96.0.10:53,
/// and is answered by 10.244.1.3:5353, which takes it for one from 192.168.50.11:40000.
const TRANSLATED: &str = "c000000000010200d7d3056bdd020000020000003400018014000180080001000a000001080002000a60000a\
     1c0002800500010011000000060002000457000006000300003500003400028014000180080001000af40103\
     08000200c0a8320b1c00028005000100111000000600020014e90000060003009c4000000800030000000008\
     080008000000000008000c00b4649a3e08000b000000000108000700000000391c0018800800010000000000\
     08000200000000000800030000000000";

/// The same over IPv6, from fd00::1 to fd00:96::a, answered by fd00:244:1::3.
const TRANSLATED_V6: &str = "f00000000001020001000000561300000a0000004c0001802c00018014000300fd000000000000000000000000\
     00000114000400fd00009600000000000000000000000a1c00028005000100110000000600020004570000060003\
     00003500004c0002802c00018014000300fd00024400010000000000000000000314000400fd00000000000000\
     00000000000000011c00028005000100110000000600020014e9000006000300045700000800030000000008\
     080008000000000008000c0090ce620208000b0000000001080007000000003b1c0018800800010000000000\
     08000200000000000800030000000000";

/// A flow in zone 7 that was never translated.
const IN_ZONE: &str = "c8000000000102000100000056130000020000003400018014000180080001000a000002080002000a60000a\
     1c0002800500010011000000060002000457000006000300003500003400028014000180080001000a60000a\
     080002000a0000021c0002800500010011000000060002000035000006000300045700000600120000070000\
     0800030000000008080008000000000008000c00c321700208000b0000000001080007000000003b1c001880\
     080001000000000008000200000000000800030000000000";

/// One that is in zone 8 on its way there only.
const IN_ORIGINAL_ZONE: &str = "c8000000000102000100000056130000020000003c00018014000180080001000a000003080002000a60000a\
     1c0002800500010011000000060002000457000006000300003500000600030000080000340002801400018008\
     0001000a60000a080002000a0000031c00028005000100110000000600020000350000060003000457000008\
     00030000000008080008000000000008000c006f961c2d08000b0000000001080007000000003b1c00188008\
     0001000000000008000200000000000800030000000000";

/// A TCP connection between the same ports.
const TCP: &str = "f000000000010200d7d3056bdd020000020000003400018014000180080001000a000001080002000a60000a\
     1c0002800500010006000000060002000457000006000300003500003400028014000180080001000a60000a\
     080002000a0000011c0002800500010006000000060002000035000006000300045700000800030000000008\
     080008000000000008000c00ab6c7a1008000b0000000001080007000000003a300004802c00018005000100\
     0300000005000200000000000500030000000000060004000a000000060005000a0000001c00188008000100\
     0000000008000200000000000800030000000000";

/// An echo request and its answer.
const PING: &str = "d000000000010200d7d3056bdd020000020000003c00018014000180080001000a000001080002000a60000a\
     24000280050001000100000006000400000000000500050008000000050006000000000\
     03c00028014000180080001000a60000a080002000a00000124000280050001000100000006000400000000000\
     50005000000000005000600000000000800030000000008080008000000000008000c00b6f7f06c08000b0000\
     000001080007000000003a1c001880080001000000000008000200000000000800030000000000";

/// The request that Linux 6.1 and 6.18 answered with the UDP flows to 10.96.0.10:53.
const FILTERED: &str = "4c0000000101010301000000000000000200000024000180\
     0c00018008000200 0a60000a 14000280 0500010011000000 0600030000350000\
     14001980 080001002a000000 0800020000000000";

fn socket(text: &str) -> SocketAddr {
    text.parse().expect("an address and port")
}

fn flow(source: &str, destination: &str, reply_source: &str, id: u32) -> Flow {
    Flow {
        source: socket(source),
        destination: socket(destination),
        reply_source: socket(reply_source),
        zone: Zone::Default,
        id: Some(id),
    }
}

fn emitted(emit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    emit(&mut bytes);
    bytes
}

/// All we send is in what the tool sends: the family, and the attributes behind it.
#[track_caller]
fn check(ours: &[u8], tool: &str) {
    let tool = payload(tool);
    assert_eq!(ours[..NFGEN_HEADER], tool[..NFGEN_HEADER]);
    assert!(is_within(&ours[NFGEN_HEADER..], &tool[NFGEN_HEADER..]), "{ours:02x?} {tool:02x?}");
}

#[test]
fn reads_flows() {
    let read = |message| parse_flow(&payload(message));
    let translated = flow("10.0.0.1:1111", "10.96.0.10:53", "10.244.1.3:5353", 0xb464_9a3e);
    assert_eq!(read(TRANSLATED), Some(translated));
    let v6 = flow("[fd00::1]:1111", "[fd00:96::a]:53", "[fd00:244:1::3]:5353", 0x90ce_6202);
    assert_eq!(read(TRANSLATED_V6), Some(v6));
    let never = flow("10.0.0.2:1111", "10.96.0.10:53", "10.96.0.10:53", 0xc321_7002);
    assert_eq!(read(IN_ZONE), Some(Flow { zone: Zone::Both(7), ..never }));
    let one_way = flow("10.0.0.3:1111", "10.96.0.10:53", "10.96.0.10:53", 0x6f96_1c2d);
    assert_eq!(read(IN_ORIGINAL_ZONE), Some(Flow { zone: Zone::Original(8), ..one_way }));
}

#[test]
fn other_protocols_are_not_flows() {
    assert_eq!(parse_flow(&payload(TCP)), None);
    assert_eq!(parse_flow(&payload(PING)), None);
}

#[test]
fn deletes_as_the_tool_does() {
    let flow = flow("10.0.0.1:1111", "10.96.0.10:53", "10.244.1.3:5353", 1);
    let flow = Flow { id: None, ..flow };
    check(&emitted(|bytes| emit_delete(bytes, &flow)), DELETE);
}

#[test]
fn names_zones_as_the_tool_does() {
    let both = flow("10.0.0.2:1111", "10.96.0.10:53", "10.96.0.10:53", 1);
    let both = Flow { zone: Zone::Both(7), id: None, ..both };
    check(&emitted(|bytes| emit_delete(bytes, &both)), CREATE_IN_ZONE);
    let one_way = Flow { source: socket("10.0.0.3:1111"), zone: Zone::Original(8), ..both };
    check(&emitted(|bytes| emit_delete(bytes, &one_way)), CREATE_IN_ORIGINAL_ZONE);
}

#[test]
fn asks_for_what_it_wants_to_see() {
    let filtered = emitted(|bytes| emit_dump(bytes, Filter::UdpTo(socket("10.96.0.10:53"))));
    check(&filtered, FILTERED);
    assert_eq!(filtered.len(), payload(FILTERED).len());
    let plain = emitted(|bytes| emit_dump(bytes, Filter::Family(Family::Ipv6)));
    assert_eq!(plain, [10, 0, 0, 0]);
}

fn flows() -> impl Strategy<Value = Flow> {
    let v4 = || any::<([u8; 4], u16)>().prop_map(SocketAddr::from);
    let v6 = || any::<([u8; 16], u16)>().prop_map(SocketAddr::from);
    let zone = prop_oneof![
        Just(Zone::Default),
        any::<u16>().prop_map(Zone::Both),
        any::<u16>().prop_map(Zone::Original),
    ];
    let sockets = prop_oneof![(v4(), v4()), (v6(), v6())];
    (sockets, zone, any::<Option<u32>>()).prop_map(|((source, destination), zone, id)| Flow {
        source,
        destination,
        reply_source: source,
        zone,
        id,
    })
}

/// Adds the tuple of the other direction, which deletions lack.
fn put_reply(bytes: &mut Vec<u8>) {
    let original = Attributes::new(&bytes[NFGEN_HEADER..]).find(top::TUPLE_ORIG);
    let tuple = original.expect("written").payload.to_vec();
    AttributeWriter::new(bytes).bytes(top::TUPLE_REPLY, &tuple);
}

proptest! {
    #[test]
    fn a_deletion_names_the_whole_flow(flow in flows()) {
        let mut bytes = emitted(|bytes| emit_delete(bytes, &flow));
        put_reply(&mut bytes);
        prop_assert_eq!(parse_flow(&bytes), Some(flow));
    }

    #[test]
    fn any_bytes_are_read(bytes: Vec<u8>) {
        let _ = parse_flow(&bytes);
    }

    #[test]
    fn damaged_flows_are_read(
        bytes in damaged([TRANSLATED, TRANSLATED_V6, IN_ORIGINAL_ZONE, TCP].map(payload)),
    ) {
        let _ = parse_flow(&bytes);
    }
}
