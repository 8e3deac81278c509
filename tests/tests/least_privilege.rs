//! The manifests give the container that stays exactly what the daemon needs: their capabilities,
//! a read-only root and read-only kernel settings, once an init container has prepared the node.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tests::lab::{
    Answer, Application, Client, Cluster, Daemon, Endpoint, KernelState, Manifests, Namespace,
    Server, Transport, proxyd, wait_until,
};

const DAEMON_SET: &str = include_str!("../../deploy/kustomize/base/daemon-set.yaml");

/// What the container runtime does before it starts the program `"$@"` with the capabilities `$0`.
/// The lock of iptables is the one file that can be written, and there is a directory for the socket.
const CONTAINER: &str = r#"
set -eu
touch /run/xtables.lock
mkdir -p /run/proxyd
mount --make-rprivate /
mount --bind /run/xtables.lock /run/xtables.lock
mount --bind /proc/sys /proc/sys
awk '$2 !~ "^/(proc|run/xtables.lock)$" { print $2 }' /proc/self/mounts | sort -ru |
  while read -r at; do mount -o remount,bind,ro "$at" 2>/dev/null || :; done
mount -t tmpfs -o mode=0777 socket /run/proxyd
for file in /file /run/file /tmp/file /proc/sys/net/ipv4/ip_forward; do
  if (echo 1 >"$file") 2>/dev/null; then echo "proxyd: test: $file is writable" >&2; exit 1; fi
done
echo -997 >/proc/self/oom_score_adj # as the kubelet does
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

/// Arguments of both containers, but that the objects come from files.
fn arguments(manifests: &Manifests) -> Vec<String> {
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/kustomize/base/config.conf");
    let manifests = manifests.path().to_str().expect("temporary paths are text");
    vec![
        format!("--config={config}"),
        "--hostname-override=node-1".to_owned(),
        format!("--manifests={manifests}"),
    ]
}

/// Runs the init container's script. Its `modprobe` is the one the kernel is told of: a guest has
/// its modules in a place of its own.
fn prepare(namespace: &Namespace, manifests: &Manifests) {
    let bin = std::env::temp_dir().join(format!("bin-{}", namespace.name()));
    fs::create_dir(&bin).expect("the temporary directory can be written");
    let modprobe = fs::read_to_string("/proc/sys/kernel/modprobe").expect("the kernel tells it");
    for (name, target) in [("kube-proxy", proxyd()), ("modprobe", modprobe.trim().into())] {
        symlink(target, bin.join(name)).expect("the directory is ours");
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/image/prepare-node");
    let path = std::env::var("PATH").expect("it is set");
    let output = Command::new("ip")
        .args(["netns", "exec", namespace.name(), script])
        .args(arguments(manifests))
        .env("PATH", format!("{}:{path}", bin.display()))
        .output()
        .expect("ip runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(KernelState::of(namespace).services, [""; 0]);
}

fn start(namespace: &Namespace, manifests: &Manifests, capabilities: &[String]) -> Daemon {
    let allowed: String = capabilities.iter().map(|name| format!(",+{name}")).collect();
    let wrapper = ["unshare", "--mount", "sh", "-c", CONTAINER, &allowed];
    let arguments = arguments(manifests);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).chain(["-v=4"]).collect();
    Daemon::run(&wrapper, namespace, &arguments)
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
    // The size of the connection tracker's table is the host's, not a namespace's.
    let of_host = |line: &&str| line.contains("nf_conntrack");
    let complaints = log.lines().filter(|line| line.contains(" ERROR ") || line.contains(" WARN "));
    let complaints: Vec<_> = complaints.filter(|line| !of_host(line)).collect();
    assert_eq!(complaints, [""; 0], "{log}");
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
            log.contains(" ERROR ") || log.lines().any(|line| line.starts_with("proxyd: "))
        });
        let log = daemon.log();
        assert!(!log.contains("proxyd: test:"), "{log}");
        assert!(!log.contains("synced everything"), "without {left_out}: {log}");
    }
}
