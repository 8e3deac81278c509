//! IPVS messages against bytes of a Linux 6.1 kernel and of `ipvsadm` 1.31, captured with an
//! `nlmon` device.
#![cfg(target_endian = "little")]

use proptest::prelude::*;

use super::*;
use crate::netlink::test_support::{damaged, is_within, payload};

/// ipvsadm -A -t 10.96.0.1:443 -s mh -b mh-port,mh-fallback -p 10800 -M 255.255.255.0
const ADD_PERSISTENT: &str = "680000001c0005004fcc056bcd03c07b01010000540001800600010002000000060002000600000014000300\
     0a6000010000000000000000000000000600040001bb0000070006006d6800000c00070019000000ffffffff\
     08000800302a000008000900ffffff00";

/// ipvsadm -A -f 5 -6 -s rr
const ADD_FWMARK: &str = "4c0000001c0005004fcc056bcf03c07b0101000038000180060001000a000000080005000500000007000600\
     727200000c00070000000000ffffffff08000800000000000800090080000000";

/// ipvsadm -A -t [fd00::1]:80 -s rr
const ADD_IPV6: &str = "680000001c00050050cc056bd103007c0101000054000180060001000a000000060002000600000014000300\
     fd000000000000000000000000000001060004000050000007000600727200000c00070000000000ffffffff\
     08000800000000000800090080000000";

/// ipvsadm -a -t 10.96.0.1:443 -r 10.244.1.7:8443 -m -w 3 -x 100 -y 50
const ADD_DESTINATION: &str = "c80000001c00050050cc056bd303007c05010000540001800600010002000000060002000600000014000300\
     0a6000010000000000000000000000000600040001bb000005000600000000000c00070000000000ffffffff\
     080008000000000008000900ffffffff6000028006000b0002000000140001000af401070000000000000000\
     000000000600020020fb00000800030000000000080004000300000005000d000000000006000e0000000000\
     06000f000000000008000500640000000800060032000000";

/// ipvsadm -e -t 10.96.0.1:443 -r 10.244.1.7:8443 -m -w 0
const SET_DESTINATION: &str = "c80000001c00050051cc056bd703407d06010000540001800600010002000000060002000600000014000300\
     0a6000010000000000000000000000000600040001bb000005000600000000000c00070000000000ffffffff\
     080008000000000008000900ffffffff6000028006000b0002000000140001000af401070000000000000000\
     000000000600020020fb00000800030000000000080004000000000005000d000000000006000e0000000000\
     06000f000000000008000500000000000800060000000000";

/// ipvsadm -D -f 5 -6
const DELETE_SERVICE: &str = "4c0000001c00050052cc056bdd03807d0301000038000180060001000a000000080005000500000005000600\
     000000000c00070000000000ffffffff08000800000000000800090080000000";

/// ipvsadm --set 0 60 30
const SET_CONFIG: &str =
    "2c0000001c00050052cc056be103807d0c0100000800040000000000080005003c000000080006001e000000";

/// ipvsadm -Sn: what the kernel answers.
const SERVICE_PERSISTENT: &str = "680100001c00020051cc056bd903407d01010000540101000600010002000000060002000600000014000300\
     0a6000010000000000000000000000000600040001bb0000070006006d6800000c0007001b000000ffffffff\
     08000800302a000008000900ffffff0060000a00080001000000000008000200000000000800030000000000\
     0c000400000000000000000004000b000c000500000000000000000008000600000000000800070000000000\
     0800080000000000080009000000000008000a0000000000a0000c000c000100000000000000000004000b00\
     0c000200000000000000000004000b000c000300000000000000000004000b000c0004000000000000000000\
     04000b000c000500000000000000000004000b000c000600000000000000000004000b000c00070000000000\
     0000000004000b000c000800000000000000000004000b000c000900000000000000000004000b000c000a00\
     0000000000000000";

