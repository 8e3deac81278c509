//! Other software's objects in the kernel, of every kind that we have too.

use super::kernel_state::iptables_flavour;
use super::{KernelState, packet_filter, run};

const SERVICES: [&str; 3] = [
    "-A -t 192.0.2.1:80 -s wlc",
    "-a -t 192.0.2.1:80 -r 198.51.100.7:8080 -m -w 3",
    "-A -f 7 -s rr",
];

/// Of IPv4, by table.
const RULES: [(&str, &str); 3] = [
    ("nat", "-A STRANGER -s 198.51.100.0/24 -j RETURN"),
    ("nat", "-A PREROUTING -d 198.51.100.67/32 -j STRANGER"),
    ("filter", "-A INPUT -s 198.51.100.66/32 -j DROP"),
];

/// Of IPv6, in the filter table.
const RULE6: &str = "-A INPUT -s 2001:db8:66::/64 -j DROP";

const ROUTE: &str = "local 192.0.2.77 dev lo proto 99 scope host";

const MEMBER: &str = "add STRANGERS 198.51.100.9";

/// Makes them in the network namespace of the calling thread.
///
/// # Panics
/// When one cannot be made.
pub fn plant_strangers() {
    for service in SERVICES {
        call("ipvsadm", service);
    }
    call("ipset", "create STRANGERS hash:ip");
    call("ipset", MEMBER);
    call("ip", &format!("route add table local {ROUTE}"));
    let [iptables, ip6tables] =
        ["iptables", "ip6tables"].map(|program| format!("{program}{}", iptables_flavour()));
    call(&iptables, "-t nat -N STRANGER");
    for (table, rule) in RULES {
        call(&iptables, &format!("-t {table} {rule}"));
    }
    call(&ip6tables, RULE6);
}

/// Checks that they are there as they were made.
///
/// # Panics
/// When one is not.
pub fn assert_strangers_untouched() {
    let state = KernelState::here();
    for service in SERVICES {
        assert!(state.services.contains(&service.to_owned()), "{service}: {state:?}");
    }
    assert!(state.members.contains(&MEMBER.to_owned()), "{MEMBER}: {state:?}");
    let routes = run("ip", &["route", "show", "table", "local", "proto", "99"]);
    assert_eq!(routes.trim(), ROUTE.replace(" proto 99", ""));
    let rules = packet_filter();
    for rule in RULES.map(|(_, rule)| rule).into_iter().chain([RULE6]) {
        assert!(rules.lines().any(|line| line == rule), "{rule} is not in\n{rules}");
    }
}

fn call(program: &str, arguments: &str) {
    run(program, &arguments.split_whitespace().collect::<Vec<_>>());
}
