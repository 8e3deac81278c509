//! The node's network changes while the daemon runs: addresses come and go, and somebody removes
//! what it made. Traffic follows soon, not with the next comparison of everything.

use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tests::lab::{
    Answer, Application, Client, Cluster, Daemon, Endpoint, KernelState, Manifests, Namespace, Pod,
    Refusal, Server, Transport, packet_filter, wait_until,
};

const SOON: Duration = Duration::from_secs(2);

const DRIFT: &str = "drift mended";
const RESYNC: &str = "read back everything";
const HEARD: &str = "network changed";

/// A cluster of two nodes, with a server on the second and the daemon on the first.
struct Scene {
    cluster: Cluster,
    manifests: Manifests,
    daemon: Daemon,
    _server: Server,
    _pod: Pod,
}

fn web() -> Application {
    Application::new("web", &["10.96.0.9", "fd00:96::9"]).port(Transport::Tcp, 80, 8080)
}

/// Served with what `extra` adds to the end of the Service.
fn serve(extra: &str) -> Scene {
    let cluster = Cluster::new(2);
    let pod = cluster.node(2).pod("server", 10);
    let server = Server::start(&pod.namespace, &pod.name, 8080);
    let manifests = Manifests::of_nodes();
    let service = web().service().replace("spec:\n", &format!("spec:\n{extra}"));
    manifests.write("service.yaml", &service);
    manifests.write("slices.yaml", &web().slices(&[Endpoint::from(&pod)]));
    let daemon = Daemon::start(cluster.node(1), manifests.path());
    // What the daemon itself set up was announced to it, and is old news from here on.
    std::thread::sleep(Duration::from_millis(1500));
    Scene { cluster, manifests, daemon, _server: server, _pod: pod }
}

impl Scene {
    fn node(&self) -> &Namespace {
        &self.cluster.nodes[0].namespace
    }

    fn state(&self) -> KernelState {
        KernelState::of(self.node())
    }

    fn logged(&self, text: &str) -> usize {
        self.daemon.log().lines().filter(|line| line.contains(text)).count()
    }

    fn is_routed(&self, address: &str) -> bool {
        self.state().routes.iter().any(|line| line.starts_with(&format!("local {address} ")))
    }

    fn is_member(&self, address: &str) -> bool {
        let is_it = |line: &String| line.ends_with(&format!("IPVS-IPS {address}"));
        self.state().members.iter().any(is_it)
    }

    fn has_service(&self, server: &str) -> bool {
        self.state().services.iter().any(|line| line.starts_with(&format!("-A -t {server} ")))
    }
}

fn ask(namespace: &Namespace, target: SocketAddr) -> Result<Answer, Refusal> {
    Client::in_namespace(namespace).ask(target, Transport::Tcp)
}