/// ipvsadm -Sn: what the kernel answers.
const SERVICE_IPV6: &str = "680100001c00020051cc056bd903407d0101000054010100060001000a000000060002000600000014000300\
     fd000000000000000000000000000001060004000050000007000600727200000c00070002000000ffffffff\
     0800080000000000080009008000000060000a00080001000000000008000200000000000800030000000000\
     0c000400000000000000000004000b000c000500000000000000000008000600000000000800070000000000\
     0800080000000000080009000000000008000a0000000000a0000c000c000100000000000000000004000b00\
     0c000200000000000000000004000b000c000300000000000000000004000b000c0004000000000000000000\
     04000b000c000500000000000000000004000b000c000600000000000000000004000b000c00070000000000\
     0000000004000b000c000800000000000000000004000b000c000900000000000000000004000b000c000a00\
     0000000000000000";

/// ipvsadm -Sn: what the kernel answers.
const SERVICE_FWMARK: &str = "500100001c00020051cc056bd903407d010100003c010100060001000a000000080005000500000007000600\
     727200000c00070002000000ffffffff0800080000000000080009008000000064000a000800010000000000\
     0800020000000000080003000000000004000b000c000400000000000000000004000b000c00050000000000\
     00000000080006000000000008000700000000000800080000000000080009000000000008000a0000000000\
     a0000c000c000100000000000000000004000b000c000200000000000000000004000b000c00030000000000\
     0000000004000b000c000400000000000000000004000b000c000500000000000000000004000b000c000600\
     000000000000000004000b000c000700000000000000000004000b000c000800000000000000000004000b00\
     0c000900000000000000000004000b000c000a000000000000000000";

/// ipvsadm -Sn: what the kernel answers; an IPv6 tunnel of an IPv4 service.
const DESTINATION_TUNNEL: &str = "900100001c00020051cc056bd90300a0050100007c01020014000100fd010000000000000000000000000007\
     0600020001bb00000800030002000000080004000100000005000d000000000006000e000000000006000f00\
     0000000008000500000000000800060000000000080007000000000008000800000000000800090000000000\
     06000b000a00000064000a0008000100000000000800020000000000080003000000000004000b000c000400\
     000000000000000004000b000c00050000000000000000000800060000000000080007000000000008000800\
     00000000080009000000000008000a0000000000a0000c000c000100000000000000000004000b000c000200\
     000000000000000004000b000c000300000000000000000004000b000c000400000000000000000004000b00\
     0c000500000000000000000004000b000c000600000000000000000004000b000c0007000000000000000000\
     04000b000c000800000000000000000004000b000c000900000000000000000004000b000c000a0000000000\
     00000000";

/// ipvsadm -Sn: what the kernel answers.
const DESTINATION_MASQUERADED: &str = "900100001c00020051cc056bd90300a0050100007c010200140001000af40107000000000000000000000000\
     0600020020fb00000800030000000000080004000000000005000d000000000006000e000000000006000f00\
     0000000008000500000000000800060000000000080007000000000008000800000000000800090000000000\
     06000b000200000064000a0008000100000000000800020000000000080003000000000004000b000c000400\
     000000000000000004000b000c00050000000000000000000800060000000000080007000000000008000800\
     00000000080009000000000008000a0000000000a0000c000c000100000000000000000004000b000c000200\
     000000000000000004000b000c000300000000000000000004000b000c000400000000000000000004000b00\
     0c000500000000000000000004000b000c000600000000000000000004000b000c0007000000000000000000\
     04000b000c000800000000000000000004000b000c000900000000000000000004000b000c000a0000000000\
     00000000";

/// ipvsadm -Ln --timeout: what the kernel answers.
const CONFIG: &str =
    "2c0000001c00000052cc056bdf03807d0c01000008000400840300000800050078000000080006002c010000";

/// ipvsadm -Z: what the kernel answers to IPVS_CMD_GET_INFO.
const INFO: &str = "240000001c00000053cc056be303005a0e01000008000100010201000800020000100000";

