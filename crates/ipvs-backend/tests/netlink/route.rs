//! Routes, addresses and links: what is sent is what `ip` shows and what is read back.

use std::net::{IpAddr, UdpSocket};

use ipvs_backend::netlink::Errno;
use ipvs_backend::netlink::route::{LocalRoute, Request, Route};

use crate::support::{in_namespace, lines, tool, traffic};

const OURS: u8 = 200;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn open() -> Route {
    Route::open(traffic()).expect("a route socket")
}

/// The index of a new device for virtual servers.
fn dummy_link(client: &mut Route) -> u32 {
    client.add_dummy_link("kube-ipvs0").expect("a dummy module");
    let links = client.links().expect("a dump");
    links.iter().find(|link| link.name == "kube-ipvs0").expect("added").index
}

/// A namespace with two node addresses of each family.
fn node() -> Route {
    tool("ip link add eth0 type bridge");
    tool("ip link set eth0 up");
    tool("ip address add 192.168.10.5/24 dev eth0");
    tool("ip address add 192.168.10.6/24 dev eth0");
    tool("ip address add fd10::5/64 dev eth0 nodad");
    tool("ip address add fd10::6/64 dev eth0 nodad");
    open()
}

fn route(address: &str, source: Option<&str>) -> LocalRoute {
    LocalRoute { address: ip(address), device: 1, preferred_source: source.map(ip), protocol: OURS }
}

#[track_caller]
fn run(route: &mut Route, requests: &[Request]) {
    let answers = route.run(requests).expect("the socket works");
    for (request, answer) in requests.iter().zip(answers) {
        assert_eq!(answer, Ok(()), "{request:?}");
    }
}

#[track_caller]
fn ours(client: &mut Route) -> Vec<LocalRoute> {
    let mut routes = client.local_routes(OURS).expect("a dump");
    routes.sort();
    routes
}

