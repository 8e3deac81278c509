use proxy_core::ServiceKey;

use super::*;

fn port(service: &str, name: &str) -> ServicePort {
    let service = ServiceKey::new("default", service);
    ServicePort { name: ServicePortName { service, port: name.into() }, protocol: Protocol::Tcp }
}

fn id(address: &str) -> ServiceId {
    ServiceId::Address { protocol: Protocol::Tcp, address: address.parse().unwrap(), port: 80 }
}

fn reading(address: &str, service: &str, connections: u64) -> Reading {
    let stats = Stats64 { connections, bytes_in: 10 * connections, ..Stats64::default() };
    let frontend = (FrontendKind::ClusterIp, 80);
    Reading { id: id(address), port: port(service, "http"), frontend, stats }
}

/// What is shown, in order, and the rest.
#[track_caller]
fn check(totals: &Totals, shown: &[(&str, u64)], other: u64) {
    let found: Vec<_> = totals
        .ports
        .iter()
        .filter(|(_, total)| total.is_shown)
        .map(|(port, total)| (&*port.name.service.name, total.passed.connections))
        .collect();
    assert_eq!((&*found, totals.other.connections), (shown, other));
}

#[test]
fn frontends_of_a_service_port_are_summed_and_each_may_begin_anew() {
    let mut totals = Totals::default();
    totals.read(vec![reading("10.0.0.1", "web", 5), reading("fd00::1", "web", 2)]);
    check(&totals, &[("web", 7)], 0);
    totals.read(vec![reading("10.0.0.1", "web", 6), reading("fd00::1", "web", 2)]);
    check(&totals, &[("web", 8)], 0);
    // Deleted and made again, and one new connection since.
    totals.read(vec![reading("10.0.0.1", "web", 1), reading("fd00::1", "web", 2)]);
    check(&totals, &[("web", 9)], 0);
    assert_eq!(totals.ports[&port("web", "http")].passed.bytes_in, 90);
}

#[test]
fn a_frontend_that_goes_takes_nothing_back() {
    let mut totals = Totals::default();
    totals.read(vec![reading("10.0.0.1", "web", 5), reading("192.0.2.1", "web", 3)]);
    for _ in 0..10 {
        totals.read(vec![reading("10.0.0.1", "web", 5)]);
        check(&totals, &[("web", 8)], 0);
    }
    totals.read(vec![reading("10.0.0.1", "web", 5), reading("192.0.2.1", "web", 1)]);
    check(&totals, &[("web", 9)], 0);
}

#[test]
fn one_that_a_dump_missed_is_not_counted_twice() {
    let mut totals = Totals::default();
    totals.read(vec![reading("10.0.0.1", "web", 5)]);
    totals.read(vec![]);
    check(&totals, &[("web", 5)], 0);
    totals.read(vec![reading("10.0.0.1", "web", 6)]);
    check(&totals, &[("web", 6)], 0);
    for _ in 0..3 {
        totals.read(vec![]);
    }
    check(&totals, &[], 0);
    assert!(totals.last.of.is_empty(), "what is gone is forgotten");
}

#[test]
fn the_smallest_are_summed_and_the_sum_never_goes_back() {
    let limits = Limits { service_ports: 2, endpoints: 0 };
    let mut totals = Totals::new(limits);
    let all = |a, b, c| {
        vec![reading("10.0.0.1", "a", a), reading("10.0.0.2", "b", b), reading("10.0.0.3", "c", c)]
    };
    totals.read(all(1, 5, 9));
    check(&totals, &[("b", 5), ("c", 9)], 1);
    // It changes places with another one: what it was counted for elsewhere is not taken back.
    totals.read(all(8, 5, 9));
    check(&totals, &[("a", 8), ("c", 9)], 1);
    totals.read(all(8, 6, 9));
    check(&totals, &[("a", 8), ("c", 9)], 2);
    assert_eq!(totals.dropped(), [1, 0]);
    totals.read(all(8, 8, 9));
    check(&totals, &[("a", 8), ("c", 9)], 4);
    // Of those with as many connections the first have numbers of their own, and no more than fit.
}