/// Waits, and says how long it took. Then rests, for a change right after another is heard of a
/// second later.
#[track_caller]
fn soon(what: &str, condition: impl Fn() -> bool) {
    let begin = Instant::now();
    wait_until(what, SOON, condition);
    eprintln!("{what}: after {} ms", begin.elapsed().as_millis());
    std::thread::sleep(Duration::from_secs(1));
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn the_node_gets_other_addresses_and_its_own_connections_come_from_them() {
    let scene = serve("");
    scene.node().sysctl("net.ipv4.conf.all.promote_secondaries", "1");
    let sources = |target: SocketAddr| {
        match target {
            SocketAddr::V4(_) => ["192.168.50.11", "192.168.50.77"],
            SocketAddr::V6(_) => ["fd00:50::11", "fd00:50::77"],
        }
        .map(|source| source.parse::<IpAddr>().unwrap())
    };
    for target in web().targets() {
        assert_eq!(ask(scene.node(), target).unwrap().source, sources(target)[0]);
    }
    scene.node().ip("addr add 192.168.50.77/24 dev eth0
        addr add fd00:50::77/64 dev eth0 nodad
        addr del 192.168.50.11/24 dev eth0
        addr del fd00:50::11/64 dev eth0");
    for target in web().targets() {
        soon(&format!("the node reaches {target} from its new address"), || {
            ask(scene.node(), target).is_ok_and(|answer| answer.source == sources(target)[1])
        });
    }
    let routes = scene.state().routes;
    assert!(
        routes
            .iter()
            .all(|line| line.contains("src 192.168.50.77") || line.contains("src fd00:50::77")),
        "{routes:?}"
    );
    assert_eq!(routes.len(), 2);
    let log = scene.daemon.log();
    assert_eq!((scene.logged(DRIFT), scene.logged(RESYNC)), (0, 0), "{log}");
    assert_eq!(
        scene.logged("come from other addresses ipv4=\"192.168.50.77\" ipv6=\"fd00:50::77\""),
        1,
        "{log}"
    );
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn node_ports_are_served_on_an_address_as_long_as_an_interface_has_it() {
    let scene = serve("  type: NodePort\n");
    let service = web().service().replace("spec:\n", "spec:\n  type: NodePort\n");
    scene
        .manifests
        .write("service.yaml", &service.replace("port: 80,", "port: 80, nodePort: 30080,"));
    soon("the node port is served", || scene.has_service("192.168.50.11:30080"));
    let addresses = ["192.168.50.78:30080", "[fd00:50::78]:30080"];
    for target in addresses.map(|address| address.parse::<SocketAddr>().unwrap()) {
        let (ip, length) = (target.ip(), if target.is_ipv4() { 24 } else { 64 });
        assert!(!scene.has_service(&target.to_string()));
        let nodad = if target.is_ipv4() { "" } else { "nodad" };
        scene.node().ip(&format!("addr add {ip}/{length} dev eth0 {nodad}"));
        soon(&format!("{target} answers"), || ask(&scene.cluster.client, target).is_ok());
        scene.node().ip(&format!("addr del {ip}/{length} dev eth0"));
        soon(&format!("{target} is not served"), || !scene.has_service(&target.to_string()));
    }
    assert!(scene.has_service("192.168.50.11:30080"));
    assert_eq!((scene.logged(DRIFT), scene.logged(RESYNC)), (0, 0), "{}", scene.daemon.log());
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn an_external_address_is_left_to_the_interface_that_has_it() {
    let scene = serve("  externalIPs: [198.51.100.7, \"2001:db8:77::7\"]\n");
    scene.cluster.client.ip("route add 198.51.100.7 via 192.168.50.11
        route add 2001:db8:77::7 via fd00:50::11");
    for ip in ["198.51.100.7", "2001:db8:77::7"] {
        let target = SocketAddr::new(ip.parse().unwrap(), 80);
        let is_bound = || scene.is_routed(ip) && scene.is_member(ip);
        let is_unbound = || !scene.is_routed(ip) && !scene.is_member(ip);
        let is_served =
            || scene.has_service(&target.to_string()) && ask(&scene.cluster.client, target).is_ok();
        assert!(is_bound() && is_served(), "{ip}: {:?}", scene.state());
        let (length, nodad) = if target.is_ipv4() { (32, "") } else { (128, "nodad") };
        scene.node().ip(&format!("addr add {ip}/{length} dev eth0 {nodad}"));
        soon(&format!("{ip} is not bound"), is_unbound);
        assert!(is_served(), "{ip}: {:?}", scene.state());
        scene.node().ip(&format!("addr del {ip}/{length} dev eth0"));
        soon(&format!("{ip} is bound again"), is_bound);
        assert!(is_served(), "{ip}: {:?}", scene.state());
    }
    assert_eq!((scene.logged(DRIFT), scene.logged(RESYNC)), (0, 0), "{}", scene.daemon.log());
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_route_that_somebody_removed_is_put_back_and_that_is_said_once() {
    let scene = serve("");
    let before = scene.state().routes;
    for (family, address) in [("-4", "10.96.0.9"), ("-6", "fd00:96::9")] {
        let _ = scene.node().exec(
            "ip",
            &[family, "route", "del", "local", address, "table", "local", "proto", "153"],
        );
        soon(&format!("{address} is bound again"), || scene.state().routes == before);
        let said = format!("{DRIFT}: address {address} ");
        assert_eq!(scene.logged(&said), 1, "{}", scene.daemon.log());
    }
    assert_eq!((scene.logged(DRIFT), scene.logged(RESYNC)), (2, 0), "{}", scene.daemon.log());
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn what_went_down_with_the_loopback_device_comes_back_with_it() {
    let scene = serve("");
    let before = scene.state().routes;
    scene.node().ip("link set lo down\nlink set lo up");
    scene.daemon.wait_for_log(DRIFT);
    soon("all is bound again", || scene.state().routes == before);
    for target in web().targets() {
        assert_eq!(ask(scene.node(), target).unwrap().server, "server");
    }
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn what_the_daemon_removes_itself_is_not_missed() {
    let scene = serve("");
    let heard = scene.logged(HEARD);
    scene.manifests.remove("service.yaml");
    soon("nothing is bound", || scene.state().routes.is_empty());
    scene.manifests.write("service.yaml", &web().service());
    soon("all is bound again", || scene.state().routes.len() == 2);
    std::thread::sleep(SOON);
    let log = scene.daemon.log();
    assert_eq!((scene.logged(DRIFT), scene.logged(RESYNC)), (0, 0), "{log}");
    assert!(scene.logged(HEARD) <= heard + 1, "{log}");
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn devices_that_come_and_go_cost_nothing_and_new_addresses_a_look_a_second() {
    let scene = serve("");
    let heard = scene.logged(HEARD);
    let each = |line: &dyn Fn(u8) -> String| (1..=50).map(line).collect::<String>();
    // As a network plugin does for each pod.
    scene.node().ip(&each(&|n| {
        format!(
            "link add dummy{n} type dummy
            addr add 10.244.1.1/32 dev dummy{n}
            addr add fd00:244:1::1/128 dev dummy{n} nodad
            link set dummy{n} up\n"
        )
    }));
    scene.node().ip(&each(&|n| format!("link del dummy{n}\n")));
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(scene.logged(HEARD), heard, "{}", scene.daemon.log());
    let begin = Instant::now();
    for _ in 0..10 {
        scene.node().ip(&each(&|n| {
            format!("link add dummy{n} type dummy\naddr add 10.9.{n}.1/24 dev dummy{n}\n")
        }));
        scene.node().ip(&each(&|n| format!("link del dummy{n}\n")));
    }
    let seconds = usize::try_from(begin.elapsed().as_secs()).unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    let log = scene.daemon.log();
    // None at all, if every look came when they were gone again.
    let looks = scene.logged(HEARD) - heard;
    eprintln!("{looks} looks in {seconds} s");
    assert!(looks <= seconds + 2, "{looks} in {seconds} s: {log}");
    assert_eq!((scene.logged(DRIFT), scene.logged(RESYNC)), (0, 0), "{log}");
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn who_asks_for_a_comparison_is_told_what_differed_down_to_the_servers() {
    let scene = serve("");
    let before = scene.state();
    let target = web().targets().next().expect("it has an address").to_string();
    let weigh = ["-e", "-t", &target, "-r", "10.244.2.10:8080", "-m", "-w", "7"];
    let _ = scene.node().exec("ipvsadm", &weigh);
    let _ = scene.node().exec("ipset", &["flush", "KUBE-CLUSTER-IP"]);
    scene.daemon.signal(Signal::HUP);
    scene.daemon.wait_for_log("compared everything");
    let log = scene.daemon.log();
    for object in ["10.244.2.10:8080", "KUBE-CLUSTER-IP"] {
        let is_told = |line: &str| line.contains(DRIFT) && line.contains(object);
        assert!(log.lines().any(is_told), "{object}: {log}");
    }
    assert_eq!(scene.state(), before);
}

/// With `nf_tables` the kernel tells; the older packet filter does not, and the periodic comparison
/// finds it.
#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn rules_that_somebody_flushed_are_put_back() {
    let scene = serve("");
    let rules = || scene.node().enter(packet_filter);
    let before = rules();
    let tells = Command::new("ip")
        .args(["netns", "exec", scene.node().name(), "iptables-nft-save", "-t", "nat"])
        .output()
        .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("KUBE-SERVICES"));
    let program = if tells { "iptables-nft" } else { "iptables-legacy" };
    for table in ["filter", "nat", "mangle"] {
        let _ = scene.node().exec(program, &["-t", table, "-F"]);
    }
    let heard = "rules=true";
    if !tells {
        scene.daemon.signal(Signal::HUP);
    }
    let begin = Instant::now();
    // Where it tells, programs are slow.
    wait_until("the rules are back", 2 * SOON, || rules() == before);
    eprintln!("the rules are back: after {} ms", begin.elapsed().as_millis());
    assert_eq!(scene.logged(heard) > 0, tells, "{}", scene.daemon.log());
    let times = scene.logged(heard);
    std::thread::sleep(2 * SOON);
    let log = scene.daemon.log();
    assert!(scene.logged(heard) <= times + 1, "our own change is heard once: {log}");
    assert!(rules() == before, "{log}");
}
