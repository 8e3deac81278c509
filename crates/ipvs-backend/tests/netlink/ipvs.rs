//! IPVS: what is sent is what `ipvsadm` shows and what is read back.

use std::net::IpAddr;

use ipvs_backend::netlink::Errno;
use ipvs_backend::netlink::ipvs::{
    Config, Destination, DestinationId, ForwardMethod, Ipvs, Request, SchedulerName, Service,
    ServiceFlags, ServiceId,
};
use proxy_core::{Family, Protocol};

use crate::support::{in_namespace, lines, tool, traffic};

fn open() -> Ipvs {
    Ipvs::open(traffic()).expect("ip_vs is there")
}

fn scheduler(name: &str) -> SchedulerName {
    SchedulerName::try_from(name).expect("short")
}

fn key(protocol: Protocol, address: &str, port: u16) -> ServiceId {
    ServiceId::Address { protocol, address: address.parse().expect("an address"), port }
}

fn tcp(address: &str, port: u16) -> ServiceId {
    key(Protocol::Tcp, address, port)
}

fn destination(address: &str, port: u16) -> Destination {
    Destination::new(DestinationId { address: address.parse().expect("an address"), port }, 1)
}

#[track_caller]
fn run(ipvs: &mut Ipvs, requests: &[Request]) {
    let answers = ipvs.run(requests).expect("the socket works");
    for (request, answer) in requests.iter().zip(answers) {
        assert_eq!(answer, Ok(()), "{request:?}");
    }
}

/// The service as the kernel shows it to us.
#[track_caller]
fn read(ipvs: &mut Ipvs, id: ServiceId) -> Service {
    ipvs.service(&id).expect("readable").expect("there").service
}

