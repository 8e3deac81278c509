//! How a node is asked for its health over HTTP: `/healthz` and `/livez`, and the health-check node
//! ports of Services, from outside of the cluster.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use tests::lab::{
    Application, Cluster, Daemon, Endpoint, Manifests, Namespace, Node, Transport, example,
    wait_until,
};

const SOON: Duration = Duration::from_secs(2);

/// Where `/healthz` is by default.
const HEALTHZ: u16 = 10256;
/// The health-check node port of [`web`].
const CHECK: u16 = 32000;

const LOCAL: Endpoint = Endpoint::new(1, 10);

/// A response to one request.
#[derive(Debug, PartialEq, Eq)]
struct Response {
    status: u16,
    weight: Option<u16>,
    body: String,
}

fn load_balanced(cluster_ips: &[&str]) -> Application {
    Application::new("web", cluster_ips)
        .port(Transport::Tcp, 80, 8080)
        .spec("type: LoadBalancer")
        .spec("externalTrafficPolicy: Local")
        .spec(&format!("healthCheckNodePort: {CHECK}"))
}

/// A Service of both families.
fn web() -> Application {
    load_balanced(&["10.96.0.9", "fd00:96::9"])
}

/// The addresses of a node on the fabric.
fn addresses(node: &Node) -> [IpAddr; 2] {
    ["0.0.0.0", "::"].map(|any| node.address_for(any.parse().unwrap()))
}

fn connect(client: &Namespace, target: SocketAddr) -> io::Result<TcpStream> {
    client.enter(move || {
        let stream = TcpStream::connect_timeout(&target, SOON)?;
        stream.set_read_timeout(Some(SOON))?;
        stream.set_write_timeout(Some(SOON))?;
        Ok(stream)
    })
}

fn get(client: &Namespace, target: SocketAddr, path: &str) -> io::Result<Response> {
    let mut stream = connect(client, target)?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {target}\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").expect("a response has a head");
    assert!(head.contains("\r\nContent-Type: application/json"), "{head}");
    assert!(head.contains("\r\nX-Content-Type-Options: nosniff"), "{head}");
    let weight = head.lines().find_map(|it| it.strip_prefix("X-Load-Balancing-Endpoint-Weight: "));
    Ok(Response {
        status: head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status"),
        weight: weight.map(|weight| weight.parse().expect("a number")),
        body: body.to_owned(),
    })
}

/// What the health-check node port answers at every address of a node: statuses with weights.
fn checks(client: &Namespace, node: &Node) -> [Result<(u16, u16), ErrorKind>; 2] {
    addresses(node).map(|address| {
        let response = get(client, (address, CHECK).into(), "/");
        response.map(|it| (it.status, it.weight.unwrap())).map_err(|error| error.kind())
    })
}

#[track_caller]
fn soon_checks(client: &Namespace, node: &Node, expected: &[Result<(u16, u16), ErrorKind>; 2]) {
    let what = format!("{} answers {expected:?}", node.name);
    wait_until(&what, SOON, || checks(client, node) == *expected);
}

/// Statuses of `/healthz` and `/livez`, at every address of a node.
fn health(client: &Namespace, node: &Node) -> [[u16; 2]; 2] {
    addresses(node).map(|address| {
        ["/healthz", "/livez"].map(|path| {
            get(client, (address, HEALTHZ).into(), path).expect("it is answered").status
        })
    })
}

