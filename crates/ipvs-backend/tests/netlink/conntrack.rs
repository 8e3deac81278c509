//! Conntrack: what `conntrack` puts in is read, and only what is named is deleted.

use std::net::SocketAddr;
use std::time::Instant;

use ipvs_backend::netlink::Errno;
use ipvs_backend::netlink::conntrack::{Conntrack, Flow, Scope, Zone};
use proxy_core::Family;

use crate::support::{in_namespace, lines, tool, traffic};

fn open() -> Conntrack {
    Conntrack::open(traffic()).expect("a netfilter socket")
}

fn socket(text: &str) -> SocketAddr {
    text.parse().expect("an address and port")
}

/// A flow that is answered by `reply_source`, put in by the tool.
fn track(protocol: &str, source: &str, destination: &str, reply_source: &str) {
    let [source, destination, reply] = [source, destination, reply_source].map(socket);
    let state = if protocol == "tcp" { "--state ESTABLISHED" } else { "" };
    tool(&format!(
        "conntrack -I -p {protocol} -s {} -d {} --sport {} --dport {} -t 600 {state} \
         -r {} -q {} --reply-port-src {} --reply-port-dst {}",
        source.ip(),
        destination.ip(),
        source.port(),
        destination.port(),
        reply.ip(),
        source.ip(),
        reply.port(),
        source.port(),
    ));
}

#[track_caller]
fn flows(conntrack: &mut Conntrack, scope: Scope<'_>) -> Vec<Flow> {
    let mut flows = conntrack.udp_flows(scope, &mut |_| true).expect("readable");
    flows.sort_by_key(|flow| (flow.destination, flow.source));
    flows
}

/// Destinations and sources of replies.
fn ends(flows: &[Flow]) -> Vec<(String, String)> {
    flows.iter().map(|flow| (flow.destination.to_string(), flow.reply_source.to_string())).collect()
}

/// What the tool shows, in both families.
fn shown() -> Vec<String> {
    [lines("conntrack -L -f ipv4"), lines("conntrack -L -f ipv6")].concat()
}

const DNS: &str = "10.96.0.10:53";
const DNS_V6: &str = "[fd00:96::a]:53";
const OTHER: &str = "10.96.0.11:53";

/// Two UDP flows to each of three destinations, and a TCP connection to one of them.
fn plant() {
    for (number, destination) in [DNS, DNS, OTHER, OTHER].into_iter().enumerate() {
        let source = format!("10.0.0.{}:1111", number + 1);
        track("udp", &source, destination, "10.244.1.3:5353");
    }
    for number in 1..3 {
        track("udp", &format!("[fd00::{number}]:1111"), DNS_V6, "[fd00:244:1::3]:5353");
    }
    track("tcp", "10.0.0.1:1111", DNS, "10.244.1.3:5353");
}

