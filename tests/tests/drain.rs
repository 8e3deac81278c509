//! Pods come and go under traffic, and nobody notices who does not have to.

use std::thread;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use tests::lab::{
    Application, Client, Cluster, Daemon, Endpoint, KernelState, Manifests, Pod, Refusal, Server,
    Transport, ask_over, wait_until,
};

/// A node with a client, an old and a new server, of which the old one serves.
struct Story {
    cluster: Cluster,
    manifests: Manifests,
    client: Pod,
    old: Pod,
    new: Pod,
}

impl Story {
    fn begin() -> Self {
        let cluster = Cluster::new(1);
        let node = cluster.node(1);
        let (client, old, new) = (node.pod("client", 20), node.pod("old", 10), node.pod("new", 11));
        let manifests = Manifests::of_nodes();
        manifests.write("service.yaml", &Application::web().service());
        manifests.write("slices.yaml", &Application::web().slices(&[Endpoint::from(&old)]));
        Self { cluster, manifests, client, old, new }
    }

    fn write(&self, endpoints: &[Endpoint]) {
        self.manifests.write("slices.yaml", &Application::web().slices(endpoints));
    }

    fn weight(&self, of: &Pod, transport: Transport) -> Option<u32> {
        let mut state = KernelState::of(&self.cluster.node(1).namespace);
        let flag = match transport {
            Transport::Tcp => "-t",
            Transport::Udp => "-u",
            Transport::Sctp => "--sctp-service",
        };
        state.services.retain(|line| line.split_whitespace().nth(1) == Some(flag));
        state.weight(&format!("{}:8080", of.ipv4))
    }

    #[track_caller]
    fn wait_for_weight(&self, of: &Pod, weight: Option<u32>, limit: u64) {
        let what = format!("the weight of {} is {weight:?}", of.name);
        wait_until(&what, Duration::from_secs(limit), || self.weight(of, Transport::Tcp) == weight);
    }
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_pod_is_replaced_under_a_stream_of_requests_and_none_is_lost() {
    let story = Story::begin();
    let Story { old, new, .. } = &story;
    let old_server = Server::start(&old.namespace, &old.name, 8080);
    let _new_server = Server::start(&new.namespace, &new.name, 8080);
    let _daemon = Daemon::start(story.cluster.node(1), story.manifests.path());
    let target = Application::web().targets().next().unwrap();
    let client = Client::in_namespace(&story.client.namespace);
    let stream = client.stream(target, Duration::from_millis(10));
    let pause = || thread::sleep(Duration::from_millis(300));
    pause();
    story.write(&[old.into(), Endpoint::from(new).not_ready()]);
    pause();
    story.write(&[old.into(), new.into()]);
    pause();
    story.write(&[Endpoint::from(old).terminating(), new.into()]);
    story.wait_for_weight(old, Some(0), 3);
    drop(old_server);
    story.write(&[new.into()]);
    pause();
    let tally = stream.stop();
    assert_eq!(tally.lost, [], "{tally:?}");
    assert!(tally.answers["old"] > 10 && tally.answers["new"] > 10, "{tally:?}");
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_connection_outlives_the_readiness_of_its_server_and_takes_it_along_when_it_ends() {
    let story = Story::begin();
    let Story { old, new, .. } = &story;
    let _servers = [old, new].map(|pod| Server::start(&pod.namespace, &pod.name, 8080));
    let _daemon = Daemon::start(story.cluster.node(1), story.manifests.path());
    let target = Application::web().targets().next().unwrap();
    let client = Client::in_namespace(&story.client.namespace);
    let connection = client.connect(target).unwrap();
    let asked = || ask_over(&connection).map(|answer| answer.server);
    assert_eq!(asked().as_deref(), Ok("old"));

    let leaving = [Endpoint::from(old).terminating(), new.into()];
    story.write(&leaving);
    story.wait_for_weight(old, Some(0), 3);
    assert_eq!(asked().as_deref(), Ok("old"));
    let answers = client.ask_often(target, Transport::Tcp, 6).unwrap();
    assert!(answers.keys().all(|answer| answer.server == "new"), "{answers:?}");

    story.write(&[old.into(), new.into()]);
    story.wait_for_weight(old, Some(1), 3);
    assert_eq!(asked().as_deref(), Ok("old"), "it was revived in place");

    story.write(&leaving);
    story.wait_for_weight(old, Some(0), 3);
    thread::sleep(Duration::from_secs(1));
    assert_eq!(story.weight(old, Transport::Tcp), Some(0), "it waits for its connection");
    assert_eq!(asked().as_deref(), Ok("old"));
    // After a reset IPVS forgets a connection in 10 seconds, after an orderly end in two minutes.
    set_socket_linger(&connection, Some(Duration::ZERO)).unwrap();
    drop(connection);
    story.wait_for_weight(old, None, 25);
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_server_without_connections_goes_at_once_and_a_udp_server_always() {
    let story = Story::begin();
    let Story { old, new, .. } = &story;
    let _servers = [old, new].map(|pod| Server::start(&pod.namespace, &pod.name, 8080));
    let daemon = Daemon::start(story.cluster.node(1), story.manifests.path());
    let target = Application::web().targets().next().unwrap();
    let client = Client::in_namespace(&story.client.namespace);
    assert_eq!(client.ask(target, Transport::Udp).unwrap().server, "old");
    story.write(&[Endpoint::from(old).terminating(), new.into()]);
    daemon.wait_for_log("synced changed=4");
    assert_eq!(story.weight(old, Transport::Udp), None);
    assert_eq!(client.ask(target, Transport::Udp).unwrap().server, "new");
    story.wait_for_weight(old, None, 1);
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_service_that_lost_all_its_servers_works_again_once_there_is_one() {
    let story = Story::begin();
    let Story { client, old, new, .. } = &story;
    let node = story.cluster.node(1);
    let _servers = [old, new].map(|pod| Server::start(&pod.namespace, &pod.name, 8080));
    let daemon = Daemon::start(node, story.manifests.path());
    let transports = [Transport::Tcp, Transport::Udp];
    for (round, pod) in [new, old, new].into_iter().enumerate() {
        story.write(&[]);
        daemon.wait_for_log_times("synced changed=4", 2 * round + 1);
        for target in Application::web().targets() {
            let refused = Client::in_namespace(&client.namespace).ask(target, Transport::Tcp);
            assert_eq!(refused, Err(Refusal::Refused), "{target}");
        }
        story.write(&[pod.into()]);
        daemon.wait_for_log_times("synced changed=4", 2 * round + 2);
        for target in Application::web().targets() {
            for transport in transports {
                for namespace in [&client.namespace, &node.namespace, &story.cluster.client] {
                    let answer = Client::in_namespace(namespace).ask(target, transport);
                    let server = answer.map(|answer| answer.server);
                    let who = namespace.name();
                    assert_eq!(server.as_deref(), Ok(&*pod.name), "{who} to {target}");
                }
            }
        }
    }
}
