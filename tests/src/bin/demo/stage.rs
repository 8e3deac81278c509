//! The cluster with what runs in it, and the ways to change it.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use tests::lab::{Client, Cluster, Daemon, Manifests, Node, Pod, Server, example, wait_until};

use crate::ask::{BACKEND, Caller, LOAD_BALANCER};
use crate::screen::Screen;

/// How long a change may take to reach the kernels of all nodes.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// The port of every server.
const SERVED: u16 = 8080;

/// Where a pod is, or will be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) name: &'static str,
    /// The number of its node.
    pub(crate) node: u8,
    /// The last part of its address.
    pub(crate) host: u8,
}

pub(crate) const FRONTEND: Place = Place { name: "frontend", node: 1, host: 20 };
pub(crate) const FRONTEND_2: Place = Place { name: "frontend-2", node: 2, host: 20 };
pub(crate) const BACKEND_1: Place = Place { name: "backend-1", node: 1, host: 10 };
pub(crate) const BACKEND_2: Place = Place { name: "backend-2", node: 2, host: 10 };
pub(crate) const BACKEND_3: Place = Place { name: "backend-3", node: 3, host: 10 };
pub(crate) const BACKEND_4: Place = Place { name: "backend-4", node: 2, host: 11 };

/// The manifest of the frontend.
pub(crate) const FRONTEND_FILE: &str = "frontend-service.yaml";

/// The manifest of the backends' endpoints.
const BACKEND_FILE: &str = "backend-endpoints.yaml";

/// Everything there is. Fields are dropped in this order.
#[derive(Debug)]
pub(crate) struct Stage {
    /// One a node, in the order of their numbers.
    pub(crate) daemons: Vec<Daemon>,
    pods: BTreeMap<&'static str, Running>,
    pub(crate) manifests: Manifests,
    pub(crate) cluster: Cluster,
    pub(crate) screen: Screen,
}

/// A pod and the process in it.
#[derive(Debug)]
struct Running {
    _server: Server,
    pod: Pod,
}

impl Stage {
    /// Three nodes with proxyd, a frontend and one backend.
    pub(crate) fn set_up(screen: Screen) -> Self {
        introduce(screen);
        let cluster = Cluster::new(3);
        let manifests = Manifests::two_tier();
        let mut stage =
            Self { daemons: Vec::new(), pods: BTreeMap::new(), manifests, cluster, screen };
        stage.start(FRONTEND);
        stage.start(BACKEND_2);
        // One after the other: on a slow machine three at a time keep each other from being ready.
        for node in &stage.cluster.nodes {
            let daemon = stage.daemon(node, &[]);
            daemon.wait_for_log("synced everything");
            stage.daemons.push(daemon);
        }
        stage
    }

    /// Starts the proxyd of a node, with more flags than all have.
    pub(crate) fn daemon(&self, node: &Node, more: &[&str]) -> Daemon {
        Daemon::spawn(&node.namespace, &node.name, self.manifests.path(), more)
    }

    /// Starts a pod and the server in it.
    pub(crate) fn start(&mut self, place: Place) {
        let pod = self.cluster.node(place.node).pod(place.name, place.host);
        let server = Server::start(&pod.namespace, place.name, SERVED);
        self.pods.insert(place.name, Running { _server: server, pod });
    }

    /// Ends the server of a pod, and the pod.
    pub(crate) fn end(&mut self, place: Place) {
        self.pods.remove(place.name);
    }

    pub(crate) fn pod(&self, place: Place) -> &Pod {
        let running = self.pods.get(place.name);
        &running.unwrap_or_else(|| panic!("the pod {} does not run", place.name)).pod
    }

