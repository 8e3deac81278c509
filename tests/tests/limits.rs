//! Where room, locks or a family are short: what is there is served on, and what is missing is told
//! once and made up for.

use std::collections::BTreeSet;
use std::fs::File;
use std::num::NonZeroU16;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ipvs_backend::{IpvsBackend, IpvsConfig};
use proxy_core::{
    Admission, Backend as _, DesiredState, Family, FrontendKind, Pool, Priority, Protocol,
    Resolution, Scheduler, SchedulerFlags, ServiceKey, ServicePortName, SourceAddress, Vip,
    VirtualServer, VirtualServerKey, WhenEmpty,
};
use rustix::process::Signal;
use tests::lab::{
    Application, Client, Cluster, Daemon, Endpoint, InProcess, KernelState, Manifests, Namespace,
    Server, Transport, iptables, packet_filter, run, wait_until,
};

const REMOTE: Endpoint = Endpoint::new(2, 10);

/// Room for so many in a set of kube-proxy's.
const KUBE_PROXYS: &str = "65536";
/// What is wanted in place of that.
const MORE: usize = 66_000;
/// Ports of one address.
const PORTS: u16 = 33_000;

fn server(number: usize) -> VirtualServer {
    let ports = usize::from(PORTS);
    let (host, port) = (1 + number / ports, 1 + number % ports);
    let host = u8::try_from(host).expect("few addresses");
    let port = u16::try_from(port).ok().and_then(NonZeroU16::new).expect("a port");
    let key = VirtualServerKey { address: [10, 96, 0, host].into(), protocol: Protocol::Tcp, port };
    let nobody = Pool { servers: Arc::new([]), when_empty: WhenEmpty::Reject };
    VirtualServer {
        key,
        origin: ServicePortName {
            service: ServiceKey::new("default", "many"),
            port: format!("p{number}").as_str().into(),
        },
        kind: FrontendKind::ClusterIp,
        scheduler: Scheduler::RoundRobin,
        scheduler_flags: SchedulerFlags::default_for(Scheduler::RoundRobin),
        session_affinity: None,
        admission: Admission::Anyone,
        external: nobody.clone(),
        internal: nobody,
        unchosen: Arc::new([]),
        vip: Vip::Bind,
        source_address: SourceAddress::MasqueradeOffCluster,
        health_check_port: None,
        drain_limit: None,
        priority: Priority::Normal,
    }
}

fn heading(set: &str) -> String {
    run("ipset", &["list", "-t", set])
}

