//! This node's Node object: it comes late, changes, goes; its API server dies without a word.

use std::thread;
use std::time::{Duration, Instant};

use proxy_core::Family;
use rustix::process::Signal;
use serde_json::{Value, json};
use tests::apiserver::{Credentials, History, Options};
use tests::lab::{Endpoint, iptables, packet_filter, wait_until};

use crate::cluster::{SOON, Scene, complaints, service};

/// Node 1 with other networks for its pods.
fn node(scene: &Scene, pod_cidrs: &[&str]) -> Value {
    let mut node = scene.api.object("nodes", "", "node-1").expect("it is there");
    node["spec"]["podCIDRs"] = json!(pod_cidrs);
    node
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn networks_of_pods_that_come_later_or_change_are_in_the_rules() {
    let scene = Scene::new(Options::default());
    let (one, full) = (service(1), node(&scene, &["10.244.1.0/24", "fd00:244:1::/64"]));
    scene.apply(&one, &[Endpoint::from(&scene.pod)]);
    assert!(scene.api.delete("nodes", "", "node-1"));
    scene.configure(&Credentials::Nothing, |text| {
        text.replace("detectLocalMode: \"\"", "detectLocalMode: NodeCIDR")
    });

    scene.api.stop();
    let daemon = scene.start();
    daemon.wait_for_log("the API server does not answer");
    let begin = Instant::now();
    assert!(daemon.stop(Signal::TERM).success(), "it goes when told to, also while it waits");
    assert!(begin.elapsed() < SOON);
    scene.api.start_again(History::Kept);

    let daemon = scene.start();
    daemon.wait_for_log("Node node-1: there is none; waiting");
    let mut bare = full.clone();
    bare["spec"] = json!({});
    scene.api.apply(&bare);
    daemon.wait_for_log("Node node-1: has no spec.podCIDRs; waiting");
    assert_eq!(scene.kernel().services, [""; 0], "nothing else says who is a pod");
    scene.api.apply(&full);
    scene.is_soon_served(&one);
    let has_rules = |network: &'static str| {
        let rules = scene.node().namespace.enter(packet_filter);
        rules.lines().any(|line| line.contains(&format!("-s {network} ")))
    };
    for network in ["10.244.1.0/24", "fd00:244:1::/64"] {
        wait_until(network, SOON, || has_rules(network));
    }
    scene.api.apply(&node(&scene, &["10.244.7.0/24", "fd00:244:7::/64"]));
    for network in ["10.244.7.0/24", "fd00:244:7::/64"] {
        wait_until(network, SOON, || has_rules(network));
    }
    assert!(!has_rules("10.244.1.0/24") && !has_rules("fd00:244:1::/64"));
    assert!(scene.ask(&one).is_ok());
    // What was known last stays.
    assert!(scene.api.delete("nodes", "", "node-1"));
    thread::sleep(Duration::from_millis(500));
    assert!(has_rules("10.244.7.0/24") && scene.ask(&one).is_ok());
}

/// The address of node 2, given to a Service.
const TAKEN: &str = "192.168.50.12";

/// A Service whose external address is node 2's, with a server.
fn claim(scene: &Scene) {
    let external = format!("spec:\n  externalIPs: [{TAKEN}]\n");
    scene.api.apply_yaml(&service(1).service().replace("spec:\n", &external));
    scene.api.apply_yaml(&service(1).slices(&[Endpoint::from(&scene.pod)]));
}

