//! ipset: what is sent is what `ipset save` shows and what is read back.

use std::net::IpAddr;

use ipvs_backend::netlink::ipset::{
    Entry, Ipset, Mark, Member, Network, Request, SetError, SetKind, SetName, SetSpec,
};
use proxy_core::{Family, Protocol};

use crate::support::{in_namespace, lines, tool, traffic};

fn open() -> Ipset {
    Ipset::open(traffic()).expect("a netfilter socket")
}

fn set(name: &str) -> SetName {
    SetName::try_from(name).expect("short")
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn network(text: &str) -> Network {
    Network::from(text.parse::<ipnet::IpNet>().expect("a network"))
}

#[track_caller]
fn run(ipset: &mut Ipset, requests: &[Request]) {
    let answers = ipset.run(requests).expect("the socket works");
    for (request, answer) in requests.iter().zip(answers) {
        assert_eq!(answer, Ok(()), "{request:?}");
    }
}

#[track_caller]
fn members(ipset: &mut Ipset, name: SetName) -> Vec<Member> {
    let mut members = ipset.set(name).expect("readable").expect("there").members;
    members.sort();
    members
}

/// The `number`th entry of a set of `kind`.
fn entry(kind: SetKind, number: u16) -> Entry {
    let [high, low] = number.to_be_bytes();
    let address = match kind.family() {
        Some(Family::Ipv6) => IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, number]),
        _ => IpAddr::from([10, 96, high, low]),
    };
    let protocol = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp][usize::from(number % 3)];
    let port = 1000 + number;
    match kind {
        SetKind::HashIp(_) => Entry::Ip(address),
        SetKind::HashIpPort(_) => Entry::IpPort { address, protocol, port },
        SetKind::HashIpPortIp(_) => Entry::IpPortIp { address, protocol, port, source: address },
        SetKind::HashIpPortNet(family) => {
            let network = match (family, number % 2) {
                (Family::Ipv4, 0) => network(&format!("172.16.{low}.77/24")),
                (Family::Ipv6, 0) => network(&format!("fd02:{low:x}::77/64")),
                _ => Network::from(address),
            };
            Entry::IpPortNet { address, protocol, port, network }
        }
        SetKind::BitmapPort | SetKind::Other => Entry::Port(port),
    }
}

fn kinds() -> Vec<SetKind> {
    let mut kinds = vec![SetKind::BitmapPort];
    for family in Family::ALL {
        kinds.extend([
            SetKind::HashIp(family),
            SetKind::HashIpPort(family),
            SetKind::HashIpPortIp(family),
            SetKind::HashIpPortNet(family),
        ]);
    }
    kinds
}

