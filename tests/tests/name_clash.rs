//! Somebody else's object has one of our names or keys.

use std::thread;
use std::time::Duration;

use tests::lab::{
    Application, Cluster, Daemon, Endpoint, KernelState, Manifests, Transport, run, wait_until,
};

fn web() -> Application {
    Application::new("web", &["10.96.0.9", "fd00:96::9"]).port(Transport::Tcp, 80, 8080)
}

fn manifests() -> Manifests {
    let manifests = Manifests::of_nodes();
    manifests.write("web.yaml", &web().objects(&[REMOTE]));
    manifests
}

const REMOTE: Endpoint = Endpoint::new(2, 10);

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_set_of_another_type_with_one_of_our_names_is_replaced() {
    let cluster = Cluster::new(1);
    let node = cluster.node(1);
    let _ = node.namespace.exec("ipset", &["create", "KUBE-CLUSTER-IP", "hash:net"]);
    let _ = node.namespace.exec("ipset", &["add", "KUBE-CLUSTER-IP", "198.51.100.0/24"]);
    let manifests = manifests();
    let _daemon = Daemon::start(node, manifests.path());
    let listed = node.namespace.exec("ipset", &["list", "-t", "KUBE-CLUSTER-IP"]);
    assert!(listed.contains("Type: hash:ip,port\n"), "{listed}");
    let members = KernelState::of(&node.namespace).members;
    assert!(members.contains(&"add KUBE-CLUSTER-IP 10.96.0.9,tcp:80".to_owned()), "{members:?}");
}

/// What refers to the set keeps the kernel from removing it.
#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_set_of_another_type_that_is_in_use_is_told_and_replaced_once_it_is_free() {
    let cluster = Cluster::new(1);
    let node = cluster.node(1);
    let _ = node.namespace.exec("ipset", &["create", "KUBE-CLUSTER-IP", "hash:net"]);
    let _ = node.namespace.exec("ipset", &["create", "HOLDER", "list:set"]);
    let _ = node.namespace.exec("ipset", &["add", "HOLDER", "KUBE-CLUSTER-IP"]);
    let manifests = manifests();
    let daemon = Daemon::spawn(&node.namespace, &node.name, manifests.path(), &[]);
    daemon.wait_for_log("KUBE-CLUSTER-IP");
    thread::sleep(Duration::from_millis(500));
    let log = daemon.log();
    let complaints: Vec<_> = log.lines().filter(|line| line.contains("KUBE-CLUSTER-IP")).collect();
    assert_eq!(complaints.len(), 1, "{log}");
    assert!(complaints[0].contains("ipset destroy"), "the remedy is in {complaints:?}");
    assert!(!log.contains("synced everything"), "{log}");
    let _ = node.namespace.exec("ipset", &["destroy", "HOLDER"]);
    wait_until("the set is replaced", Duration::from_secs(15), || {
        let members = KernelState::of(&node.namespace).members;
        members.contains(&"add KUBE-CLUSTER-IP 10.96.0.9,tcp:80".to_owned())
    });
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn an_ipvs_service_that_is_there_already_is_taken_over_without_a_gap() {
    let cluster = Cluster::new(1);
    let node = cluster.node(1);
    node.namespace.enter(|| {
        run("ipvsadm", &["-A", "-t", "10.96.0.9:80", "-s", "wlc"]);
        run("ipvsadm", &["-a", "-t", "10.96.0.9:80", "-r", "10.244.2.10:8080", "-m", "-w", "7"]);
    });
    let manifests = manifests();
    let daemon = Daemon::start(node, manifests.path());
    let services = KernelState::of(&node.namespace).services;
    assert!(services.contains(&"-A -t 10.96.0.9:80 -s rr".to_owned()), "{services:?}");
    assert_eq!(KernelState::of(&node.namespace).weight("10.244.2.10:8080"), Some(1));
    assert!(daemon.log().contains("failed=0"), "{}", daemon.log());
}
