//! UDP flows have no end: a client that keeps its port is led to who serves now, whatever the
//! connection tracker remembers of it, and flows that are not to us are left alone.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use tests::lab::{
    Application, Cluster, Daemon, Endpoint, Manifests, Namespace, Node, Pod, Server, Transport,
};

/// The port that every client here keeps.
const CLIENT_PORT: u16 = 40_000;

fn dns() -> Application {
    Application::new("dns", &["10.96.0.9", "fd00:96::9"]).port(Transport::Udp, 53, 8080).port(
        Transport::Tcp,
        53,
        8080,
    )
}

/// A client that asks again and again from one port.
struct Asker(UdpSocket);

impl Asker {
    fn new(namespace: &Namespace, target: SocketAddr) -> Self {
        Self(namespace.enter(move || {
            let any = match target {
                SocketAddr::V4(_) => SocketAddr::from(([0; 4], CLIENT_PORT)),
                // One for both families has the port of both.
                SocketAddr::V6(_) => SocketAddr::from(([0_u16; 8], CLIENT_PORT + 1)),
            };
            let socket = UdpSocket::bind(any).unwrap();
            socket.connect(target).unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
            socket
        }))
    }

    /// Who answers one request.
    fn ask(&self) -> Option<String> {
        let mut buffer = [0; 128];
        // Reports what became of an earlier request.
        let _ = self.0.take_error();
        self.0.send(b"?").ok()?;
        let length = self.0.recv(&mut buffer).ok()?;
        let answer = String::from_utf8_lossy(&buffer[..length]);
        answer.split_whitespace().next().map(str::to_owned)
    }
}

/// What the tool lists of flows of this protocol from the clients' port to `target`.
fn flows(node: &Node, protocol: &str, target: SocketAddr) -> Vec<String> {
    let family = if target.is_ipv4() { "ipv4" } else { "ipv6" };
    let (address, port) = (target.ip().to_string(), target.port().to_string());
    let arguments = ["-L", "-f", family, "-p", protocol, "-d", &address, "--dport", &port];
    let listed = node.namespace.exec("conntrack", &arguments);
    listed.lines().map(str::to_owned).collect()
}