#[test]
#[ignore = "needs CAP_NET_ADMIN and ipset"]
fn a_thousand_members_of_every_kind() {
    in_namespace(|| {
        let mut ipset = open();
        for kind in kinds() {
            for marked in [false, true] {
                let name = set("proxyd-test");
                let spec = SetSpec::new(name, kind);
                let spec = if marked { spec.with_skbinfo() } else { spec };
                let mut wanted: Vec<Member> = (0..1000)
                    .map(|number| Member {
                        entry: entry(kind, number),
                        mark: marked.then(|| Mark { value: u32::from(number), mask: 0xffff_0001 }),
                    })
                    .collect();
                let mut requests = vec![Request::Create(spec)];
                requests.extend(wanted.iter().map(|&member| Request::Add(name, member)));
                run(&mut ipset, &requests);
                // All of it is idempotent.
                run(&mut ipset, &requests);

                wanted.sort();
                let found = ipset.set(name).expect("readable").expect("there");
                assert!(spec.is_met_by(&found.spec), "{spec:?} against {:?}", found.spec);
                assert_eq!(members(&mut ipset, name), wanted, "{kind}");

                let mut expected: Vec<String> = wanted
                    .iter()
                    .map(|member| match member.mark {
                        Some(mark) => format!("add {name} {} skbmark {mark}", member.entry),
                        None => format!("add {name} {}", member.entry),
                    })
                    .collect();
                expected.sort();
                let mut shown = lines("ipset save");
                let head = shown.iter().position(|line| line.starts_with("create"));
                let head = shown.remove(head.expect("a create line"));
                assert!(head.starts_with(&format!("create {name} {kind}")), "{head}");
                assert_eq!(head.contains("skbinfo"), marked, "{head}");
                assert_eq!(shown, expected);

                let deletes: Vec<_> =
                    wanted.iter().map(|member| Request::Delete(name, member.entry)).collect();
                run(&mut ipset, &deletes[..999]);
                assert_eq!(members(&mut ipset, name), wanted[999..]);
                run(&mut ipset, &deletes);
                run(&mut ipset, &[Request::Destroy(name), Request::Destroy(name)]);
                assert_eq!(ipset.set(name).expect("readable"), None);
                assert_eq!(tool("ipset save"), "");
            }
        }
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN and ipset"]
fn a_full_set_refuses_exactly_what_does_not_fit() {
    in_namespace(|| {
        let mut ipset = open();
        let name = set("small");
        let kind = SetKind::HashIpPort(Family::Ipv4);
        let spec = SetSpec { max_elements: 64, hash_size: 64, ..SetSpec::new(name, kind) };
        let mut requests = vec![Request::Create(spec)];
        requests.extend((0..300).map(|number| Request::Add(name, entry(kind, number).into())));
        // Room for one more, and one that is there already.
        requests.push(Request::Delete(name, entry(kind, 0)));
        requests.push(Request::Add(name, entry(kind, 1).into()));
        requests.push(Request::Add(name, entry(kind, 299).into()));
        requests.push(Request::Add(name, entry(kind, 298).into()));
        let answers = ipset.run(&requests).expect("the socket works");
        let refused: Vec<_> = (0..answers.len()).filter(|&index| answers[index].is_err()).collect();
        let stored = members(&mut ipset, name).len();
        assert_eq!(stored, 64);
        assert_eq!(refused.len(), 300 - 64 + 1);
        assert!(refused.iter().all(|&index| answers[index] == Err(SetError::Full)));
        assert_eq!(&answers[301..], [Ok(()), Ok(()), Ok(()), Err(SetError::Full)]);
        // The kernel holds those that it did not refuse, less the one deleted, plus the last.
        let mut accepted: Vec<Member> = (1..300_u16)
            .filter(|&number| answers[usize::from(number) + 1].is_ok())
            .chain([299])
            .map(|number| entry(kind, number).into())
            .collect();
        accepted.sort();
        assert_eq!(members(&mut ipset, name), accepted);
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN and ipset"]
fn a_bad_entry_does_not_stop_those_behind_it() {
    in_namespace(|| {
        let mut ipset = open();
        let name = set("nets");
        let kind = SetKind::HashIpPortNet(Family::Ipv4);
        let spec = SetSpec::new(name, kind);
        let mut requests = vec![Request::Create(spec)];
        requests.extend((0..50).map(|number| Request::Add(name, entry(kind, number).into())));
        let bad = Entry::IpPortNet {
            address: ip("10.0.0.1"),
            protocol: Protocol::Tcp,
            port: 80,
            network: network("0.0.0.0/0"),
        };
        let other = Entry::IpPortNet {
            address: ip("fd00::1"),
            protocol: Protocol::Tcp,
            port: 80,
            network: network("fd00::/64"),
        };
        let marked = Member { entry: entry(kind, 60), mark: Some(Mark { value: 1, mask: 1 }) };
        requests[10] = Request::Add(name, bad.into());
        requests[20] = Request::Add(name, other.into());
        requests[30] = Request::Add(name, marked);
        requests[50] = Request::Add(name, bad.into());
        let answers = ipset.run(&requests).expect("the socket works");
        for (index, answer) in answers.into_iter().enumerate() {
            let expected = match index {
                10 | 50 => Err(SetError::InvalidPrefix),
                20 => Err(SetError::Malformed),
                30 => Err(SetError::NoSkbinfo),
                _ => Ok(()),
            };
            assert_eq!(answer, expected, "request {index}");
        }
        assert_eq!(members(&mut ipset, name).len(), 46);
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN and ipset"]
fn swap_exchanges_contents_under_a_rule() {
    in_namespace(|| {
        let mut ipset = open();
        let (live, spare) = (set("live"), set("spare"));
        let kind = SetKind::HashIpPort(Family::Ipv4);
        run(
            &mut ipset,
            &[
                Request::Create(SetSpec::new(live, kind)),
                Request::Add(live, entry(kind, 1).into()),
                Request::Create(SetSpec { max_elements: 100, ..SetSpec::new(spare, kind) }),
                Request::Add(spare, entry(kind, 2).into()),
                Request::Add(spare, entry(kind, 3).into()),
            ],
        );
        tool("iptables-legacy -A INPUT -m set --match-set live dst,dst -j ACCEPT");
        assert_eq!(ipset.set(live).expect("readable").expect("there").references, 1);
        assert_eq!(
            ipset.run(&[Request::Destroy(live)]).expect("the socket works"),
            [Err(SetError::InUse)]
        );
        run(&mut ipset, &[Request::Swap(live, spare), Request::Destroy(spare)]);
        assert_eq!(members(&mut ipset, live), [entry(kind, 2).into(), entry(kind, 3).into()]);
        run(&mut ipset, &[Request::Flush(live)]);
        assert_eq!(members(&mut ipset, live), []);
        assert_eq!(ipset.list().expect("a listing").len(), 1);
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN and ipset"]
fn refusals_have_names() {
    in_namespace(|| {
        let mut ipset = open();
        let kind = SetKind::HashIpPort(Family::Ipv4);
        let spec = SetSpec::new(set("a"), kind);
        let bitmap = SetSpec::new(set("b"), SetKind::BitmapPort);
        let cases = [
            (Request::Create(spec), Ok(())),
            (Request::Create(bitmap), Ok(())),
            (Request::Create(spec), Ok(())),
            (Request::Create(spec.with_skbinfo()), Err(SetError::Exists)),
            (Request::Create(SetSpec { max_elements: 9, ..spec }), Err(SetError::Exists)),
            (Request::Create(SetSpec::new(set("a"), SetKind::BitmapPort)), Err(SetError::Exists)),
            (
                Request::Create(SetSpec::new(set("c"), SetKind::Other)),
                Err(SetError::UnsupportedKind),
            ),
            (Request::Add(set("none"), entry(kind, 1).into()), Err(SetError::Missing)),
            (Request::Delete(set("none"), entry(kind, 1)), Err(SetError::Missing)),
            (Request::Flush(set("none")), Err(SetError::Missing)),
            (Request::Destroy(set("none")), Ok(())),
            (Request::Swap(set("none"), set("a")), Err(SetError::Missing)),
            (Request::Swap(set("a"), set("none")), Err(SetError::OtherMissing)),
            (Request::Swap(set("a"), set("b")), Err(SetError::TypeMismatch)),
            (Request::Delete(set("a"), entry(kind, 1)), Ok(())),
        ];
        let requests = cases.map(|(request, _)| request);
        let answers = ipset.run(&requests).expect("the socket works");
        for ((request, expected), answer) in cases.into_iter().zip(answers) {
            assert_eq!(answer, expected, "{request:?}");
        }
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN and ipset"]
fn foreign_sets_are_named_and_left_alone() {
    in_namespace(|| {
        tool("ipset create nets hash:net");
        tool("ipset add nets 10.0.0.0/8");
        tool("ipset create few bitmap:port range 1-100");
        tool("ipset create timed hash:ip,port timeout 60");
        tool("ipset create counted hash:ip counters comment");
        tool("ipset create mine hash:ip,port family inet6 maxelem 5000 hashsize 64");
        tool("ipset add mine fd00::1,udp:53");
        let mut sets = open().list().expect("a listing");
        sets.sort_by_key(|set| set.spec.name);
        let kinds: Vec<_> =
            sets.iter().map(|set| (set.spec.name.as_str(), set.spec.kind)).collect();
        assert_eq!(
            kinds,
            [
                ("counted", SetKind::Other),
                ("few", SetKind::Other),
                ("mine", SetKind::HashIpPort(Family::Ipv6)),
                ("nets", SetKind::Other),
                ("timed", SetKind::Other),
            ]
        );
        assert!(sets.iter().all(|set| set.spec.kind != SetKind::Other || set.members.is_empty()));
        assert_eq!((sets[2].spec.max_elements, sets[2].spec.hash_size), (5000, 64));
        let entry = Entry::IpPort { address: ip("fd00::1"), protocol: Protocol::Udp, port: 53 };
        assert_eq!(sets[2].members, [entry.into()]);
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN and ipset"]
fn a_mark_is_replaced_in_place() {
    in_namespace(|| {
        let mut ipset = open();
        let name = set("marks");
        let spec = SetSpec::new(name, SetKind::BitmapPort).with_skbinfo();
        let with =
            |value| Member { entry: Entry::Port(80), mark: Some(Mark { value, mask: u32::MAX }) };
        run(&mut ipset, &[Request::Create(spec), Request::Add(name, with(1))]);
        assert_eq!(members(&mut ipset, name), [with(1)]);
        run(&mut ipset, &[Request::Add(name, with(2))]);
        assert_eq!(members(&mut ipset, name), [with(2)]);
        run(&mut ipset, &[Request::Add(name, Entry::Port(81).into())]);
        assert_eq!(members(&mut ipset, name), [with(2), Entry::Port(81).into()]);
    });
}
