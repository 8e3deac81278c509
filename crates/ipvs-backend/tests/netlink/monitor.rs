//! What a monitor hears, and that it is woken by nothing else.

use std::time::Duration;

use ipvs_backend::netlink::monitor::{Change, Monitor};
use ipvs_backend::netlink::route::LocalRoute;

use crate::support::{in_namespace, tool};

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn no_route_that_does_not_matter_is_handed_over() {
    in_namespace(|| {
        tool("ip link set lo up");
        for (address, flag) in [("10.96.0.1", "-4"), ("fd96::1", "-6")] {
            let mut monitor = Monitor::of_network().expect("a socket");
            let ours = format!("{flag} route add local {address} dev lo table local proto 153");
            tool(&format!("ip {ours}"));
            let foreign = if flag == "-4" { "192.0.2.0/24" } else { "2001:db8::/64" };
            tool(&format!("ip {flag} route add unreachable {foreign}"));
            tool(&format!("ip {flag} route del unreachable {foreign}"));
            tool(&format!("ip {}", ours.replace(" add ", " del ")));
            let address = address.parse().expect("an address");
            let route = LocalRoute { address, device: 1, preferred_source: None, protocol: 153 };
            // Every announcement that is handed over ends a wait, whether or not it matters.
            let heard = monitor.wait(Duration::from_secs(10)).expect("a socket that works");
            assert_eq!(heard, [Change::RouteRemoved(route)]);
        }
    });
}