fn key(protocol: Protocol, address: &str, port: u16) -> ServiceId {
    ServiceId::Address { protocol, address: address.parse().expect("an address"), port }
}

fn destination_id(address: &str, port: u16) -> DestinationId {
    DestinationId { address: address.parse().expect("an address"), port }
}

fn persistent() -> Service {
    let mh = SchedulerName::try_from("mh").expect("short");
    let service = Service::new(key(Protocol::Tcp, "10.96.0.1", 443), mh).persistent(10_800);
    let flags = service.flags | ServiceFlags::SCHED1 | ServiceFlags::SCHED2;
    Service { flags, persistence_prefix: 24, ..service }
}

fn ipv6() -> Service {
    Service::new(key(Protocol::Tcp, "fd00::1", 80), SchedulerName::ROUND_ROBIN)
}

fn fwmark() -> Service {
    let id = ServiceId::Fwmark { family: Family::Ipv6, mark: 5 };
    Service::new(id, SchedulerName::ROUND_ROBIN)
}

/// What is sent for `request` is what `ipvsadm` sends, which may say more.
#[track_caller]
fn check(request: &Request, tool: &str) {
    let mut ours = Vec::new();
    emit_request(&mut ours, request);
    let tool = payload(tool);
    assert_eq!(ours[..GENL_HEADER], tool[..GENL_HEADER]);
    assert!(is_within(&ours[GENL_HEADER..], &tool[GENL_HEADER..]), "{ours:02x?} {tool:02x?}");
}

#[test]
fn sends_what_ipvsadm_sends() {
    let id = persistent().id;
    let destination = Destination {
        upper_threshold: 100,
        lower_threshold: 50,
        ..Destination::new(destination_id("10.244.1.7", 8443), 3)
    };
    check(&Request::AddService(persistent()), ADD_PERSISTENT);
    check(&Request::AddService(fwmark()), ADD_FWMARK);
    check(&Request::AddService(ipv6()), ADD_IPV6);
    check(&Request::AddDestination(id, destination), ADD_DESTINATION);
    let drained = Destination::new(destination.id(), 0);
    check(&Request::SetDestination(id, drained), SET_DESTINATION);
    check(&Request::DeleteService(fwmark().id), DELETE_SERVICE);
    check(&Request::SetConfig(Config { tcp: 0, tcp_fin: 60, udp: 30 }), SET_CONFIG);
}

#[test]
fn reads_what_the_kernel_shows() {
    for (bytes, service) in
        [(SERVICE_PERSISTENT, persistent()), (SERVICE_IPV6, ipv6()), (SERVICE_FWMARK, fwmark())]
    {
        let status = ServiceStatus { service, stats: Stats64::default() };
        assert_eq!(parse_service(&payload(bytes)), Some(status));
    }
    let tunnel = Destination {
        forward: ForwardMethod::Tunnel,
        ..Destination::new(destination_id("fd01::7", 443), 1)
    };
    let masqueraded = Destination::new(destination_id("10.244.1.7", 8443), 0);
    for (bytes, expected) in [(DESTINATION_TUNNEL, tunnel), (DESTINATION_MASQUERADED, masqueraded)]
    {
        let status = parse_destination(&payload(bytes), Family::Ipv4).expect("a destination");
        assert_eq!(status.destination, expected);
        assert_eq!((status.active, status.inactive, status.persistent), (0, 0, 0));
    }
    let config = Config { tcp: 900, tcp_fin: 120, udp: 300 };
    assert_eq!(parse_config(&payload(CONFIG)), Some(config));
    let info = Info { version: (1, 2, 1), connection_table_size: 4096 };
    assert_eq!(parse_info(&payload(INFO)), Some(info));
}

