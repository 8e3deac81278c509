//! What a node tells Prometheus about real connections.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use proxy_core::{Family, FrontendKind};
use tests::lab::{
    Application, Client, Cluster, Daemon, Endpoint, Manifests, Namespace, Node, Server, Transport,
    wait_until,
};

/// The kernel sums its counts up every two seconds.
const SOON: Duration = Duration::from_secs(10);

/// Metrics as they are told, on the node itself.
struct Told(String);

impl Told {
    fn by(node: &Node) -> Self {
        let text = node.namespace.enter(|| {
            let mut stream = TcpStream::connect("127.0.0.1:10249").expect("somebody listens");
            stream.set_read_timeout(Some(SOON)).unwrap();
            stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).expect("the answer is text");
            text
        });
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
        // An answer stands for a second.
        std::thread::sleep(Duration::from_millis(1100));
        Self(text)
    }

    /// The number of a time series that has all of these labels.
    fn number(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels: Vec<_> =
            labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        let is_it = |line: &&str| {
            line.starts_with(&format!("{name}{{")) && labels.iter().all(|it| line.contains(it))
                || labels.is_empty() && line.starts_with(&format!("{name} "))
        };
        let line = self.0.lines().find(is_it)?;
        line.rsplit(' ').next()?.parse().ok()
    }

    fn of_service(&self, what: &str, service: &str, port: &str, more: &[(&str, &str)]) -> f64 {
        let labels = [&[("namespace", "default"), ("service", service), ("port", port)], more];
        let number = self.number(&format!("proxyd_service_{what}_total"), &labels.concat());
        number.unwrap_or_else(|| panic!("{what} of {service}:{port} are not told:\n{}", self.0))
    }

    /// What is told once so many connections are.
    #[track_caller]
    fn with_connections(node: &Node, port: &str, connections: f64) -> Self {
        let has_them = || Self::by(node).of_service("connections", "web", port, &[]) == connections;
        wait_until(&format!("{connections} connections of {port} are told"), SOON, has_them);
        Self::by(node)
    }
}

fn ask(namespace: &Namespace, target: SocketAddr, times: usize) {
    Client::in_namespace(namespace).ask_often(target, Transport::Tcp, times).unwrap();
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn what_passed_through_a_service_is_told_and_never_less() {
    let cluster = Cluster::new(1);
    let node = cluster.node(1);
    let (server, client) = (node.pod("server", 10), node.pod("client", 20));
    let _server = Server::start(&server.namespace, &server.name, 8080);
    let manifests = Manifests::of_nodes();
    let objects = Application::web().objects(&[Endpoint::from(&server)]);
    manifests.write("web.yaml", &objects);
    let daemon = Daemon::start(node, manifests.path());
    Told::with_connections(node, "tcp-80", 0.0);
    for target in Application::web().targets() {
        ask(&client.namespace, target, 10);
    }
    let told = Told::with_connections(node, "tcp-80", 20.0);
    assert_eq!(told.of_service("connections", "web", "udp-80", &[]), 0.0);
    for (what, least) in [("packets", 40.0), ("bytes", 1000.0)] {
        for direction in ["in", "out"] {
            let number = told.of_service(what, "web", "tcp-80", &[("direction", direction)]);
            assert!(number > least, "{number} {what} {direction}");
        }
    }
    for endpoint in ["10.244.1.10:8080", "[fd00:244:1::10]:8080"] {
        let labels = [("service", "web"), ("port", "tcp-80"), ("endpoint", endpoint)];
        let number = told.number("proxyd_endpoint_connections_total", &labels);
        assert_eq!(number, Some(10.0), "{endpoint}");
    }
    // The kernel forgets; what was told stands.
    manifests.remove("web.yaml");
    daemon.wait_for_log("removed=4");
    manifests.write("web.yaml", &objects);
    daemon.wait_for_log_times("changed=4", 1);
    for target in Application::web().targets() {
        ask(&client.namespace, target, 1);
    }
    Told::with_connections(node, "tcp-80", 22.0);
    assert!(told.number("process_resident_memory_bytes", &[]).is_some_and(|bytes| bytes > 1e6));
    keep(&told);
}

/// Puts the text where whoever runs the test can look at it.
fn keep(told: &Told) {
    let Some(results) = std::env::var_os("GUEST_RESULTS") else { return };
    let body = told.0.split_once("\r\n\r\n").expect("a response has a head").1;
    let path = std::path::Path::new(&results).join("metrics.txt");
    std::fs::write(path, body).expect("results can be written");
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn outside_and_inside_clients_of_a_local_policy_are_counted_for_one_service() {
    let cluster = Cluster::new(2);
    let node = cluster.node(1);
    let [local, remote] = [1, 2].map(|number| cluster.node(number).pod("server", 10));
    let client = node.pod("client", 20);
    let _servers = [&local, &remote].map(|pod| Server::start(&pod.namespace, &pod.name, 8080));
    let application = Application::everywhere("web", 9).spec("externalTrafficPolicy: Local");
    cluster.client.ip("route add 192.0.2.0/24 via 192.168.50.11
        route add 2001:db8:b::/64 via fd00:50::11");
    let manifests = Manifests::of_nodes();
    manifests.write("web.yaml", &application.objects(&[&local, &remote].map(Endpoint::from)));
    let _daemon = Daemon::start(node, manifests.path());
    for family in Family::ALL {
        let target = application.target(FrontendKind::LoadBalancer, family, node);
        ask(&cluster.client, target, 3);
        ask(&client.namespace, target, 4);
    }
    let told = Told::with_connections(node, "tcp-80", 14.0);
    let given = |endpoint| {
        let labels = [("service", "web"), ("port", "tcp-80"), ("endpoint", endpoint)];
        told.number("proxyd_endpoint_connections_total", &labels)
    };
    // Half of the inside clients', and all of the outside clients'.
    assert_eq!(given("10.244.1.10:8080"), Some(5.0));
    assert_eq!(given("10.244.2.10:8080"), Some(2.0));
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_server_that_drains_is_told_with_its_connections() {
    let cluster = Cluster::new(1);
    let node = cluster.node(1);
    let (server, client) = (node.pod("server", 10), node.pod("client", 20));
    let _server = Server::start(&server.namespace, &server.name, 8080);
    let manifests = Manifests::of_nodes();
    let web = Application::web();
    let leaving = Endpoint::from(&server);
    manifests.write("web.yaml", &web.objects(&[leaving]));
    let _daemon = Daemon::start(node, manifests.path());
    let target = web.targets().next().unwrap();
    let open = Client::in_namespace(&client.namespace).connect(target).unwrap();
    manifests.write("web.yaml", &web.objects(&[leaving.terminating(), Endpoint::new(1, 11)]));
    wait_until("it drains", SOON, || {
        Told::by(node).number("proxyd_draining_destinations", &[]) == Some(1.0)
    });
    let told = Told::by(node);
    let age = told.number("proxyd_draining_oldest_seconds", &[]).unwrap();
    assert!((1.0..60.0).contains(&age), "{age} s");
    let labels = [("service", "web"), ("endpoint", "10.244.1.10:8080")];
    assert_eq!(told.number("proxyd_endpoint_active_connections", &labels), Some(1.0));
    drop(open);
}
