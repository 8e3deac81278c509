//! The manifests give the container that stays exactly what the daemon needs: their capabilities,
//! a read-only root and read-only kernel settings, once an init container has prepared the node.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tests::lab::{
    Answer, Application, Client, Cluster, Daemon, Endpoint, KernelState, Manifests, Namespace,
    Server, Transport, proxyd, wait_until,
};

const DAEMON_SET: &str = include_str!("../../deploy/kustomize/base/daemon-set.yaml");

/// What the container runtime does before it starts the program `"$@"` with the capabilities `$0`.
/// The lock of iptables is the one file that can be written.
const CONTAINER: &str = r#"
set -eu
touch /run/xtables.lock
mount --make-rprivate /
mount --bind /run/xtables.lock /run/xtables.lock
mount --bind /proc/sys /proc/sys
awk '$2 !~ "^/(proc|run/xtables.lock)$" { print $2 }' /proc/self/mounts | sort -ru |
  while read -r at; do mount -o remount,bind,ro "$at" 2>/dev/null || :; done
for file in /file /run/file /tmp/file /proc/sys/net/ipv4/ip_forward; do
  if (echo 1 >"$file") 2>/dev/null; then echo "proxyd: test: $file is writable" >&2; exit 1; fi
done
exec setpriv --no-new-privs --inh-caps=-all --bounding-set="-all$0" "$@"
"#;

/// The capabilities of the container, in small letters and without CAP_.
fn capabilities() -> Vec<String> {
    let daemon_set: Value = serde_saphyr::from_str(DAEMON_SET).expect("it is YAML");
    let container = &daemon_set["spec"]["template"]["spec"]["containers"][0]["securityContext"];
    assert_eq!(container["privileged"], false);
    assert_eq!(container["allowPrivilegeEscalation"], false);
    assert_eq!(container["readOnlyRootFilesystem"], true);
    assert_eq!(container["capabilities"]["drop"], serde_json::json!(["ALL"]));
    let added = container["capabilities"]["add"].as_array().expect("some are added");
    added.iter().map(|name| name.as_str().expect("a name").to_lowercase()).collect()
}

/// What the init container does: a privileged start. Then everything but the settings is taken
/// away, so that there is work.
fn prepare(namespace: &Namespace, manifests: &Manifests) {
    let daemon = Daemon::spawn(namespace, "node-1", manifests.path(), &[]);
    daemon.wait_for_log("synced everything");
    daemon.stop(Signal::TERM);
    let proxyd = proxyd();
    let _ = namespace.exec(proxyd.to_str().expect("a path in UTF-8"), &["cleanup"]);
    assert_eq!(KernelState::of(namespace).services, [""; 0]);
}

fn start(namespace: &Namespace, manifests: &Manifests, capabilities: &[String]) -> Daemon {
    let allowed: String = capabilities.iter().map(|name| format!(",+{name}")).collect();
    let wrapper = ["unshare", "--mount", "sh", "-c", CONTAINER, &allowed];
    Daemon::spawn_under(&wrapper, namespace, "node-1", manifests.path(), &[])
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn the_privileges_of_the_manifest_are_enough() {
    let cluster = Cluster::new(1);
    let node = cluster.node(1);
    let (client, server) = (node.pod("client", 20), node.pod("server", 10));
    let _server = Server::start(&server.namespace, &server.name, 8080);
    let manifests = Manifests::of_nodes();
    manifests.write("web.yaml", &Application::web().objects(&[Endpoint::new(2, 10)]));
    prepare(&node.namespace, &manifests);

    let daemon = start(&node.namespace, &manifests, &capabilities());
    daemon.wait_for_log("synced everything");
    assert!(daemon.log().contains("failed=0"), "{}", daemon.log());
    manifests.write("web.yaml", &Application::web().objects(&[Endpoint::new(1, 10)]));
    daemon.wait_for_log("synced changed=");
    for target in Application::web().targets() {
        let answer = Client::in_namespace(&client.namespace).ask(target, Transport::Tcp);
        let expected =
            Answer { server: "server".to_owned(), source: client.address_for(target.ip()) };
        assert_eq!(answer, Ok(expected), "{target}");
    }
    let log = daemon.log();
    assert!(!log.contains(" ERROR ") && !log.contains(" WARN "), "{log}");
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn no_capability_of_the_manifest_can_be_left_out() {
    let all = capabilities();
    assert!(!all.is_empty());
    for left_out in &all {
        let namespace = Namespace::new("node");
        let manifests = Manifests::of_nodes();
        prepare(&namespace, &manifests);
        let rest: Vec<_> = all.iter().filter(|name| *name != left_out).cloned().collect();
        let daemon = start(&namespace, &manifests, &rest);
        wait_until("it says what it cannot do", Duration::from_secs(30), || {
            let log = daemon.log();
            log.contains(" ERROR ") || log.contains("\nproxyd: ") || log.starts_with("proxyd: ")
        });
        let log = daemon.log();
        assert!(!log.contains("proxyd: test:"), "{log}");
        assert!(!log.contains("synced everything"), "without {left_out}: {log}");
    }
}