/// The rules that refer to the set keep it from being removed, and count on its members.
#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_set_of_kube_proxys_size_is_exchanged_for_a_larger_one_and_no_member_is_ever_missed() {
    let node = Namespace::new("node");
    node.enter(|| {
        run("ipset", &["create", "KUBE-CLUSTER-IP", "hash:ip,port", "maxelem", KUBE_PROXYS]);
        run("ipset", &["add", "KUBE-CLUSTER-IP", "10.96.0.1,tcp:443"]);
        run("ipset", &["add", "KUBE-CLUSTER-IP", "10.96.0.2,tcp:53"]);
    });
    iptables(&node, Family::Ipv4, "-A INPUT -m set --match-set KUBE-CLUSTER-IP dst,dst -j ACCEPT");
    let stop = Arc::new(AtomicBool::new(false));
    let is_over = stop.clone();
    let watcher = node.spawn(move || {
        let (mut looks, mut misses) = (0, 0);
        while !is_over.load(Ordering::Relaxed) {
            for member in ["10.96.0.1,tcp:443", "10.96.0.2,tcp:53"] {
                let test = ["-q", "test", "KUBE-CLUSTER-IP", member];
                looks += 1;
                misses +=
                    usize::from(!Command::new("ipset").args(test).status().unwrap().success());
            }
        }
        (looks, misses)
    });
    node.enter(|| {
        let mut desired = DesiredState::new();
        let servers = (0..MORE).map(|number| Arc::new(server(number))).collect();
        let resolution = Resolution { servers, ..Resolution::default() };
        let _ = desired.replace(&ServiceKey::new("default", "many"), resolution);
        let mut backend = IpvsBackend::open(IpvsConfig::default()).unwrap();
        let begin = Instant::now();
        let report = backend.resync(&desired).unwrap();
        eprintln!("{MORE} virtual servers took {:?}", begin.elapsed());
        let failed = &report.failed;
        assert!(failed.is_empty(), "{} failed, first {:?}", failed.len(), failed.first());
    });
    stop.store(true, Ordering::Relaxed);
    let (looks, misses) = watcher.join().unwrap();
    eprintln!("looked {looks} times");
    assert!(looks > 20, "only {looks}");
    assert_eq!(misses, 0, "of {looks}");
    let heading = node.enter(|| heading("KUBE-CLUSTER-IP"));
    assert!(heading.contains(" maxelem 1048576"), "{heading}");
    assert!(heading.contains(&format!("Number of entries: {MORE}\n")), "{heading}");
    let saved = node.enter(packet_filter);
    assert!(
        saved.contains("-A INPUT -m set --match-set KUBE-CLUSTER-IP dst,dst -j ACCEPT"),
        "{saved}"
    );
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_set_that_would_get_full_is_exchanged_with_the_change_that_fills_it() {
    let cluster = Cluster::new(1);
    let node = cluster.node(1);
    let small = ["create", "KUBE-CLUSTER-IP", "hash:ip,port", "maxelem", "4"];
    let _ = node.namespace.exec("ipset", &small);
    let manifests = Manifests::of_nodes();
    let one = |number: usize| {
        Application::new(&format!("s{number}"), &[&format!("10.96.0.{number}")])
            .port(Transport::Tcp, 80, 8080)
            .objects(&[REMOTE])
    };
    manifests.write("first.yaml", &one(1));
    let daemon = Daemon::start(node, manifests.path());
    let listed = node.namespace.enter(|| heading("KUBE-CLUSTER-IP"));
    assert!(listed.contains(" maxelem 4\n") || listed.contains(" maxelem 4 "), "{listed}");

    manifests.write("more.yaml", &(2..=9).map(one).collect::<Vec<_>>().join("---\n"));
    let is_member = |line: &&String| line.starts_with("add KUBE-CLUSTER-IP ");
    wait_until("all are members", Duration::from_secs(5), || {
        KernelState::of(&node.namespace).members.iter().filter(is_member).count() == 9
    });
    let log = daemon.log();
    assert!(!log.contains("ERROR") && !log.contains("no room is left"), "{log}");
    let listed = node.namespace.enter(|| heading("KUBE-CLUSTER-IP"));
    assert!(listed.contains(" maxelem 1048576"), "{listed}");
}

