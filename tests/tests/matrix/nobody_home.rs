//! Services that nobody serves: their clients are told at once.

use std::thread;
use std::time::Duration;

use tests::lab::{Application, Client, Endpoint, Namespace, Transport};

use crate::world::{HERE, World};

const EVERYBODY_IS_REFUSED: &str = "
    pod, node, outside -> ClusterIP, ExternalIP, LoadBalancer, NodePort: refused
    peer               -> ExternalIP, LoadBalancer, NodePort: refused
";

/// The kernel's SCTP takes a port-unreachable error for a passing trouble and goes on trying, so
/// its clients are looked at elsewhere.
const TELLING: [Transport; 2] = [Transport::Tcp, Transport::Udp];

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn without_endpoints_everybody_is_refused_at_once_under_every_policy() {
    let cluster = Application::everywhere("cluster", 63);
    let local = Application::everywhere("local", 64)
        .spec("externalTrafficPolicy: Local")
        .spec("internalTrafficPolicy: Local")
        .spec("healthCheckNodePort: 32064");
    let not_ready = HERE.not_ready();
    let world = World::serving(&[(&cluster, &[]), (&local, &[not_ready])]);
    let refused = [&cluster, &local].map(|service| (service, EVERYBODY_IS_REFUSED));
    world.check_over(&TELLING, &refused);
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_client_over_sctp_is_told_that_there_are_no_endpoints() {
    let nobody: [Endpoint; 0] = [];
    let web = Application::everywhere("web", 63);
    let world = World::serving(&[(&web, &nobody)]);
    for target in web.targets() {
        for namespace in [&world.pod.namespace, &world.cluster.client] {
            let before = unreachable_errors(namespace);
            thread::scope(|scope| {
                scope.spawn(|| Client::in_namespace(namespace).ask(target, Transport::Sctp));
                thread::sleep(Duration::from_millis(500));
                let after = unreachable_errors(namespace);
                assert!(after > before, "{} to {target}: no ICMP error", namespace.name());
            });
        }
    }
}

/// How many ICMP errors about unreachable destinations came to a namespace, in both families.
fn unreachable_errors(namespace: &Namespace) -> u64 {
    let nstat = namespace.exec("nstat", &["-asz", "IcmpInDestUnreachs", "Icmp6InDestUnreachs"]);
    let numbers =
        nstat.lines().filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    numbers.sum()
}
