//! What the example `examples/two-tier` asks of the first node, in the words of the tools.

use super::KernelState;

/// What the kernel of the first node of a [`Cluster`](super::Cluster) holds for
/// [`Manifests::two_tier`](super::Manifests::two_tier).
#[must_use]
pub fn two_tier_state() -> KernelState {
    let [services, members, routes] = [SERVICES, MEMBERS, ROUTES].map(super::kernel_state::sorted);
    KernelState { services, members, routes }
}

/// Virtual servers, each with its real servers.
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