#[test]
fn a_port_without_a_name_is_called_by_its_number_which_is_not_a_node_ports() {
    let mut totals = Totals::default();
    let unnamed = |frontend, address| Reading {
        port: port("web", ""),
        frontend,
        ..reading(address, "web", 1)
    };
    totals.read(vec![
        unnamed((FrontendKind::NodePort, 30080), "192.0.2.1"),
        unnamed((FrontendKind::ClusterIp, 80), "10.0.0.1"),
    ]);
    assert_eq!(totals.ports[&port("web", "")].port, "80");
}

fn endpoint(last: u8, active: u64, connections: u64) -> EndpointReading {
    let endpoint = DestinationId { address: [10, 1, 0, last].into(), port: 8080 };
    EndpointReading { endpoint, active, connections }
}

/// Active connections and all of them, by the last byte of an endpoint's address.
fn endpoints(totals: &Totals) -> Vec<(u8, u64, u64)> {
    let shown = totals.endpoints.iter().filter(|(_, total)| total.is_shown);
    shown
        .map(|((_, address), total)| {
            let last = address.to_string().split(['.', ':']).nth(3).unwrap().parse().unwrap();
            (last, total.active, total.connections)
        })
        .collect()
}

#[test]
fn endpoints_are_summed_over_the_frontends_of_their_service_port() {
    let mut totals = Totals::default();
    let web = port("web", "http");
    let readings = |one: &'static [EndpointReading], two: &'static [EndpointReading]| {
        let (one, two) = ((id("10.0.0.1"), web.clone(), one), (id("fd00::1"), web.clone(), two));
        [one, two]
    };
    let mut read = |one: Vec<EndpointReading>, two: Vec<EndpointReading>| {
        totals.read(vec![reading("10.0.0.1", "web", 5), reading("fd00::1", "web", 2)]);
        totals.read_endpoints(readings(one.leak(), two.leak()));
        endpoints(&totals)
    };
    let first = read(vec![endpoint(1, 1, 5), endpoint(2, 0, 4)], vec![endpoint(1, 2, 2)]);
    assert_eq!(first, [(1, 3, 7), (2, 0, 4)]);
    let next = read(vec![endpoint(1, 0, 6), endpoint(2, 1, 1)], vec![endpoint(1, 0, 2)]);
    assert_eq!(next, [(1, 0, 8), (2, 1, 5)]);
    assert_eq!(read(vec![endpoint(2, 0, 1)], vec![]), [(2, 0, 5)], "one that left is not shown");
}

#[test]
fn endpoints_beyond_the_limit_are_summed() {
    let mut totals = Totals::new(Limits { service_ports: 1, endpoints: 1 });
    let web = port("web", "http");
    let mut read = |found: &[EndpointReading]| {
        totals.read(vec![reading("10.0.0.1", "web", 9)]);
        totals.read_endpoints([(id("10.0.0.1"), web.clone(), found)]);
        let EndpointTotal { active, connections, .. } = totals.other_endpoints;
        (endpoints(&totals), active, connections, totals.dropped())
    };
    let found = [endpoint(1, 1, 5), endpoint(2, 2, 4), endpoint(3, 3, 1)];
    assert_eq!(read(&found), (vec![(1, 1, 5)], 5, 5, [0, 2]));
    let found = [endpoint(1, 1, 5), endpoint(2, 0, 6), endpoint(3, 1, 2)];
    assert_eq!(read(&found), (vec![(2, 0, 6)], 2, 6, [0, 2]));
}

#[test]
fn the_greatest_are_found_whatever_the_limit() {
    let which = |numbers: &[u64], limit| {
        let mut is_among = greatest(numbers.to_vec(), limit);
        numbers.iter().map(|number| is_among(*number)).collect::<Vec<_>>()
    };
    assert_eq!(which(&[3, 1, 3, 2, 3], 2), [true, false, true, false, false]);
    assert_eq!(which(&[3, 1, 2], 2), [true, false, true]);
    assert_eq!(which(&[0, 0], 9), [true, true]);
    assert_eq!(which(&[7], 0), [false]);
    assert_eq!(which(&[u64::MAX], 0), [false]);
    assert_eq!(which(&[], 3), [] as [bool; 0]);
}