/// A service message with the statistics in the form of before Linux 4.1, and with attributes
/// and a protocol that are unknown.
#[test]
fn reads_old_statistics_and_skips_what_it_does_not_know() {
    let message = |protocol: u16| {
        let mut bytes = Vec::new();
        let mut writer = AttributeWriter::new(&mut bytes);
        put_header(&mut writer, command::NEW_SERVICE);
        writer.u32(99, 7);
        writer.nest(top::SERVICE, |nest| {
            put_service_id(nest, &ipv6().id);
            nest.u16(svc::PROTOCOL, protocol);
            nest.text(svc::SCHED_NAME, "rr");
            nest.nest(svc::STATS, |stats| {
                stats.u32(1, 11);
                stats.bytes(4, &44_u64.to_ne_bytes());
                stats.u32(10, 1010);
            });
            nest.bytes(77, &[1, 2, 3]);
        });
        bytes
    };
    let status = parse_service(&message(6)).expect("a service");
    let stats = status.stats;
    assert_eq!((stats.connections, stats.bytes_in, stats.bytes_out_per_second), (11, 44, 1010));
    // AH is no protocol a Service can name.
    assert_eq!(parse_service(&message(51)), None);
}

fn family() -> impl Strategy<Value = Family> {
    prop_oneof![Just(Family::Ipv4), Just(Family::Ipv6)]
}

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![any::<[u8; 4]>().prop_map(IpAddr::from), any::<[u8; 16]>().prop_map(IpAddr::from)]
}

fn service_id() -> impl Strategy<Value = ServiceId> {
    let protocol = prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp), Just(Protocol::Sctp)];
    prop_oneof![
        (protocol, address(), any::<u16>()).prop_map(|(protocol, address, port)| {
            ServiceId::Address { protocol, address, port }
        }),
        (family(), any::<u32>()).prop_map(|(family, mark)| ServiceId::Fwmark { family, mark }),
    ]
}

prop_compose! {
    fn service()(
        id in service_id(),
        name in "[a-z]{1,15}",
        bits: u32,
        timeout: u32,
        prefix in 0_u8..=128,
    ) -> Service {
        Service {
            id,
            scheduler: SchedulerName::try_from(name.as_str()).expect("short"),
            flags: ServiceFlags::from_bits(bits),
            timeout,
            persistence_prefix: prefix.min(full_prefix(id.family())),
        }
    }
}

prop_compose! {
    fn destination()(address in address(), port: u16, method in 0_u32..8, numbers: [u32; 3])
        -> Destination
    {
        Destination {
            address,
            port,
            forward: ForwardMethod::from_number(method),
            weight: numbers[0],
            upper_threshold: numbers[1],
            lower_threshold: numbers[2],
        }
    }
}

proptest! {
    #[test]
    fn a_service_comes_back(service in service()) {
        let mut bytes = Vec::new();
        emit_request(&mut bytes, &Request::AddService(service));
        let status = ServiceStatus { service, stats: Stats64::default() };
        prop_assert_eq!(parse_service(&bytes), Some(status));
    }

    #[test]
    fn a_destination_comes_back(id in service_id(), destination in destination()) {
        let mut bytes = Vec::new();
        emit_request(&mut bytes, &Request::AddDestination(id, destination));
        let status = parse_destination(&bytes, id.family());
        prop_assert_eq!(status.map(|status| status.destination), Some(destination));
    }

    #[test]
    fn any_bytes_are_read(bytes: Vec<u8>) {
        let _ = (parse_service(&bytes), parse_destination(&bytes, Family::Ipv6));
        let _ = (parse_config(&bytes), parse_info(&bytes));
    }

    #[test]
    fn damaged_messages_are_read(
        bytes in damaged([SERVICE_PERSISTENT, DESTINATION_TUNNEL, CONFIG, INFO].map(payload)),
    ) {
        let _ = (parse_service(&bytes), parse_destination(&bytes, Family::Ipv4));
        let _ = (parse_config(&bytes), parse_info(&bytes));
    }
}
