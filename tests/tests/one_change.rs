//! The work follows the change: an endpoint that comes or goes costs the messages for that
//! endpoint, however much else is served. Counted at the socket.

use std::time::Duration;

use tests::lab::{
    Application, Cluster, Daemon, Endpoint, InProcess, KernelState, Manifests, Namespace,
    Transport, Work, wait_until,
};

const FIRST: Endpoint = Endpoint::new(2, 10);
const SECOND: Endpoint = Endpoint::new(2, 11);

/// TCP and UDP, in one family.
fn two_ports() -> Application {
    Application::new("web", &["10.96.0.9"]).port(Transport::Tcp, 80, 8080).port(
        Transport::Udp,
        80,
        8080,
    )
}

fn one_port() -> Application {
    Application::new("web", &["10.96.0.9"]).port(Transport::Tcp, 80, 8080)
}

/// Others, in both families, so that there is something to leave alone.
fn others() -> impl Iterator<Item = Application> {
    (1..=20).map(|number| {
        let ips = [format!("10.96.1.{number}"), format!("fd00:96::1:{number}")];
        let ips = ips.each_ref().map(String::as_str);
        Application::new(&format!("other-{number}"), &ips).port(Transport::Tcp, 80, 8080)
    })
}

/// Serves `application` and others in a fresh namespace, and says what the last of the steps cost.
#[track_caller]
fn check(application: &Application, steps: &[&[Endpoint]], expected_mutations: u64) {
    check_reading(application, steps, expected_mutations, 0);
}

/// The same, with how often something must be read: when a UDP server goes, the tracked flows to
/// its virtual server.
#[track_caller]
fn check_reading(
    application: &Application,
    steps: &[&[Endpoint]],
    expected_mutations: u64,
    expected_dumps: u64,
) {
    let application = application.clone();
    let steps: Vec<_> = steps.iter().map(|&endpoints| application.slices(endpoints)).collect();
    let work = Namespace::new("node").enter(move || {
        let mut served = InProcess::open();
        for other in others() {
            served.read(&other.objects(&[FIRST]));
        }
        served.read(&application.service());
        served.read(&steps[0]);
        let first = served.resync();
        assert!(first.report.failed.is_empty(), "{:?}", first.report.failed);
        let mut last = first;
        for slices in &steps[1..] {
            let _ = served.maintain();
            served.read(slices);
            last = served.apply();
        }
        last
    });
    let Work { report, traffic } = work;
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    assert_eq!(traffic.mutations, expected_mutations, "{traffic:?}");
    assert_eq!(traffic.requests, expected_mutations + expected_dumps, "reads: {traffic:?}");
    assert_eq!(report.changes as u64, expected_mutations);
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn an_endpoint_more_is_one_message_for_each_port() {
    check(&two_ports(), &[&[FIRST], &[FIRST, SECOND]], 2);
    check(&one_port(), &[&[FIRST], &[FIRST, SECOND]], 1);
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn an_endpoint_of_this_node_is_also_one_entry_for_its_own_calls() {
    check(&one_port(), &[&[FIRST], &[FIRST, Endpoint::new(1, 10)]], 2);
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn an_endpoint_less_is_one_message_for_each_port() {
    check_reading(&two_ports(), &[&[FIRST, SECOND], &[FIRST]], 2, 1);
    check(&one_port(), &[&[FIRST, SECOND], &[FIRST]], 1);
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn an_endpoint_that_terminates_or_comes_back_is_one_message_for_each_port() {
    check_reading(&two_ports(), &[&[FIRST, SECOND], &[FIRST, SECOND.terminating()]], 2, 1);
    check(&one_port(), &[&[FIRST, SECOND], &[FIRST, SECOND.terminating()]], 1);
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn an_edit_that_means_nothing_costs_nothing() {
    Namespace::new("node").enter(|| {
        let mut served = InProcess::open();
        served.read(&one_port().objects(&[FIRST, SECOND]));
        let _ = served.resync();
        let _ = served.maintain();
        let before = KernelState::here();
        served.read(&one_port().slices(&[SECOND, FIRST]));
        let traffic = served.idle();
        assert_eq!(traffic.requests, 0, "{traffic:?}");
        assert_eq!(KernelState::here(), before);
    });
}

/// The daemon as a process: a monitor device counts every netlink message in the node's namespace.
#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_daemon_sends_one_message_when_one_slice_file_is_edited() {
    let cluster = Cluster::new(1);
    let node = cluster.node(1);
    let manifests = Manifests::of_nodes();
    for (number, other) in others().enumerate() {
        manifests.write(&format!("other-{number}.yaml"), &other.objects(&[FIRST]));
    }
    manifests.write("service.yaml", &one_port().service());
    manifests.write("slices.yaml", &one_port().slices(&[FIRST]));
    let daemon = Daemon::start(node, manifests.path());
    node.namespace.ip("link add monitor type nlmon\nlink set monitor up");
    let before = messages(&node.namespace);
    manifests.write("slices.yaml", &one_port().slices(&[FIRST, SECOND]));
    daemon.wait_for_log("synced changed=1");
    // The request and its acknowledgement.
    assert_eq!(messages(&node.namespace) - before, 2, "{}", daemon.log());
    let log = daemon.log();
    let synced = log.lines().find(|line| line.contains("synced changed=1")).unwrap();
    assert!(synced.contains("removed=0 kernel_changes=1 failed=0"), "{synced}");
    wait_until("the new endpoint is in the kernel", Duration::from_secs(1), || {
        KernelState::of(&node.namespace).weight("10.244.2.11:8080") == Some(1)
    });
}

/// How many netlink messages the monitor saw.
fn messages(namespace: &Namespace) -> u64 {
    let file = "/sys/class/net/monitor/statistics/rx_packets";
    namespace.exec("cat", &[file]).trim().parse().expect("a number")
}
