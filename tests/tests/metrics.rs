//! What a node tells Prometheus about real connections.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use proxy_core::{Family, FrontendKind};
use tests::lab::{
    Application, Client, Cluster, Daemon, Endpoint, Manifests, Metrics, Namespace, Node, Server,
    Transport, wait_until,
};

/// The kernel sums its counts up every two seconds.
const SOON: Duration = Duration::from_secs(10);

/// What is told of a Service.
fn of_service(told: &Metrics, what: &str, port: &str, more: &[(&str, &str)]) -> f64 {
    let labels = [&[("namespace", "default"), ("service", "web"), ("port", port)], more].concat();
    let name = format!("proxyd_service_{what}_total");
    told.number(&name, &labels).unwrap_or_else(|| panic!("no {what} of {port}:\n{}", told.text()))
}

/// What is told once so many connections are.
#[track_caller]
fn with_connections(node: &Node, port: &str, connections: f64) -> Metrics {
    let has_them = || of_service(&Metrics::of(node), "connections", port, &[]) == connections;
    wait_until(&format!("{connections} connections of {port} are told"), SOON, has_them);
    Metrics::of(node)
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
    with_connections(node, "tcp-80", 0.0);
    for target in Application::web().targets() {
        ask(&client.namespace, target, 10);
    }
    let told = with_connections(node, "tcp-80", 20.0);
    assert_eq!(of_service(&told, "connections", "udp-80", &[]), 0.0);
    for (what, least) in [("packets", 40.0), ("bytes", 1000.0)] {
        for direction in ["in", "out"] {
            let number = of_service(&told, what, "tcp-80", &[("direction", direction)]);
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
    with_connections(node, "tcp-80", 22.0);
    assert!(told.number("process_resident_memory_bytes", &[]).is_some_and(|bytes| bytes > 1e6));
    keep(&told);
}

/// Puts the text where whoever runs the test can look at it.
fn keep(told: &Metrics) {
    let Some(results) = std::env::var_os("GUEST_RESULTS") else { return };
    let path = std::path::Path::new(&results).join("metrics.txt");
    std::fs::write(path, told.text()).expect("results can be written");
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
    let told = with_connections(node, "tcp-80", 14.0);
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
        Metrics::of(node).number("proxyd_draining_destinations", &[]) == Some(1.0)
    });
    let told = Metrics::of(node);
    let age = told.number("proxyd_draining_oldest_seconds", &[]).unwrap();
    assert!((1.0..60.0).contains(&age), "{age} s");
    let labels = [("service", "web"), ("endpoint", "10.244.1.10:8080")];
    assert_eq!(told.number("proxyd_endpoint_active_connections", &labels), Some(1.0));
    drop(open);
}

/// One Service port for each number, with six endpoints.
fn many(count: u16) -> String {
    let endpoints: Vec<_> = (10..16).map(|host| Endpoint::new(1, host)).collect();
    let service = |number: u16| {
        let address = format!("10.96.{}.{}", 1 + number / 200, 1 + number % 200);
        let application = Application::new(&format!("service-{number}"), &[&address]);
        application.port(Transport::Tcp, 80, 8080).objects(&endpoints)
    };
    (0..count).map(service).collect::<Vec<_>>().join("---\n")
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn what_is_too_much_to_be_told_one_by_one_is_summed_and_told_in_time() {
    let cluster = Cluster::new(1);
    let node = cluster.node(1);
    let manifests = Manifests::of_nodes();
    manifests.write("many.yaml", &many(1_100));
    let _daemon = Daemon::start(node, manifests.path());
    let dropped = |told: &Metrics, kind| told.number("proxyd_series_dropped", &[("kind", kind)]);
    // Endpoints that were not reached the first time are read the next.
    wait_until("all endpoints are read", 3 * SOON, || {
        dropped(&Metrics::of(node), "endpoint") == Some(1_000.0)
    });
    let begin = Instant::now();
    let told = Metrics::of(node);
    let took = begin.elapsed();
    eprintln!("{} bytes after {took:?}", told.text().len());
    assert!(took < Duration::from_secs(4), "{took:?}");
    assert_eq!(dropped(&told, "service_port"), Some(100.0));
    let count = |name: &str| told.text().lines().filter(|line| line.starts_with(name)).count();
    assert_eq!(count("proxyd_service_connections_total{"), 1_001);
    assert_eq!(count("proxyd_endpoint_active_connections{"), 5_001);
    let other = [("service", "(other)")];
    assert_eq!(told.number("proxyd_service_connections_total", &other), Some(0.0));
}
