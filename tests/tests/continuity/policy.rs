//! The traffic policies of a Service change, to and fro.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::thread;
use std::time::Duration;

use proxy_core::{Family, FrontendKind};
use tests::lab::{
    Answer, Application, Client, Cluster, Conversation, Daemon, Endpoint, Manifests, Namespace,
    Pod, Server, Transport,
};

use super::traffic::{Pace, Traffic, converse};

/// A node with a client and a server, another node with a server, and a Service with both.
struct Story {
    cluster: Cluster,
    client: Pod,
    local: Pod,
    remote: Pod,
    manifests: Manifests,
}

impl Story {
    fn begin() -> Self {
        let cluster = Cluster::new(2);
        let (here, there) = (cluster.node(1), cluster.node(2));
        let client = here.pod("client", 20);
        let (local, remote) = (here.pod("local", 10), there.pod("remote", 10));
        cluster.client.ip("route replace 192.0.2.0/24 via 192.168.50.11");
        let manifests = Manifests::of_nodes();
        let endpoints = [&local, &remote].map(Endpoint::from);
        manifests.write("slices.yaml", &edge().slices(&endpoints));
        Self { cluster, client, local, remote, manifests }
    }

    fn servers(&self) -> [Server; 2] {
        [&self.local, &self.remote].map(|pod| Server::start(&pod.namespace, &pod.name, 8080))
    }

    fn target(&self, kind: FrontendKind) -> SocketAddr {
        edge().target(kind, Family::Ipv4, self.cluster.node(1))
    }
}

/// New connections are answered as expected, and in no other way. Other clients take turns too:
/// it may take a few until every server had one.
#[track_caller]
fn assert_answers(
    namespace: &Namespace,
    target: SocketAddr,
    expected: &BTreeSet<Answer>,
    policy: &str,
) {
    let mut seen = BTreeSet::new();
    for _ in 0..10 {
        let answers = Client::in_namespace(namespace).ask_often(target, Transport::Tcp, 6);
        let answers = answers.unwrap_or_else(|refusal| panic!("{target}: {refusal}"));
        seen.extend(answers.into_keys());
        if !seen.is_subset(expected) || seen == *expected {
            break;
        }
    }
    assert_eq!(seen, *expected, "{policy}, {target}");
}

fn edge() -> Application {
    Application::everywhere("edge", 30)
}

/// Connections that stay, with every server.
fn conversations(namespace: &Namespace, target: SocketAddr) -> Vec<Conversation> {
    let client = Client::in_namespace(namespace);
    let mut conversations: Vec<Conversation> = Vec::new();
    // Other clients take turns too: it may take a few.
    for _ in 0..50 {
        let next = converse(client, target);
        let is_known = |it: &Conversation| it.partner() == next.partner();
        if !conversations.iter().any(is_known) {
            conversations.push(next);
        }
        if conversations.len() == 2 {
            return conversations;
        }
    }
    panic!("{target} leads to one server only")
}

fn answers<const N: usize>(of: [(&str, IpAddr); N]) -> BTreeSet<Answer> {
    let answer = |(server, source): (&str, IpAddr)| Answer { server: server.to_owned(), source };
    of.map(answer).into_iter().collect()
}

const FLIPS: [&str; 5] = ["Local", "Cluster", "Local", "Cluster", "Local"];

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn the_external_traffic_policy_flips_and_nobody_is_cut_off() {
    let story = Story::begin();
    let _servers = story.servers();
    let write = |policy: &str| {
        let service = edge().spec(&format!("externalTrafficPolicy: {policy}"));
        story.manifests.write("service.yaml", &service.service());
    };
    write("Cluster");
    let node = story.cluster.node(1);
    let daemon = Daemon::start(node, story.manifests.path());
    let (outside, pod) = (&story.cluster.client, &story.client.namespace);
    let [node_port, load_balancer] =
        [FrontendKind::NodePort, FrontendKind::LoadBalancer].map(|kind| story.target(kind));
    let traffic = [(outside, node_port), (pod, load_balancer)]
        .map(|(namespace, target)| Traffic::begin(namespace, target, Pace::Full));
    let stay: Vec<_> = [(outside, node_port), (outside, load_balancer), (pod, load_balancer)]
        .into_iter()
        .flat_map(|(namespace, target)| conversations(namespace, target))
        .collect();

    let peer = IpAddr::V4(story.local.ipv4);
    let [gateway, address] = [node.gateway_for(peer), node.address_for(peer)];
    let own = IpAddr::from([203, 0, 113, 9]);
    let pods = IpAddr::V4(story.client.ipv4);
    for (done, policy) in FLIPS.into_iter().enumerate() {
        write(policy);
        daemon.wait_for_log_times("synced changed=", done + 1);
        let (for_outside, for_pods) = match policy {
            "Local" => (answers([("local", own)]), answers([("local", pods), ("remote", pods)])),
            _ => {
                let both = answers([("local", gateway), ("remote", address)]);
                (both.clone(), both)
            }
        };
        for target in [node_port, load_balancer] {
            assert_answers(outside, target, &for_outside, policy);
        }
        assert_answers(pod, load_balancer, &for_pods, policy);
        thread::sleep(Duration::from_millis(300));
    }
    for traffic in traffic {
        let _ = traffic.assert_unharmed();
    }
    assert_all_lasted(stay);
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn the_internal_traffic_policy_flips_and_nobody_is_cut_off() {
    let story = Story::begin();
    let _servers = story.servers();
    let write = |policy: &str| {
        let service = edge().spec(&format!("internalTrafficPolicy: {policy}"));
        story.manifests.write("service.yaml", &service.service());
    };
    write("Cluster");
    let node = story.cluster.node(1);
    let daemon = Daemon::start(node, story.manifests.path());
    let pod = &story.client.namespace;
    let target = story.target(FrontendKind::ClusterIp);
    let traffic =
        [pod, &node.namespace].map(|namespace| Traffic::begin(namespace, target, Pace::Full));
    let stay = conversations(pod, target);
    let source = IpAddr::V4(story.client.ipv4);
    for (done, policy) in FLIPS.into_iter().enumerate() {
        write(policy);
        daemon.wait_for_log_times("synced changed=", done + 1);
        let expected = match policy {
            "Local" => answers([("local", source)]),
            _ => answers([("local", source), ("remote", source)]),
        };
        assert_answers(pod, target, &expected, policy);
        thread::sleep(Duration::from_millis(300));
    }
    for traffic in traffic {
        let _ = traffic.assert_unharmed();
    }
    assert_all_lasted(stay);
}

#[track_caller]
fn assert_all_lasted(conversations: Vec<Conversation>) {
    for conversation in conversations {
        let partner = conversation.partner().clone();
        let end = conversation.stop();
        assert!(end.is_ok(), "with {partner}: {end:?}");
    }
}