    /// A pod as a client.
    pub(crate) fn caller(&self, place: Place) -> Caller<'_> {
        let pod = self.pod(place);
        Caller { name: &pod.name, client: Client::in_namespace(&pod.namespace) }
    }

    /// A node as a client.
    pub(crate) fn node_caller(&self, number: u8) -> Caller<'_> {
        let node = self.cluster.node(number);
        Caller { name: &node.name, client: Client::in_namespace(&node.namespace) }
    }

    /// The client outside the cluster.
    pub(crate) fn outside(&self) -> Caller<'_> {
        Caller { name: "outside", client: Client::in_namespace(&self.cluster.client) }
    }

    /// Where the server of a pod is, in the family of `peer`.
    pub(crate) fn server(&self, place: Place, peer: SocketAddr) -> SocketAddr {
        SocketAddr::new(self.address(place, peer), SERVED)
    }

    /// Lets a client outside come to the load balancer's addresses through a node.
    pub(crate) fn route_to_load_balancer(&self, caller: Caller<'_>, node: u8) {
        for target in LOAD_BALANCER {
            let (target, via) = (target.ip(), self.cluster.node(node).address_for(target.ip()));
            let command = format!("route replace {target} via {via}");
            self.screen.command(caller.name, &format!("ip {command}"));
            caller.client.namespace().ip(&command);
        }
    }

    /// Puts a version of the backends' endpoints in place, as an editor would, and waits until the
    /// kernel of every node has it.
    pub(crate) fn apply(&self, change: &str, backends: &[Place]) {
        self.replace(BACKEND_FILE, change);
        let begin = Instant::now();
        for node in &self.cluster.nodes {
            let what =
                format!("{} sends new connections to {} exactly", node.name, names(backends));
            wait_until(&what, LIMIT, || self.serves(node, backends));
        }
        let milliseconds = begin.elapsed().as_millis();
        self.screen
            .note(&format!("seen in the kernels of all three nodes after {milliseconds} ms"));
    }

    /// Breaks the manifest of the backends' endpoints.
    pub(crate) fn break_backends(&self) {
        self.replace(BACKEND_FILE, "typo.yaml");
    }

    /// Puts a version of a manifest in place, as an editor would, and waits until every proxyd has
    /// carried it out.
    pub(crate) fn publish(&self, file: &str, change: &str) {
        let before = self.changes_carried_out();
        self.replace(file, change);
        self.note_when_carried_out(&before);
    }

    /// Removes a manifest, and waits until every proxyd has carried that out.
    pub(crate) fn withdraw(&self, file: &str) {
        let before = self.changes_carried_out();
        self.screen.command("manifests", &format!("rm {file}"));
        self.manifests.remove(file);
        self.note_when_carried_out(&before);
    }

    fn replace(&self, file: &str, change: &str) {
        let command = format!("cp ../changes/{change} .draft && mv .draft {file}");
        self.screen.command("manifests", &command);
        self.manifests.write(file, &example(&format!("changes/{change}")));
    }

    fn note_when_carried_out(&self, before: &[usize]) {
        let begin = Instant::now();
        self.wait_for_changes(before);
        let milliseconds = begin.elapsed().as_millis();
        self.screen.note(&format!("carried out by all three proxyd after {milliseconds} ms"));
    }

    /// Whether new connections to the backends' Service go to these pods, in both families and
    /// protocols, and to no other.
    pub(crate) fn serves(&self, node: &Node, backends: &[Place]) -> bool {
        let mut expected = self.destinations(backends);
        expected.sort_unstable();
        let held = node.namespace.exec("ipvsadm", &["-Sn"]);
        let is_ours =
            |line: &&str| BACKEND.iter().any(|target| line.contains(&format!("{target} -r")));
        let mut held: Vec<_> = held
            .lines()
            .map(str::trim)
            .filter(is_ours)
            .filter(|line| !line.ends_with("-w 0"))
            .collect();
        held.sort_unstable();
        held == expected
    }

    /// As `ipvsadm -Sn` prints them.
    fn destinations(&self, backends: &[Place]) -> Vec<String> {
        let mut lines = Vec::new();
        for place in backends {
            for target in BACKEND {
                let server = SocketAddr::new(self.pod(*place).address_for(target.ip()), SERVED);
                for protocol in ["-t", "-u"] {
                    lines.push(format!("-a {protocol} {target} -r {server} -m -w 1"));
                }
            }
        }
        lines
    }

    /// How many changes each proxyd has carried out.
    pub(crate) fn changes_carried_out(&self) -> Vec<usize> {
        let is_change = |line: &&str| line.contains(" synced changed=");
        self.daemons.iter().map(|daemon| daemon.log().lines().filter(is_change).count()).collect()
    }

    /// Waits until each proxyd has carried out one more.
    pub(crate) fn wait_for_changes(&self, before: &[usize]) {
        wait_until("every proxyd carries out the change", LIMIT, || {
            self.changes_carried_out().iter().zip(before).all(|(now, before)| now > before)
        });
    }

    /// Waits until each proxyd has logged `text`; shows and returns the line of node 1's.
    pub(crate) fn show_logged(&self, text: &str) -> String {
        self.daemons.iter().for_each(|daemon| daemon.wait_for_log(text));
        self.show_last_logged(&self.daemons[0], text)
    }

    /// Shows and returns the last line with `text` that the proxyd of node 1, `daemon`, has logged.
    pub(crate) fn show_last_logged(&self, daemon: &Daemon, text: &str) -> String {
        let log = daemon.log();
        let line = log.lines().rfind(|line| line.contains(text)).unwrap_or_default();
        let line = line.split_whitespace().skip(1).collect::<Vec<_>>().join(" "); // without the time
        self.screen.note(&format!("proxyd on node-1 logs: {line}"));
        line
    }

    /// Node 1, which has the frontend and is the way in for the client outside.
    pub(crate) fn first_node(&self) -> &Node {
        self.cluster.node(1)
    }

    pub(crate) fn address(&self, place: Place, peer: SocketAddr) -> IpAddr {
        self.pod(place).address_for(peer.ip())
    }
}

fn introduce(screen: Screen) {
    let version = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel = std::env::var("GUEST_KERNEL").unwrap_or_else(|_| "the running one".to_owned());
    for line in [
        &*format!("kernel     Linux {} ({kernel})", version.trim()),
        "nodes      node-1, node-2, node-3; pods of node-N have 10.244.N.0/24 and fd00:244:N::/64",
        "pods       frontend on node-1; backend-1, -2 and -3 each on the node of its number",
        "outside    203.0.113.9, a client without a route to pods; to cluster IPs it comes by node-1",
        "manifests  a copy of examples/two-tier, with its changes beside it",
        "proxyd     runs on every node: proxyd run $FLAGS; its other commands get the same flags",
        "FLAGS      --manifests manifests --node-name node-N --detect-local-mode NodeCIDR",
        "nc         stands for: send a line, print the server's name and the source it saw",
    ] {
        screen.line(line);
    }
}

fn names(places: &[Place]) -> String {
    match places {
        [] => "nobody".to_owned(),
        places => places.iter().map(|place| place.name).collect::<Vec<_>>().join(", "),
    }
}
