//! `proxyd plan` tells what `run` would do, and does nothing.

use serde_json::json;
use tests::lab::{Cluster, Daemon, Manifests, plan, plan_document};

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_plan_changes_nothing_and_what_it_told_is_done_later() {
    let cluster = Cluster::new(1);
    let node = cluster.node(1);
    let manifests = Manifests::two_tier();

    let (told, status) = plan(node, manifests.path());
    assert_eq!(status, Some(2), "{told:#?}");
    for line in [
        "+ service TCP 10.96.0.100:3000 rr",
        "+ server TCP 10.96.0.100:3000 -> 10.244.2.10:8080 weight 1",
        "+ set KUBE-CLUSTER-IP member 10.96.0.100,tcp:3000",
        "+ address 10.96.0.100 src 192.168.50.11",
    ] {
        assert!(told.iter().any(|it| it == line), "{line} is in {told:#?}");
    }
    assert_eq!(plan_document(node, manifests.path())["lines"], json!(told));
    assert_eq!(node.namespace.exec("ipvsadm", &["-Sn"]), "");
    assert_eq!(node.namespace.exec("ipset", &["list", "-n"]), "");

    let daemon = Daemon::start(node, manifests.path());
    let synced = format!("kernel_changes={}", told.len());
    assert!(daemon.log().contains(&synced), "{synced} is in {}", daemon.log());
    assert_eq!(plan(node, manifests.path()), (Vec::new(), Some(0)));
}
