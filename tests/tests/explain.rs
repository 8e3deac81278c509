//! `proxyd explain --live` tells what the kernel would do now, not what it should. That what is
//! told comes true is checked by the traffic matrix, row by row.

use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use tests::lab::{Application, Cluster, Daemon, Endpoint, Manifests, Namespace, proxyd, told};

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    packets: Vec<Packet>,
    rule_differences: Vec<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Packet {
    verdict: String,
    servers: Vec<Server>,
    steps: Vec<Step>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Server {
    server: String,
    weight: u32,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Step {
    place: String,
    chain: Option<String>,
    mark: u32,
}

const QUESTIONS: [&str; 6] =
    ["pod", "svc/default/web", "outside", "svc/default/web", "node", "svc/default/web"];

fn explain(namespace: &Namespace, manifests: &Path, live: &[&str]) -> (Document, Option<i32>) {
    let output = Command::new("ip")
        .args(["netns", "exec", namespace.name()])
        .arg(proxyd())
        .args(["explain", "-o", "json"])
        .args(told("node-1", manifests))
        .args(live)
        .args(QUESTIONS)
        .output()
        .expect("ip runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let document = serde_saphyr::from_str(&text);
    (document.unwrap_or_else(|error| panic!("{error}: {output:?}")), output.status.code())
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn live_is_as_planned_until_somebody_meddles() {
    let cluster = Cluster::new(1);
    let node = cluster.node(1);
    let manifests = Manifests::of_nodes();
    let web = Application::everywhere("web", 60).spec("externalTrafficPolicy: Local");
    manifests.write("web.yaml", &web.objects(&[Endpoint::new(1, 10), Endpoint::new(2, 10)]));
    let daemon = Daemon::start(node, manifests.path());
    drop(daemon);
    let ask = |live: &[&str]| explain(&node.namespace, manifests.path(), live);
    let (live, status) = ask(&["--live"]);
    assert_eq!(live.rule_differences, Vec::<String>::new());
    assert_eq!((&live, status), (&ask(&[]).0, Some(0)));

    let exec = |program: &str, arguments: &str| {
        let arguments: Vec<_> = arguments.split(' ').collect();
        let _ = node.namespace.exec(program, &arguments);
    };
    exec("ipvsadm", "-e -t 10.96.0.60:80 -r 10.244.1.10:8080 -m -w 0");
    exec("ipvsadm", "-e -t 10.96.0.60:80 -r 10.244.2.10:8080 -m -w 0");
    exec("ipset", "del KUBE-INTERNAL-MARK 192.0.2.60,tcp:80");
    tests::lab::iptables(&node.namespace, proxy_core::Family::Ipv4, "-t nat -F KUBE-MARK-MASQ");
    let (meddled, status) = ask(&["--live"]);
    assert_eq!(status, Some(3), "the cluster IP has no server that takes new connections");
    assert!(
        meddled.rule_differences.iter().any(|it| it.contains("KUBE-MARK-MASQ")),
        "{:?}",
        meddled.rule_differences
    );
    let differing = live.packets.iter().zip(&meddled.packets).filter(|(one, two)| one != two);
    assert!(differing.count() >= 5, "three clients of the cluster IP, two of the load balancer");
    let (planned, _) = ask(&[]);
    assert_eq!(planned, live, "what should be is the same");
}