/// Holds the lock of the packet filter for so long while the daemon starts, and returns the log of
/// that start. `None` on a kernel whose packet filter has no such lock.
fn log_of_a_start_while_the_rules_are_locked(how_long: Duration) -> Option<String> {
    if std::env::var("GUEST_KERNEL").unwrap_or_default() != "uml" {
        eprintln!("not tried: only the older ip_tables has such a lock");
        return None;
    }
    let cluster = Cluster::new(1);
    let node = cluster.node(1);
    let manifests = Manifests::of_nodes();
    manifests.write("web.yaml", &Application::web().objects(&[REMOTE]));
    let lock = File::options().create(true).append(true).open("/run/xtables.lock").unwrap();
    lock.lock().unwrap();
    let daemon = Daemon::spawn(&node.namespace, &node.name, manifests.path(), &[]);
    daemon.wait_for_log("started");
    thread::sleep(how_long);
    assert!(!daemon.log().contains("synced everything"), "{}", daemon.log());
    lock.unlock().unwrap();
    daemon.wait_for_log("synced everything");
    let rules = node.namespace.enter(packet_filter);
    assert!(rules.contains(":KUBE-SERVICES "), "{rules}");
    Some(daemon.log())
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn rules_that_another_program_changes_are_waited_for() {
    let log = log_of_a_start_while_the_rules_are_locked(Duration::from_secs(2));
    let Some(log) = log else { return };
    assert!(!log.contains("ERROR") && log.contains(" failed=0"), "{log}");
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn rules_that_stay_locked_are_told_within_seconds_and_tried_again() {
    let log = log_of_a_start_while_the_rules_are_locked(Duration::from_secs(7));
    let Some(log) = log else { return };
    let complaints: Vec<_> = log.lines().filter(|line| line.contains("xtables lock")).collect();
    assert_eq!(complaints.len(), 1, "{log}");
    assert!(complaints[0].contains("load the static rules"), "{log}");
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn without_ipv6_the_rest_is_served_and_that_is_told_once() {
    let cluster = Cluster::new(1);
    let node = cluster.node(1);
    let pod = node.pod("pod", 10);
    let _server = Server::start(&pod.namespace, &pod.name, 8080);
    node.namespace.sysctl("net.ipv6.conf.all.disable_ipv6", "1");
    let manifests = Manifests::of_nodes();
    let web = Application::new("web", &["10.96.0.9", "fd00:96::9"]).port(Transport::Tcp, 80, 8080);
    manifests.write("web.yaml", &web.objects(&[Endpoint::from(&pod)]));
    let daemon = Daemon::start(node, manifests.path());
    let ask = || {
        for target in web.targets().filter(|target| target.is_ipv4()) {
            let answer = Client::in_namespace(&cluster.client).ask(target, Transport::Tcp);
            assert_eq!(answer.unwrap().server, pod.name);
        }
    };
    ask();
    daemon.signal(Signal::HUP);
    daemon.wait_for_log("compared everything");
    let log = daemon.log();
    let complaints: Vec<_> = log.lines().filter(|line| line.contains("not support")).collect();
    assert_eq!(complaints.len(), 1, "{log}");
    assert!(complaints[0].contains("[fd00:96::9]:80"), "{log}");
    assert!(!log.contains("tried again"), "{log}");

    let state = || (KernelState::of(&node.namespace), node.namespace.enter(packet_filter));
    let before = state();
    daemon.stop(Signal::TERM);
    let again = Daemon::start(node, manifests.path());
    let log = again.log();
    assert!(log.contains("synced everything kernel_changes=0 failed=0"), "{log}");
    assert_eq!(state(), before);
    ask();
}

/// The kernel takes 31 characters; kube-proxy cuts what is longer, and others look for that.
#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn the_sets_have_the_names_that_kube_proxy_gives_them() {
    let names: BTreeSet<String> = Namespace::new("node").enter(|| {
        let report = InProcess::open().resync().report;
        assert!(report.failed.is_empty(), "{:?}", report.failed);
        run("ipset", &["list", "-n"]).lines().map(str::to_owned).collect()
    });
    let of_kube_proxy = [
        "LOOP-BACK",
        "CLUSTER-IP",
        "EXTERNAL-IP",
        "EXTERNAL-IP-LOCAL",
        "LOAD-BALANCER",
        "LOAD-BALANCER-LOCAL",
        "LOAD-BALANCER-FW",
        "LOAD-BALANCER-SOURCE-CIDR",
        "NODE-PORT-TCP",
        "NODE-PORT-LOCAL-TCP",
        "NODE-PORT-UDP",
        "NODE-PORT-LOCAL-UDP",
        "NODE-PORT-SCTP-HASH",
        "NODE-PORT-LOCAL-SCTP-HASH",
        "HEALTH-CHECK-NODE-PORT",
        "IPVS-IPS",
    ];
    for name in of_kube_proxy {
        assert!(names.contains(&format!("KUBE-{name}")), "KUBE-{name} is not in {names:?}");
    }
    let cut = ["LOAD-BALANCER-SOURCE-CID", "NODE-PORT-LOCAL-SCTP-HAS"];
    let longer = |name: &&str| cut.iter().any(|cut| name.starts_with(cut));
    for name in of_kube_proxy.iter().filter(|name| !longer(name)).chain(&cut) {
        assert!(names.contains(&format!("KUBE-6-{name}")), "KUBE-6-{name} is not in {names:?}");
    }
    let longest = names.iter().map(String::len).max();
    assert_eq!(longest, Some(31));
}