/// Whether this node takes the address of node 2 for its own.
fn takes_it(scene: &Scene) -> bool {
    scene.kernel().routes.iter().any(|route| route.contains(TAKEN))
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn an_api_servers_address_is_never_taken_from_it() {
    let address = format!("{TAKEN}:6443").parse().expect("an address");
    let scene = Scene::with_server_on(2, Options { address, ..Options::default() });
    claim(&scene);
    let daemon = scene.serve();
    assert!(!takes_it(&scene), "{:#?}", scene.kernel().routes);
    assert!(complaints(&daemon, "192.168.50.12 is an address of the API server") > 0);
    // Still heard, and served from inside the cluster.
    scene.apply(&service(2), &[Endpoint::from(&scene.pod)]);
    scene.is_soon_served(&service(2));
    assert!(scene.ask(&service(1)).is_ok());
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn another_nodes_address_is_not_taken_from_it_if_every_node_is_known() {
    let scene = Scene::new(Options::default());
    claim(&scene);
    let daemon = scene.serve();
    assert!(takes_it(&scene), "nobody told it: {:#?}", scene.kernel().routes);
    drop(daemon);

    scene.configure(&Credentials::Nothing, |text| format!("{text}\nproxyd:\n  watchNodes: all\n"));
    let daemon = scene.start();
    daemon.wait_for_log("synced everything");
    assert!(!takes_it(&scene), "{:#?}", scene.kernel().routes);
    assert!(complaints(&daemon, "192.168.50.12 is an address of Node node-2") > 0);
    let other = scene.api.object("nodes", "", "node-2").expect("it is there");
    assert!(scene.api.delete("nodes", "", "node-2"));
    wait_until("the Node is gone, its address free", SOON, || takes_it(&scene));
    scene.api.apply(&other);
    wait_until("it is back", SOON, || !takes_it(&scene));
}

/// Both take half a minute, so they wait together: a Node that does not come, and the death of
/// the API server's machine.
#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_node_that_is_missing_and_a_server_that_is_dead_are_waited_for_half_a_minute() {
    let missing = Scene::new(Options::default());
    missing.apply(&service(1), &[Endpoint::from(&missing.pod)]);
    let full = node(&missing, &["10.244.1.0/24"]);
    assert!(missing.api.delete("nodes", "", "node-1"));
    missing.configure(&Credentials::Nothing, str::to_owned);
    let begin = Instant::now();
    let without = missing.start();

    let address = "192.168.50.12:6443".parse().expect("an address");
    let scene = Scene::with_server_on(2, Options { address, ..Options::default() });
    let (old, new) = (service(1), service(2));
    scene.apply(&old, &[Endpoint::new(1, 1)]);
    let daemon = scene.serve();
    // The way dies under the connections that are open: nobody hears that the other is gone.
    let node = &scene.node().namespace;
    let open = node.exec("ss", &["-Htn", "state", "established", "dst", "192.168.50.12:6443"]);
    let ports = open.lines().filter_map(|line| {
        let local = line.split_whitespace().find(|word| word.starts_with("192.168.50.11:"))?;
        local.rsplit_once(':').map(|(_, port)| port)
    });
    for port in ports {
        iptables(node, Family::Ipv4, &format!("-I INPUT -p tcp --dport {port} -j DROP"));
        iptables(node, Family::Ipv4, &format!("-I OUTPUT -p tcp --sport {port} -j DROP"));
    }
    let died = Instant::now();
    assert!(scene.api.delete("services", "default", "web-1"));
    scene.apply(&new, &[Endpoint::new(1, 1)]);
    let is_known = || scene.kernel().services.iter().any(|line| line.contains("10.96.0.2:80"));
    wait_until("its death is noticed", Duration::from_secs(45), is_known);
    eprintln!("the dead server was noticed within {:?}", died.elapsed());
    assert!(
        died.elapsed() > Duration::from_secs(1),
        "the connection was not cut: {}",
        daemon.log()
    );
    let why = daemon.log();
    let why: Vec<_> = why.lines().filter(|line| line.contains("cannot be watched")).collect();
    assert!(why.iter().any(|line| line.contains("timed out")), "{why:#?}");
    let is_gone = || !scene.kernel().services.iter().any(|line| line.contains("10.96.0.1:80"));
    wait_until("what it did not tell is made good", SOON, is_gone);

    without.wait_for_log("Node node-1: there is none; going on with what the interfaces say");
    assert!(begin.elapsed() >= Duration::from_secs(30), "{}", without.log());
    missing.is_soon_served(&service(1));
    missing.api.apply(&full);
    let routes = || missing.kernel().routes;
    let is_followed =
        || routes().iter().all(|it| !it.contains("10.96.") || it.contains("src 192.168.50.11"));
    wait_until("its address is the Node's", SOON, is_followed);
}