/// The lines of `ip route` for one address of table local.
fn shown(address: &str) -> Vec<String> {
    let family = if address.contains(':') { "-6" } else { "-4" };
    tool(&format!("ip {family} -d route show table local exact {address}"))
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_route_comes_changes_and_goes() {
    in_namespace(|| {
        let mut client = node();
        for (address, first, second) in
            [("10.96.0.1", "192.168.10.5", "192.168.10.6"), ("fd96::1", "fd10::5", "fd10::6")]
        {
            let old = route(address, Some(first));
            let new = route(address, Some(second));
            run(&mut client, &[Request::Add(old)]);
            assert_eq!(ours(&mut client), [old]);
            assert_eq!(client.run(&[Request::Add(old)]).expect("works"), [Err(Errno::EXIST)]);
            if address.contains(':') {
                assert_eq!(client.run(&[Request::Add(new)]).expect("works"), [Err(Errno::EXIST)]);
            }
            run(&mut client, &[Request::Replace { old, new }]);
            assert_eq!(ours(&mut client), [new]);
            let text = shown(address);
            assert_eq!(text.len(), 1, "{text:?}");
            assert!(text[0].contains(&format!("src {second}")), "{text:?}");
            assert!(text[0].starts_with(&format!("local {address} dev lo")), "{text:?}");
            assert!(text[0].contains("proto 200"), "{text:?}");
            // The same again, and from a route that is gone, changes nothing.
            run(&mut client, &[Request::Replace { old, new }, Request::Replace { old: new, new }]);
            assert_eq!(ours(&mut client), [new]);
            let get = tool(&format!("ip route get {address}"));
            assert!(get.contains(&format!("src {second}")), "{get}");
            run(&mut client, &[Request::Delete(new)]);
            assert_eq!(ours(&mut client), []);
            assert_eq!(client.run(&[Request::Delete(new)]).expect("works"), [Err(Errno::SRCH)]);
        }
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_refused_replacement_keeps_the_old_route() {
    in_namespace(|| {
        let mut client = node();
        for (address, good, bad) in
            [("10.96.0.1", "192.168.10.5", "192.168.10.99"), ("fd96::1", "fd10::5", "fd10::99")]
        {
            let old = route(address, Some(good));
            let new = route(address, Some(bad));
            run(&mut client, &[Request::Add(old)]);
            let answers = client.run(&[Request::Replace { old, new }]).expect("works");
            assert_eq!(answers, [Err(Errno::INVAL)]);
            assert_eq!(ours(&mut client), [old]);
            run(&mut client, &[Request::Delete(old)]);
        }
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_route_without_a_source_is_replaced_too() {
    in_namespace(|| {
        let mut client = node();
        for (address, source) in [("10.96.0.1", "192.168.10.5"), ("fd96::1", "fd10::5")] {
            let plain = route(address, None);
            let named = route(address, Some(source));
            run(&mut client, &[Request::Add(plain)]);
            assert_eq!(ours(&mut client), [plain]);
            run(&mut client, &[Request::Replace { old: plain, new: named }]);
            assert_eq!(ours(&mut client), [named]);
            run(&mut client, &[Request::Replace { old: named, new: plain }]);
            assert_eq!(ours(&mut client), [plain]);
            run(&mut client, &[Request::Delete(plain)]);
        }
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn the_address_of_kube_proxy_is_taken_over_and_back() {
    in_namespace(|| {
        let mut client = node();
        let device = dummy_link(&mut client);
        for (address, source, other) in
            [("10.96.0.1", "192.168.10.5", "192.168.10.6"), ("fd96::1", "fd10::5", "fd10::6")]
        {
            run(&mut client, &[Request::AddAddress { device, address: ip(address) }]);
            let kernels = shown(address);
            assert_eq!(kernels.len(), 1, "{kernels:?}");
            let ours_now = route(address, Some(source));
            run(&mut client, &[Request::Add(ours_now)]);
            let both = shown(address);
            assert_eq!(both.len(), 2, "{both:?}");
            assert!(both.contains(&kernels[0]), "{both:?}");
            let v4 = address.contains('.');
            assert_eq!(both[0].contains("proto 200"), v4, "ours is first in IPv4: {both:?}");

            // Replacing and deleting ours leaves the kernel's alone.
            let new = route(address, Some(other));
            run(&mut client, &[Request::Replace { old: ours_now, new }]);
            assert!(shown(address).contains(&kernels[0]), "{:?}", shown(address));
            assert_eq!(shown(address).len(), 2);
            run(&mut client, &[Request::Delete(new)]);
            assert_eq!(shown(address), kernels);

            // The address goes, ours stays and serves.
            run(&mut client, &[Request::Add(new)]);
            run(&mut client, &[Request::DeleteAddress { device, address: ip(address) }]);
            assert_eq!(ours(&mut client), [new]);
            assert_eq!(shown(address).len(), 1);
            let get = tool(&format!("ip route get {address}"));
            assert!(get.starts_with("local") && get.contains(&format!("src {other}")), "{get}");

            // And back: the kernel's route joins ours, which then goes.
            run(&mut client, &[Request::AddAddress { device, address: ip(address) }]);
            run(&mut client, &[Request::Delete(new)]);
            assert_eq!(shown(address), kernels);
            assert_eq!(
                client.run(&[Request::AddAddress { device, address: ip(address) }]).expect("works"),
                [Err(Errno::EXIST)]
            );
        }
        client.delete_link(device).expect("deletable");
        assert_eq!(
            client.delete_link(device).expect_err("gone").raw_os_error(),
            Some(Errno::NODEV.raw())
        );
        assert_eq!(shown("10.96.0.1"), [""; 0]);
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn an_address_can_be_reached_as_soon_as_it_was_added() {
    in_namespace(|| {
        let mut client = node();
        let device = dummy_link(&mut client);
        for number in 1..=64 {
            for address in [format!("10.96.0.{number}"), format!("fd96::{number}")] {
                let address = ip(&address);
                run(&mut client, &[Request::AddAddress { device, address }]);
                let socket = UdpSocket::bind((address, 0)).expect("an address of this host");
                socket.connect((address, 9)).expect("a route");
            }
        }
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_hand_made_route_to_the_address_stays() {
    in_namespace(|| {
        let mut client = node();
        tool("ip route add local 10.96.0.1 dev lo table local proto static");
        tool("ip -6 route add local fd96::1 dev lo table local proto static");
        for (address, source, other) in
            [("10.96.0.1", "192.168.10.5", "192.168.10.6"), ("fd96::1", "fd10::5", "fd10::6")]
        {
            let theirs = shown(address);
            let (old, new) = (route(address, Some(source)), route(address, Some(other)));
            run(&mut client, &[Request::Add(old)]);
            run(&mut client, &[Request::Replace { old, new }]);
            let get = tool(&format!("ip route get {address}"));
            assert!(get.contains(&format!("src {other}")), "{get}");
            run(&mut client, &[Request::Delete(new)]);
            assert_eq!(shown(address), theirs);
        }
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn two_thousand_routes() {
    in_namespace(|| {
        let mut client = node();
        let mut routes: Vec<_> = (0..1000_u16)
            .flat_map(|number| {
                let [high, low] = number.to_be_bytes();
                [
                    route(&format!("10.96.{high}.{low}"), Some("192.168.10.5")),
                    route(&format!("fd96::1:{number:x}"), Some("fd10::5")),
                ]
            })
            .collect();
        routes.sort();
        let requests: Vec<_> = routes.iter().copied().map(Request::Add).collect();
        run(&mut client, &requests);
        assert_eq!(ours(&mut client), routes);
        assert_eq!(client.local_routes(OURS + 1).expect("a dump"), []);
        assert_eq!(lines("ip route show table local proto 200").len(), 1000);
        assert_eq!(lines("ip -6 route show table local proto 200").len(), 1000);
        let requests: Vec<_> = routes.iter().copied().map(Request::Delete).collect();
        run(&mut client, &requests);
        assert_eq!(ours(&mut client), []);
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn addresses_and_links_are_seen() {
    in_namespace(|| {
        let mut client = node();
        let addresses = client.addresses().expect("a dump");
        let found: Vec<_> = addresses
            .iter()
            .map(|a| (a.name.as_str(), a.address.to_string(), a.prefix_len, a.scope))
            .collect();
        for expected in [
            ("lo", "127.0.0.1".to_owned(), 8, 254),
            ("lo", "::1".to_owned(), 128, 254),
            ("eth0", "192.168.10.5".to_owned(), 24, 0),
            ("eth0", "fd10::5".to_owned(), 64, 0),
        ] {
            assert!(found.contains(&expected), "{expected:?} in {found:?}");
        }
        let links = client.links().expect("a dump");
        let lo = links.iter().find(|link| link.name == "lo").expect("always there");
        assert_eq!((lo.index, &lo.kind, lo.up), (1, &None, true));
        let eth0 = links.iter().find(|link| link.name == "eth0").expect("added");
        assert_eq!((eth0.kind.as_deref(), eth0.up), (Some("bridge"), true));
    });
}