#[test]
#[ignore = "needs CAP_NET_ADMIN and conntrack"]
fn udp_flows_are_read_by_destination_and_by_family() {
    in_namespace(|| {
        plant();
        let mut conntrack = open();
        let to =
            |destination: &str, reply: &str| vec![(destination.to_owned(), reply.to_owned()); 2];
        let (v4, v6) = ("10.244.1.3:5353", "[fd00:244:1::3]:5353");
        let one = flows(&mut conntrack, Scope::To(&[socket(DNS)]));
        assert_eq!(ends(&one), to(DNS, v4));
        assert_eq!(one[0].source, socket("10.0.0.1:1111"));
        assert_eq!(one[0].zone, Zone::Default);
        let both = flows(&mut conntrack, Scope::To(&[socket(DNS), socket(DNS_V6)]));
        assert_eq!(ends(&both), [to(DNS, v4), to(DNS_V6, v6)].concat());
        assert_eq!(flows(&mut conntrack, Scope::To(&[socket("10.96.0.10:54")])), []);
        let all = flows(&mut conntrack, Scope::Families(&[Family::Ipv4]));
        assert_eq!(ends(&all), [to(DNS, v4), to(OTHER, v4)].concat());
        let all = flows(&mut conntrack, Scope::Families(&Family::ALL));
        assert_eq!(all.len(), 6);
        // Too many to ask for one by one.
        let mut many: Vec<_> =
            (1..20).map(|port| SocketAddr::new(both[0].source.ip(), port)).collect();
        many.extend([socket(DNS), socket(DNS_V6)]);
        assert_eq!(flows(&mut conntrack, Scope::To(&many)), both);
        // The rest of a dump whose flows are not wanted is read nevertheless.
        let picked =
            conntrack.udp_flows(Scope::Families(&Family::ALL), &mut |flow| *flow == both[3]);
        assert_eq!(picked.expect("readable"), [both[3]]);
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN and conntrack"]
fn only_the_named_flows_are_deleted() {
    in_namespace(|| {
        plant();
        let mut conntrack = open();
        let mut stale = flows(&mut conntrack, Scope::To(&[socket(DNS), socket(DNS_V6)]));
        assert_eq!(stale.len(), 4);
        let answers = conntrack.delete(&stale[1..]).expect("the socket works");
        assert_eq!(answers, [Ok(()); 3]);
        let left = shown();
        assert_eq!(left.len(), 4, "{left:?}");
        assert_eq!(left.iter().filter(|line| line.starts_with("tcp")).count(), 1);
        assert_eq!(left.iter().filter(|line| line.contains("dst=10.96.0.11 ")).count(), 2);

        let answers = conntrack.delete(&stale).expect("the socket works");
        assert_eq!(answers, [Ok(()), Err(Errno::NOENT), Err(Errno::NOENT), Err(Errno::NOENT)]);
        assert_eq!(shown().len(), 3);
        track("udp", "10.0.0.1:1111", DNS, "10.244.1.4:5353");
        stale[0].id = stale[0].id.map(|id| id ^ 1);
        assert_eq!(conntrack.delete(&stale[..1]).expect("the socket works"), [Err(Errno::NOENT)]);
        assert_eq!(shown().len(), 4, "it is another flow");
        stale[0].id = None;
        assert_eq!(conntrack.delete(&stale[..1]).expect("the socket works"), [Ok(())]);
        assert_eq!(shown().len(), 3);
        assert_eq!(conntrack.delete(&[]).expect("nothing is sent"), []);
        assert_eq!(shown().len(), 3);
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN and conntrack"]
fn a_flow_is_deleted_from_its_zone() {
    in_namespace(|| {
        let flow = "-p udp -s 10.0.0.1 -d 10.96.0.10 --sport 1111 --dport 53";
        if !has_zones(flow) {
            eprintln!("this kernel has no conntrack zones");
            return;
        }
        tool(&format!("conntrack -I {flow} -t 60"));
        // Their replies are all in the default zone, so they may not be the same.
        let flow = flow.replace("10.0.0.1", "10.0.0.2");
        tool(&format!("conntrack -I {flow} -t 60 --orig-zone 8"));
        let mut conntrack = open();
        let found = flows(&mut conntrack, Scope::To(&[socket(DNS)]));
        let zones = [Zone::Both(7), Zone::Default, Zone::Original(8)];
        for zone in zones {
            let flow = *found.iter().find(|flow| flow.zone == zone).expect("one in each zone");
            let flow = Flow { id: None, ..flow };
            assert_eq!(conntrack.delete(&[flow]).expect("the socket works"), [Ok(())]);
            let left = flows(&mut conntrack, Scope::To(&[socket(DNS)]));
            assert!(left.iter().all(|flow| flow.zone != zone), "{left:?}");
        }
        assert_eq!(shown(), [""; 0]);
    });
}

/// Puts a flow into zone 7, if the kernel has zones.
#[expect(clippy::disallowed_methods, reason = "a tool that may fail")]
fn has_zones(flow: &str) -> bool {
    let command = format!("conntrack -I {flow} -t 60 --zone 7");
    let mut words = command.split_whitespace();
    let output = std::process::Command::new(words.next().expect("a program")).args(words).output();
    output.expect("the program runs").status.success()
}

/// How long 20,000 flows take to look through, of which 200 go to one destination, and how long
/// to delete.
#[test]
#[ignore = "needs CAP_NET_ADMIN and conntrack"]
#[expect(clippy::disallowed_methods, reason = "it is about time")]
fn many_flows() {
    // Loads the module.
    tool("conntrack -C");
    // Writable in the first namespace only, for all of them.
    let _ = std::fs::write("/proc/sys/net/netfilter/nf_conntrack_max", "100000");
    in_namespace(|| {
        let file = std::env::temp_dir().join(format!("flows-{}", std::process::id()));
        let line = |number: u32| {
            let [_, _, high, low] = number.to_be_bytes();
            let to = if number < 200 { 10 } else { 11 };
            format!(
                "-I -p udp -s 10.0.{high}.{low} -d 10.96.0.{to} --sport 1111 --dport 53 -t 600 \
                 -r 10.244.1.3 -q 10.0.{high}.{low} --reply-port-src 5353 --reply-port-dst 1111\n"
            )
        };
        std::fs::write(&file, (0..20_000).map(line).collect::<String>()).expect("writable");
        tool(&format!("conntrack -R {}", file.display()));
        let _ = std::fs::remove_file(&file);
        let mut conntrack = open();
        let mut timed = |what: &str, scope: Scope<'_>, found: usize| {
            let begin = Instant::now();
            let flows = conntrack.udp_flows(scope, &mut |_| true).expect("readable");
            eprintln!("{what}: {} flows in {:?}", flows.len(), begin.elapsed());
            assert_eq!(flows.len(), found);
            flows
        };
        let one = timed("to one destination", Scope::To(&[socket(DNS)]), 200);
        timed("to nowhere", Scope::To(&[socket("10.96.0.12:53")]), 0);
        let all = timed("all UDP", Scope::Families(&[Family::Ipv4]), 20_000);
        for (what, flows) in [("few", one), ("all", all)] {
            let begin = Instant::now();
            let answers = conntrack.delete(&flows).expect("the socket works");
            let took = begin.elapsed();
            let count = u32::try_from(answers.len()).expect("not that many");
            eprintln!("delete {what}: {count} flows in {took:?}, {:?} each", took / count);
            assert!(answers.iter().all(|answer| matches!(answer, Ok(()) | Err(Errno::NOENT))));
        }
        assert_eq!(shown(), [""; 0]);
    });
}
