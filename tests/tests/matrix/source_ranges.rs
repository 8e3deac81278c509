//! Load-balancer IPs with `loadBalancerSourceRanges`.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use proxy_core::{Family, FrontendKind};
use tests::lab::Application;

use crate::table::Who;
use crate::world::{HERE, THERE, World};

/// With these ranges, as a list in YAML.
pub(crate) fn guarded(number: u8, ranges: &str) -> Application {
    let name = format!("guarded-{number}");
    Application::everywhere(&name, number).spec(&format!("loadBalancerSourceRanges: {ranges}"))
}

pub(crate) const OUTSIDE: &str = "[203.0.113.0/24, \"2001:db8:9::/64\"]";

const POD: &str = "[10.244.1.20/32, \"fd00:244:1::20/128\"]";

const NODE: &str = "[192.168.50.11/32, \"fd00:50::11/128\"]";

const UNUSABLE: &str = "[10.0.0.0/99, nonsense]";

/// Only load-balancer IPs ask who comes.
const FOR_OUTSIDE: &str = "
    outside            -> LoadBalancer: here saw gateway, there saw node
    pod, peer, node    -> LoadBalancer: no answer
    pod, node, outside -> ExternalIP, NodePort: here saw gateway, there saw node
    node, outside      -> ClusterIP: here saw gateway, there saw node
";

const FOR_THE_NODE: &str = "
    node                -> LoadBalancer: here saw gateway, there saw node
    pod, peer, outside  -> LoadBalancer: no answer
";

/// Under the policy `Local` the ranges hold for inside and outside clients.
const FOR_A_POD: &str = "
    pod                 -> LoadBalancer: here saw pod, there saw pod
    node, here, outside -> LoadBalancer: no answer
    outside             -> ExternalIP: here saw outside
";

const FOR_NOBODY: &str = "
    pod, node, outside -> LoadBalancer: no answer
    outside            -> ExternalIP: here saw gateway, there saw node
";

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_load_balancer_ip_lets_in_only_clients_in_its_ranges_and_nobody_if_none_can_be_used() {
    let outside = guarded(74, OUTSIDE);
    let node = guarded(75, NODE);
    let pod = guarded(76, POD).spec("externalTrafficPolicy: Local");
    let nobody = guarded(77, UNUSABLE);
    let both = &[HERE, THERE][..];
    let services = [&outside, &node, &pod, &nobody];
    let world = World::serving(&services.map(|service| (service, both)));
    let tables = [FOR_OUTSIDE, FOR_THE_NODE, FOR_A_POD, FOR_NOBODY];
    world.check_all(&services.into_iter().zip(tables).collect::<Vec<_>>());
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_change_of_the_ranges_holds_at_once() {
    let world = World::serving(&[(&guarded(78, OUTSIDE), &[HERE])]);
    for (web, table) in [
        (
            guarded(78, POD),
            "pod     -> LoadBalancer: here saw gateway
             outside -> LoadBalancer: no answer",
        ),
        (
            Application::everywhere("guarded-78", 78),
            "pod, outside -> LoadBalancer: here saw gateway",
        ),
        (
            guarded(78, OUTSIDE),
            "pod     -> LoadBalancer: no answer
             outside -> LoadBalancer: here saw gateway",
        ),
    ] {
        world.change(&web, &[HERE]);
        world.check(&web, table);
    }
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn while_a_service_comes_and_goes_nobody_outside_of_its_ranges_slips_in() {
    let web = guarded(79, OUTSIDE);
    let world = World::serving(&[(&Application::web(), &[HERE])]);
    let target = web.target(FrontendKind::LoadBalancer, Family::Ipv4, world.node());
    let stop = Arc::new(AtomicBool::new(false));
    let until = stop.clone();
    // Each datagram has a socket of its own: IPVS and connection tracking know nothing of it.
    let intruder = world.namespace(Who::Peer).spawn(move || {
        let mut sockets = Vec::new();
        while !until.load(Ordering::Relaxed) && sockets.len() < 900 {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            socket.set_nonblocking(true).unwrap();
            socket.connect(target).unwrap();
            let _ = socket.send(b"?");
            sockets.push(socket);
            thread::sleep(Duration::from_millis(2));
        }
        let answered = |socket: &&UdpSocket| socket.recv(&mut [0; 64]).is_ok();
        (sockets.len(), sockets.iter().filter(answered).count())
    });
    let nothing = Application::web();
    for service in [&web, &nothing, &web] {
        world.change(service, &[HERE]);
    }
    thread::sleep(Duration::from_millis(100));
    stop.store(true, Ordering::Relaxed);
    let (asked, answered) = intruder.join().unwrap();
    assert!(asked > 50, "{asked} datagrams are too few to tell");
    assert_eq!(answered, 0, "of {asked}");
}