#[test]
#[ignore = "needs CAP_NET_ADMIN and ip_vs"]
fn services_of_every_key_and_protocol() {
    in_namespace(|| {
        let mut ipvs = open();
        let rr = SchedulerName::ROUND_ROBIN;
        let mh = scheduler("mh");
        let services = [
            Service::new(tcp("10.96.0.1", 443), rr),
            Service::new(key(Protocol::Udp, "10.96.0.10", 53), scheduler("wlc")),
            Service::new(key(Protocol::Sctp, "10.96.0.11", 9), scheduler("lc")),
            Service::new(tcp("fd00::1", 443), rr),
            Service::new(key(Protocol::Udp, "fd00::10", 53), scheduler("sh")),
            Service::new(key(Protocol::Sctp, "fd00::11", 9), rr),
            Service::new(ServiceId::Fwmark { family: Family::Ipv4, mark: 5 }, rr),
            Service::new(ServiceId::Fwmark { family: Family::Ipv6, mark: 5 }, rr),
            Service::new(tcp("10.96.0.2", 80), rr).persistent(10_800),
            Service::new(tcp("fd00::2", 80), rr).persistent(300),
            Service {
                persistence_prefix: 24,
                ..Service::new(tcp("10.96.0.3", 80), rr).persistent(60)
            },
            Service {
                persistence_prefix: 64,
                ..Service::new(tcp("fd00::3", 80), rr).persistent(60)
            },
            Service {
                flags: ServiceFlags::SCHED1 | ServiceFlags::SCHED2,
                ..Service::new(tcp("10.96.0.4", 80), mh)
            },
            Service {
                flags: ServiceFlags::ONE_PACKET,
                ..Service::new(key(Protocol::Udp, "10.96.0.5", 53), rr)
            },
        ];
        let requests: Vec<_> = services.iter().copied().map(Request::AddService).collect();
        run(&mut ipvs, &requests);

        let expected = [
            "-A -f 5 -6 -s rr",
            "-A -f 5 -s rr",
            "-A -t 10.96.0.1:443 -s rr",
            "-A -t 10.96.0.2:80 -s rr -p 10800",
            "-A -t 10.96.0.3:80 -s rr -p 60 -M 255.255.255.0",
            "-A -t 10.96.0.4:80 -s mh -b mh-fallback,mh-port",
            "-A -t [fd00::1]:443 -s rr",
            "-A -t [fd00::2]:80 -s rr -p 300",
            "-A -t [fd00::3]:80 -s rr -p 60 -M 64",
            "-A -u 10.96.0.10:53 -s wlc",
            "-A -u 10.96.0.5:53 -s rr -o",
            "-A -u [fd00::10]:53 -s sh",
            "-A --sctp-service 10.96.0.11:9 -s lc",
            "-A --sctp-service [fd00::11]:9 -s rr",
        ];
        let mut expected: Vec<_> = expected.map(str::to_owned).into();
        expected.sort();
        assert_eq!(lines("ipvsadm -Sn"), expected);

        let mut dumped: Vec<_> =
            ipvs.services().expect("a dump").into_iter().map(|status| status.service).collect();
        dumped.sort();
        let mut services = services;
        services.sort();
        assert_eq!(dumped, services);
        for service in services {
            assert_eq!(read(&mut ipvs, service.id), service);
        }
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN and ip_vs"]
fn a_service_changes_in_place_and_goes() {
    in_namespace(|| {
        let mut ipvs = open();
        let id = tcp("10.96.0.1", 80);
        let plain = Service::new(id, SchedulerName::ROUND_ROBIN);
        let changed = Service { flags: ServiceFlags::NONE, ..Service::new(id, scheduler("lc")) };
        run(&mut ipvs, &[Request::AddService(plain.persistent(60))]);
        run(&mut ipvs, &[Request::AddDestination(id, destination("10.0.0.1", 8080))]);
        run(&mut ipvs, &[Request::SetService(changed)]);
        assert_eq!(read(&mut ipvs, id), changed);
        assert_eq!(ipvs.destinations(&id).expect("a dump").len(), 1);
        run(&mut ipvs, &[Request::DeleteService(id)]);
        assert_eq!(ipvs.service(&id).expect("readable"), None);
        assert_eq!(tool("ipvsadm -Sn"), "");
        assert_eq!(ipvs.destinations(&id).expect("a dump"), []);
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN and ip_vs"]
fn destinations_come_change_and_go() {
    in_namespace(|| {
        let mut ipvs = open();
        for (vip, id, address) in [
            ("-t 10.96.0.1:80", tcp("10.96.0.1", 80), "10.244.1.7"),
            ("-t [fd00::1]:80", tcp("fd00::1", 80), "fd01::7"),
            ("-f 7", ServiceId::Fwmark { family: Family::Ipv4, mark: 7 }, "10.244.1.7"),
            ("-f 7 -6", ServiceId::Fwmark { family: Family::Ipv6, mark: 7 }, "fd01::7"),
        ] {
            let service = Service::new(id, SchedulerName::ROUND_ROBIN);
            let first = destination(address, 8080);
            let second = Destination {
                weight: 65_535,
                upper_threshold: 100,
                lower_threshold: 50,
                forward: ForwardMethod::Masquerade,
                ..destination(address, 8081)
            };
            run(
                &mut ipvs,
                &[
                    Request::AddService(service),
                    Request::AddDestination(id, first),
                    Request::AddDestination(id, second),
                ],
            );
            let status = ipvs.destinations(&id).expect("a dump");
            let mut found: Vec<_> = status.iter().map(|status| status.destination).collect();
            found.sort();
            assert_eq!(found, [first, second]);
            assert!(status.iter().all(|s| (s.active, s.inactive, s.persistent) == (0, 0, 0)));

            run(
                &mut ipvs,
                &[
                    Request::SetDestination(id, Destination { weight: 0, ..first }),
                    Request::DeleteDestination(id, second.id()),
                ],
            );
            let shown = if address.contains(':') { format!("[{address}]") } else { address.into() };
            assert_eq!(
                lines("ipvsadm -Sn"),
                [format!("-A {vip} -s rr"), format!("-a {} -r {shown}:8080 -m -w 0", vip),]
            );
            run(&mut ipvs, &[Request::DeleteService(id)]);
        }
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN and ip_vs"]
fn every_forwarding_method() {
    in_namespace(|| {
        let mut ipvs = open();
        let id = tcp("10.96.0.1", 80);
        run(&mut ipvs, &[Request::AddService(Service::new(id, SchedulerName::ROUND_ROBIN))]);
        let methods = [
            ("10.0.0.1", ForwardMethod::Masquerade),
            ("10.0.0.2", ForwardMethod::Tunnel),
            ("10.0.0.3", ForwardMethod::Route),
            ("fd00::5", ForwardMethod::Tunnel),
        ];
        for (address, forward) in methods {
            let wanted = Destination { forward, ..destination(address, 80) };
            run(&mut ipvs, &[Request::AddDestination(id, wanted)]);
            let found = ipvs.destinations(&id).expect("a dump");
            assert!(found.iter().any(|status| status.destination == wanted), "{found:?}");
        }
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN and ip_vs"]
fn refusals_belong_to_their_requests() {
    in_namespace(|| {
        let traffic = traffic();
        let mut ipvs = Ipvs::open(traffic.clone()).expect("ip_vs is there");
        let id = tcp("10.96.0.1", 80);
        let missing = tcp("10.96.0.2", 80);
        run(&mut ipvs, &[Request::AddService(Service::new(id, SchedulerName::ROUND_ROBIN))]);
        let before = traffic.counts();
        let mut requests: Vec<_> = (1..=600)
            .map(|port| Request::AddDestination(id, destination("10.0.0.1", port)))
            .collect();
        requests[0] = Request::SetService(Service::new(missing, SchedulerName::ROUND_ROBIN));
        requests[100] = requests[99];
        requests[255] = Request::DeleteService(missing);
        requests[256] = Request::AddDestination(missing, destination("10.0.0.1", 1));
        requests[300] = Request::SetDestination(id, destination("10.9.9.9", 1));
        requests[301] = Request::DeleteDestination(id, destination("10.9.9.9", 1).id());
        requests[400] = Request::AddService(Service::new(id, SchedulerName::ROUND_ROBIN));
        requests[500] = Request::AddService(Service::new(missing, scheduler("nosuch")));
        requests[599] = requests[598];
        let answers = ipvs.run(&requests).expect("the socket works");
        let refused: Vec<_> = answers
            .iter()
            .enumerate()
            .filter_map(|(index, answer)| answer.err().map(|errno| (index, errno)))
            .collect();
        assert_eq!(
            refused,
            [
                (0, Errno::SRCH),
                (100, Errno::EXIST),
                (255, Errno::SRCH),
                (256, Errno::SRCH),
                (300, Errno::NOENT),
                (301, Errno::NOENT),
                (400, Errno::EXIST),
                (500, Errno::NOENT),
                (599, Errno::EXIST),
            ]
        );
        assert_eq!(ipvs.destinations(&id).expect("a dump").len(), 591);
        assert_eq!(lines("ipvsadm -Sn").len(), 592);
        let traffic = traffic.counts().since(before);
        assert_eq!((traffic.sends, traffic.mutations, traffic.dumps), (4, 600, 1));
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN and ip_vs"]
fn a_thousand_services_are_dumped_whole() {
    in_namespace(|| {
        let mut ipvs = open();
        let ids: Vec<_> = (0..1000_u32)
            .map(|number| {
                let [_, _, high, low] = number.to_be_bytes();
                ServiceId::Address {
                    protocol: Protocol::Tcp,
                    address: IpAddr::from([10, 96, high, low]),
                    port: 80,
                }
            })
            .collect();
        let mut requests = Vec::new();
        for &id in &ids {
            requests.push(Request::AddService(Service::new(id, SchedulerName::ROUND_ROBIN)));
            requests.push(Request::AddDestination(id, destination("10.0.0.1", 1)));
            requests.push(Request::AddDestination(id, destination("10.0.0.2", 2)));
        }
        run(&mut ipvs, &requests);
        let mut found: Vec<_> =
            ipvs.services().expect("a dump").iter().map(|status| status.service.id).collect();
        found.sort();
        assert_eq!(found, ids);
        let destinations: usize =
            ids.iter().map(|id| ipvs.destinations(id).expect("a dump").len()).sum();
        assert_eq!(destinations, 2000);
        assert_eq!(lines("ipvsadm -Sn").len(), 3000);
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN and ip_vs"]
fn timeouts_and_version() {
    in_namespace(|| {
        let mut ipvs = open();
        assert_eq!(ipvs.config().expect("readable"), Config { tcp: 900, tcp_fin: 120, udp: 300 });
        run(&mut ipvs, &[Request::SetConfig(Config { tcp: 0, tcp_fin: 60, udp: 30 })]);
        assert_eq!(ipvs.config().expect("readable"), Config { tcp: 900, tcp_fin: 60, udp: 30 });
        assert_eq!(tool("ipvsadm -Ln --timeout").trim(), "Timeout (tcp tcpfin udp): 900 60 30");
        let info = ipvs.info().expect("readable");
        let (major, minor, patch) = info.version;
        let shown =
            format!("version {major}.{minor}.{patch} (size={})", info.connection_table_size);
        assert!(tool("ipvsadm -Ln").contains(&shown), "{shown}");
        run(&mut ipvs, &[Request::Zero(None)]);
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN and ip_vs"]
fn clients_share_counters() {
    in_namespace(|| {
        let traffic = traffic();
        let mut one = Ipvs::open(traffic.clone()).expect("ip_vs is there");
        let mut other = Ipvs::open(traffic.clone()).expect("ip_vs is there");
        let id = tcp("10.96.0.1", 80);
        let before = traffic.counts();
        run(&mut one, &[Request::AddService(Service::new(id, SchedulerName::ROUND_ROBIN))]);
        run(&mut other, &[Request::AddDestination(id, destination("10.0.0.1", 80))]);
        let counts = traffic.counts().since(before);
        assert_eq!((counts.sends, counts.requests, counts.mutations, counts.replies), (2, 2, 2, 2));
    });
}