/// A node whose packets to nobody it knows are sent to the client outside, who drops them, as a
/// router may.
fn cluster() -> Cluster {
    let cluster = Cluster::new(1);
    cluster.node(1).namespace.ip("route add default via 203.0.113.9 dev eth0
        route add default via 2001:db8:9::9 dev eth0");
    cluster
}

/// Where it is called, in every family.
fn targets() -> Vec<SocketAddr> {
    dns().targets().collect()
}

fn serving(pods: &[&Pod]) -> String {
    dns().objects(&pods.iter().map(|&pod| Endpoint::from(pod)).collect::<Vec<_>>())
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn who_asked_before_the_service_was_there_is_answered_once_it_is() {
    let cluster = cluster();
    let node = cluster.node(1);
    let (client, server) = (node.pod("client", 20), node.pod("server", 10));
    let _server = Server::start(&server.namespace, &server.name, 8080);
    let manifests = Manifests::of_nodes();
    let daemon = Daemon::start(node, manifests.path());
    let askers: Vec<_> =
        targets().into_iter().map(|target| ask_in_vain(node, &client, target)).collect();
    manifests.write("dns.yaml", &serving(&[&server]));
    daemon.wait_for_log("synced changed=");
    for asker in askers {
        assert_eq!(asker.ask().as_deref(), Some("server"), "{}", daemon.log());
    }
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn who_asked_before_the_daemon_ran_is_answered_once_it_does() {
    let cluster = cluster();
    let node = cluster.node(1);
    let (client, server) = (node.pod("client", 20), node.pod("server", 10));
    let _server = Server::start(&server.namespace, &server.name, 8080);
    // Something else must make the kernel track flows.
    for iptables in ["iptables", "ip6tables"] {
        let rule = "-A FORWARD -m conntrack --ctstate INVALID -j DROP";
        let rule: Vec<_> = rule.split(' ').collect();
        let _ = node.namespace.exec(&format!("{iptables}-legacy"), &rule);
    }
    let askers: Vec<_> =
        targets().into_iter().map(|target| ask_in_vain(node, &client, target)).collect();
    let manifests = Manifests::of_nodes();
    manifests.write("dns.yaml", &serving(&[&server]));
    let daemon = Daemon::start(node, manifests.path());
    for asker in askers {
        assert_eq!(asker.ask().as_deref(), Some("server"), "{}", daemon.log());
    }
}

/// Asks for something that is not there. The kernel remembers that.
fn ask_in_vain(node: &Node, client: &Pod, target: SocketAddr) -> Asker {
    let asker = Asker::new(&client.namespace, target);
    assert_eq!(asker.ask(), None);
    let remembered = flows(node, "udp", target);
    assert_eq!(remembered.len(), 1, "{remembered:?}");
    assert!(remembered[0].contains("[UNREPLIED]"), "{remembered:?}");
    asker
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn who_keeps_its_port_is_led_to_a_new_server_and_no_request_is_lost() {
    let cluster = cluster();
    let node = cluster.node(1);
    let client = node.pod("client", 20);
    let [old, new] = [("old", 10), ("new", 11)].map(|(name, host)| node.pod(name, host));
    let _servers = [&old, &new].map(|pod| Server::start(&pod.namespace, &pod.name, 8080));
    let manifests = Manifests::of_nodes();
    manifests.write("dns.yaml", &serving(&[&old]));
    let daemon = Daemon::start(node, manifests.path());
    let askers = targets().into_iter().flat_map(|target| {
        // The node's own requests are masqueraded.
        [&client.namespace, &node.namespace].map(|namespace| Asker::new(namespace, target))
    });
    let askers: Vec<_> = askers.collect();
    for asker in &askers {
        assert_eq!(asker.ask().as_deref(), Some("old"));
    }
    manifests.write("dns.yaml", &serving(&[&new]));
    daemon.wait_for_log("synced changed=");
    for asker in &askers {
        let answers = [asker.ask(), asker.ask(), asker.ask()];
        assert_eq!(answers.each_ref().map(Option::as_deref), [Some("new"); 3]);
    }
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn flows_of_a_service_go_with_it_but_only_over_udp() {
    let cluster = cluster();
    let node = cluster.node(1);
    let (client, server) = (node.pod("client", 20), node.pod("server", 10));
    let _server = Server::start(&server.namespace, &server.name, 8080);
    let manifests = Manifests::of_nodes();
    manifests.write("dns.yaml", &serving(&[&server]));
    let daemon = Daemon::start(node, manifests.path());
    for target in targets() {
        let asker = Asker::new(&client.namespace, target);
        assert_eq!(asker.ask().as_deref(), Some("server"));
        track(node, "udp", target);
        track(node, "tcp", target);
        assert_eq!(flows(node, "udp", target).len(), 2);
    }
    manifests.remove("dns.yaml");
    daemon.wait_for_log("synced changed=");
    for target in targets() {
        assert_eq!(flows(node, "udp", target), [""; 0]);
        assert_eq!(flows(node, "tcp", target).len(), 1);
    }
}

/// A flow that IPVS does not know, and so does not end by itself.
fn track(node: &Node, protocol: &str, target: SocketAddr) {
    let (source, server) =
        if target.is_ipv4() { ("10.0.0.1", "10.244.1.99") } else { ("fd00::1", "fd00:244:1::99") };
    let state = if protocol == "tcp" { " --state ESTABLISHED" } else { "" };
    let entry = format!(
        "-I -p {protocol} -s {source} -d {} --sport 9 --dport {} -t 600{state} \
         -r {server} -q {source} --reply-port-src 8080 --reply-port-dst 9",
        target.ip(),
        target.port()
    );
    let _ = node.namespace.exec("conntrack", &entry.split(' ').collect::<Vec<_>>());
}

const NODE_PORT: &str = "
apiVersion: v1
kind: Service
metadata: {name: game}
spec:
  type: NodePort
  clusterIP: 10.96.0.50
  ports: [{port: 80, nodePort: 30080, protocol: UDP}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: game, labels: {kubernetes.io/service-name: game}}
addressType: IPv4
ports: [{port: 8080, protocol: UDP}]
endpoints:
  - {addresses: [10.244.1.10], nodeName: node-1}
";

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_flow_through_the_node_that_shares_the_number_of_a_node_port_survives() {
    let cluster = cluster();
    let node = cluster.node(1);
    let client = node.pod("client", 20);
    let [old, new] = [("old", 10), ("new", 11)].map(|(name, host)| node.pod(name, host));
    let _servers = [&old, &new].map(|pod| Server::start(&pod.namespace, &pod.name, 8080));
    let _stranger = Server::start(&cluster.client, "stranger", 30_080);
    cluster.client.ip("route add 10.244.1.0/24 via 192.168.50.11");
    let manifests = Manifests::of_nodes();
    manifests.write("game.yaml", NODE_PORT);
    let daemon = Daemon::start(node, manifests.path());
    let stranger: SocketAddr = "203.0.113.9:30080".parse().unwrap();
    let ours = SocketAddr::new(node.ipv4().into(), 30_080);
    let through = Asker::new(&client.namespace, stranger);
    assert_eq!(through.ask().as_deref(), Some("stranger"));
    let served = Asker::new(&cluster.client, ours);
    assert_eq!(served.ask().as_deref(), Some("old"));
    track(node, "udp", ours);
    assert_eq!((flows(node, "udp", stranger).len(), flows(node, "udp", ours).len()), (1, 2));

    manifests.write("game.yaml", &NODE_PORT.replace("10.244.1.10", "10.244.1.11"));
    daemon.wait_for_log("synced changed=");
    assert_eq!(flows(node, "udp", stranger).len(), 1);
    assert_eq!(flows(node, "udp", ours), [""; 0]);
    assert_eq!(served.ask().as_deref(), Some("new"));

    manifests.remove("game.yaml");
    daemon.wait_for_log_times("synced changed=", 2);
    assert_eq!(flows(node, "udp", stranger).len(), 1);
    assert_eq!(flows(node, "udp", ours), [""; 0]);
    assert_eq!(through.ask().as_deref(), Some("stranger"));
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn flows_that_are_served_outlive_a_restart_and_changes_elsewhere() {
    let cluster = cluster();
    let node = cluster.node(1);
    let client = node.pod("client", 20);
    let [one, two] = [("one", 10), ("two", 11)].map(|(name, host)| node.pod(name, host));
    let _servers = [&one, &two].map(|pod| Server::start(&pod.namespace, &pod.name, 8080));
    let manifests = Manifests::of_nodes();
    manifests.write("dns.yaml", &serving(&[&one]));
    let daemon = Daemon::start(node, manifests.path());
    let target = targets()[0];
    let asker = Asker::new(&client.namespace, target);
    assert_eq!(asker.ask().as_deref(), Some("one"));
    let ids = || node.namespace.exec("conntrack", &["-L", "-p", "udp", "-o", "id"]);
    let id = |listed: String| listed.rsplit_once("id=").map(|(_, id)| id.trim().to_owned());
    let before = id(ids());
    assert!(before.is_some());
    manifests.write("dns.yaml", &serving(&[&one, &two]));
    daemon.wait_for_log("synced changed=");
    assert_eq!(id(ids()), before);
    drop(daemon);
    let again = Daemon::start(node, manifests.path());
    assert!(again.log().contains("kernel_changes=0 failed=0"), "{}", again.log());
    assert_eq!(id(ids()), before);
    assert_eq!(asker.ask().as_deref(), Some("one"));
}
