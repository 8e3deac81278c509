//! All servers of a Service are replaced, one by one.

use std::thread;
use std::time::Duration;

use tests::lab::{
    Application, Cluster, Daemon, Endpoint, KernelState, Manifests, Pod, Server, wait_until,
};

use super::traffic::{Pace, Traffic};

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_rolling_update_of_all_servers_is_not_noticed() {
    let cluster = Cluster::new(1);
    let node = cluster.node(1);
    let client = node.pod("client", 20);
    let [old, new] = [10, 13].map(|first| {
        [0, 1, 2].map(|number| node.pod(&format!("pod-{}", first + number), first + number))
    });
    let start = |pod: &Pod| Server::start(&pod.namespace, &pod.name, 8080);
    let mut servers: Vec<_> = old.iter().map(|pod| Some(start(pod))).collect();
    let _new_servers = new.each_ref().map(start);

    let manifests = Manifests::of_nodes();
    manifests.write("service.yaml", &Application::web().service());
    let write = |endpoints: &[Endpoint]| {
        manifests.write("slices.yaml", &Application::web().slices(endpoints));
    };
    let mut endpoints = old.each_ref().map(Endpoint::from).to_vec();
    write(&endpoints);
    let _daemon = Daemon::start(node, manifests.path());

    let clients = [&client.namespace, &cluster.client];
    let mut traffic = Traffic::begin_both(clients, &Application::web(), Pace::Full);
    let pause = || thread::sleep(Duration::from_millis(200));
    for (number, (old, new)) in old.iter().zip(&new).enumerate() {
        endpoints.push(Endpoint::from(new).not_ready());
        write(&endpoints);
        pause();
        *endpoints.last_mut().unwrap() = new.into();
        write(&endpoints);
        pause();
        endpoints[0] = Endpoint::from(old).terminating();
        write(&endpoints);
        wait_until("it takes no new connection", Duration::from_secs(5), || {
            takes_no_new_connection(&KernelState::of(&node.namespace), old)
        });
        pause();
        let (theirs, others): (Vec<_>, Vec<_>) =
            traffic.iter_mut().partition(|traffic| traffic.partner() == old.name);
        theirs.iter().chain(&others).for_each(|traffic| traffic.assert_going_on());
        drop(servers[number].take());
        theirs.into_iter().for_each(Traffic::converse_anew);
        endpoints.remove(0);
        write(&endpoints);
        pause();
    }
    for traffic in traffic {
        let tally = traffic.assert_unharmed();
        assert_eq!(tally.answers.len(), 6, "{tally:?}");
    }
}

/// Whether a pod is at weight 0, or not there, in every service.
fn takes_no_new_connection(state: &KernelState, pod: &Pod) -> bool {
    let addresses = [format!("{}:8080", pod.ipv4), format!("[{}]:8080", pod.ipv6)];
    let mut lines = state.services.iter();
    !lines.any(|line| {
        let is_its = |address: &String| line.contains(&format!("-r {address} "));
        addresses.iter().any(is_its) && !line.ends_with("-w 0")
    })
}
