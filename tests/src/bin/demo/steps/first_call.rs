//! One Service, one backend, and all that the kernel holds for them.

use tests::lab::KernelState;

use crate::ask::{Expected, every_call};
use crate::stage::{BACKEND_2, FRONTEND, Stage};
use crate::verdict::{Failure, Shown, require};

pub(super) fn run(stage: &mut Stage) -> Shown {
    for call in every_call() {
        let source = stage.address(FRONTEND, call.0);
        let expected = Expected { times: 1, server: BACKEND_2.name, source };
        stage.caller(FRONTEND).expect(stage.screen, call, &[expected])?;
    }
    let state = KernelState::of(&stage.first_node().namespace);
    for (command, held, expected) in [
        ("ipvsadm -Sn | sort", &state.services, SERVICES),
        ("ipset save | grep ^add | sort", &state.members, MEMBERS),
        (
            "ip route show table local proto 153; ip -6 route show table local proto 153",
            &state.routes,
            ROUTES,
        ),
    ] {
        stage.screen.command("node-1", command);
        held.iter().for_each(|line| stage.screen.output(line));
        require_same(command, held, expected)?;
    }
    Ok("the backend answers in both families over both protocols and sees the pod's own address; \
        the kernel of node-1 holds exactly what the manifests ask for"
        .to_owned())
}

/// Virtual servers, each with its real servers: what `examples/two-tier` means.
const SERVICES: &str = "\
-A -t 10.96.0.100:3000 -s rr
-A -t 10.96.0.80:80 -s rr
-A -t [fd00:96::100]:3000 -s rr
-A -u 10.96.0.100:3000 -s rr
-A -u [fd00:96::100]:3000 -s rr
-a -t 10.96.0.100:3000 -r 10.244.2.10:8080 -m -w 1
-a -t 10.96.0.80:80 -r 10.244.1.20:8080 -m -w 1
-a -t [fd00:96::100]:3000 -r [fd00:244:2::10]:8080 -m -w 1
-a -u 10.96.0.100:3000 -r 10.244.2.10:8080 -m -w 1
-a -u [fd00:96::100]:3000 -r [fd00:244:2::10]:8080 -m -w 1
";

/// What the packet filter knows: addresses and ports that are served, and for the endpoint on this
/// node its own connections to itself.
const MEMBERS: &str = "\
add KUBE-6-CLUSTER-IP fd00:96::100,tcp:3000
add KUBE-6-CLUSTER-IP fd00:96::100,udp:3000
add KUBE-6-IPVS-IPS fd00:96::100
add KUBE-CLUSTER-IP 10.96.0.100,tcp:3000
add KUBE-CLUSTER-IP 10.96.0.100,udp:3000
add KUBE-CLUSTER-IP 10.96.0.80,tcp:80
add KUBE-IPVS-IPS 10.96.0.100
add KUBE-IPVS-IPS 10.96.0.80
add KUBE-LOOP-BACK 10.244.1.20,tcp:8080,10.244.1.20
";

/// Cluster IPs are local to the node, which calls them from its own address.
const ROUTES: &str = "\
local 10.96.0.100 dev lo scope host src 192.168.50.11
local 10.96.0.80 dev lo scope host src 192.168.50.11
local fd00:96::100 dev lo src fd00:50::11 metric 512 pref medium
";

fn require_same(command: &str, held: &[String], expected: &str) -> Result<(), Failure> {
    let mut expected: Vec<_> = expected.lines().collect();
    expected.sort_unstable();
    require(held == expected, || {
        let missing = expected.iter().filter(|line| !held.iter().any(|held| held == *line));
        let extra = held.iter().map(String::as_str).filter(|line| !expected.contains(line));
        let list =
            |lines: Vec<&str>| if lines.is_empty() { "none".to_owned() } else { lines.join("; ") };
        format!(
            "{command}: expected what the manifests ask for; lines missing: {}; lines too many: {}",
            list(missing.copied().collect()),
            list(extra.collect())
        )
    })
}