/// A node that serves [`web`] with one endpoint of its own, and says so.
fn one_node() -> (Cluster, Manifests, Daemon) {
    let cluster = Cluster::new(1);
    let node = cluster.node(1);
    let manifests = Manifests::of_nodes();
    manifests.write("web.yaml", &web().objects(&[LOCAL]));
    let daemon = Daemon::start(node, manifests.path());
    soon_checks(&cluster.client, node, &[Ok((200, 1)); 2]);
    (cluster, manifests, daemon)
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_load_balancer_learns_which_nodes_have_endpoints() {
    let cluster = Cluster::new(2);
    let (client, nodes) = (&cluster.client, [cluster.node(1), cluster.node(2)]);
    let manifests = Manifests::of_nodes();
    manifests.write("service.yaml", &web().service());
    manifests.write("slices.yaml", &web().slices(&[LOCAL]));
    let _daemons = nodes.map(|node| Daemon::start(node, manifests.path()));
    soon_checks(client, nodes[0], &[Ok((200, 1)); 2]);
    soon_checks(client, nodes[1], &[Ok((503, 0)); 2]);
    let response = get(client, (nodes[0].ipv4(), CHECK).into(), "/any/path").unwrap();
    assert_eq!(
        response.body,
        r#"{"service":{"namespace":"default","name":"web"},"localEndpoints":1,"serviceProxyHealthy":true}"#
    );
    manifests.write("slices.yaml", &web().slices(&[LOCAL, Endpoint::new(1, 11)]));
    soon_checks(client, nodes[0], &[Ok((200, 2)); 2]);
    // One that ends still serves, and load balancers should not count on it.
    manifests.write("slices.yaml", &web().slices(&[LOCAL.terminating()]));
    soon_checks(client, nodes[0], &[Ok((503, 0)); 2]);
    manifests.write("slices.yaml", &web().slices(&[LOCAL]));
    soon_checks(client, nodes[0], &[Ok((200, 1)); 2]);
    let other = web().service().replace(&CHECK.to_string(), "32001");
    manifests.write("service.yaml", &other);
    soon_checks(client, nodes[0], &[Err(ErrorKind::ConnectionRefused); 2]);
    for (node, status) in nodes.into_iter().zip([200, 503]) {
        for address in addresses(node) {
            // The other node reads for itself, and any opens a port a moment after it closed one.
            wait_until(&format!("{address} answers {status} at the new port"), SOON, || {
                get(client, (address, 32001).into(), "/").is_ok_and(|it| it.status == status)
            });
        }
    }
    manifests.write("service.yaml", &web().service());
    soon_checks(client, nodes[0], &[Ok((200, 1)); 2]);
    manifests.remove("service.yaml");
    for node in nodes {
        soon_checks(client, node, &[Err(ErrorKind::ConnectionRefused); 2]);
        assert_eq!(health(client, node), [[200, 200]; 2]);
    }
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_service_of_one_family_is_asked_in_that_family() {
    let cluster = Cluster::new(1);
    let (client, node) = (&cluster.client, cluster.node(1));
    let manifests = Manifests::of_nodes();
    let of_ipv6 = load_balanced(&["fd00:96::9"]);
    manifests.write("web.yaml", &of_ipv6.objects(&[LOCAL]));
    let _daemon = Daemon::start(node, manifests.path());
    soon_checks(client, node, &[Err(ErrorKind::ConnectionRefused), Ok((200, 1))]);
    manifests.write("web.yaml", &load_balanced(&["10.96.0.9"]).objects(&[LOCAL]));
    soon_checks(client, node, &[Ok((200, 1)), Err(ErrorKind::ConnectionRefused)]);
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_port_that_is_taken_is_told_once_and_answered_when_it_is_free() {
    let cluster = Cluster::new(1);
    let (client, node) = (&cluster.client, cluster.node(1));
    let taken = [("192.168.50.11", CHECK), ("192.168.50.11", HEALTHZ)].map(|place| {
        node.namespace.enter(move || TcpListener::bind(place).expect("the port is free"))
    });
    let manifests = Manifests::of_nodes();
    manifests.write("web.yaml", &web().objects(&[LOCAL]));
    let daemon = Daemon::start(node, manifests.path());
    let [_, ipv6] = addresses(node);
    wait_until("the other family is answered", SOON, || {
        get(client, (ipv6, CHECK).into(), "/").is_ok_and(|response| response.status == 200)
    });
    // It is tried again meanwhile.
    std::thread::sleep(Duration::from_secs(6));
    let warnings = |about: &str| {
        let log = daemon.log();
        log.lines().filter(|line| line.contains(" WARN ") && line.contains(about)).count()
    };
    let said = "Service default/web: health checks are not answered on IPv4 port 32000";
    assert_eq!((warnings(said), warnings("/healthz is not answered")), (1, 1), "{}", daemon.log());
    drop(taken);
    wait_until("it is answered", Duration::from_secs(8), || {
        checks(client, node) == [Ok((200, 1)); 2]
            && get(client, (node.ipv4(), HEALTHZ).into(), "/healthz").is_ok()
    });
    assert_eq!(health(client, node), [[200, 200]; 2]);
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_node_that_is_about_to_be_deleted_gets_no_traffic_and_goes_on_serving() {
    let (cluster, manifests, _daemon) = one_node();
    let (client, node) = (&cluster.client, cluster.node(1));
    assert_eq!(health(client, node), [[200, 200]; 2]);
    let tainted = |key: &str| {
        let taint = format!("spec:\n      taints: [{{key: {key}, effect: NoSchedule}}]\n");
        example("nodes.yaml").replace("spec:\n", &taint)
    };
    manifests.write("nodes.yaml", &tainted("ToBeDeletedByClusterAutoscaler"));
    wait_until("no more traffic is wanted", SOON, || health(client, node) == [[503, 200]; 2]);
    let response = get(client, (node.ipv4(), HEALTHZ).into(), "/healthz").unwrap();
    assert!(response.body.contains(r#""nodeEligible":false,"healthy":true"#), "{}", response.body);
    assert!(response.body.contains(r#""status":{"IPv4":{"lastUpdated":"20"#), "{}", response.body);
    assert_eq!(checks(client, node), [Ok((200, 1)); 2]);
    // The Node is gone: what was seen last counts.
    manifests.remove("nodes.yaml");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(health(client, node), [[503, 200]; 2]);
    manifests.write("nodes.yaml", &tainted("other"));
    wait_until("traffic is wanted again", SOON, || health(client, node) == [[200, 200]; 2]);
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn clients_that_are_slow_idle_or_endless_keep_nobody_from_being_answered() {
    let (cluster, _manifests, _daemon) = one_node();
    let (client, node) = (&cluster.client, cluster.node(1));
    for port in [HEALTHZ, CHECK] {
        let target: SocketAddr = (node.ipv4(), port).into();
        let _idle: Vec<_> = (0..200).map(|_| connect(client, target).unwrap()).collect();
        let mut slow = connect(client, target).unwrap();
        let mut endless = connect(client, target).unwrap();
        endless.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: ").unwrap();
        let _ = endless.write_all(&vec![b'x'; 1 << 20]);
        let begin = Instant::now();
        let mut bytes = b"GET /healthz HTTP/1.1\r\n".iter();
        while bytes.next().is_some_and(|byte| slow.write_all(&[*byte]).is_ok()) {
            let asked = Instant::now();
            assert_eq!(health(client, node), [[200, 200]; 2]);
            assert_eq!(checks(client, node), [Ok((200, 1)); 2]);
            assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
            std::thread::sleep(Duration::from_secs(1));
        }
        let lasted = begin.elapsed();
        eprintln!("the slow client lasted {} s", lasted.as_secs());
        assert!(lasted < Duration::from_secs(15), "a slow client is cut off");
    }
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn it_is_answered_where_it_was_asked_for_or_nowhere() {
    let cluster = Cluster::new(1);
    let (client, node) = (&cluster.client, cluster.node(1));
    let manifests = Manifests::of_nodes();
    let start = |address: &str| {
        let flag = format!("--healthz-bind-address={address}");
        let daemon = Daemon::spawn(&node.namespace, &node.name, manifests.path(), &[&flag]);
        daemon.wait_for_log("synced everything");
        daemon
    };
    let refusal = |port: u16| {
        get(client, (node.ipv4(), port).into(), "/healthz").map_err(|error| error.kind())
    };
    let daemon = start("192.168.50.11:9000");
    wait_until("it is answered there", SOON, || refusal(9000).is_ok());
    assert_eq!(refusal(HEALTHZ), Err(ErrorKind::ConnectionRefused));
    drop(daemon);
    let _daemon = start("");
    assert_eq!(refusal(HEALTHZ), Err(ErrorKind::ConnectionRefused));
}
