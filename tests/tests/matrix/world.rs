//! The cluster that every row is about.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tests::lab::{
    Application, Client, Cluster, Daemon, Endpoint, Manifests, Namespace, Node, Pod, Refusal,
    Server, Transport,
};

use crate::table::Who;

/// Two nodes and who lives there. Everything is seen from node 1: a daemon runs there, and others
/// send what is for external IPs, load-balancer IPs and node ports to it.
///
/// | word | who it is, as a client or by its address |
/// |---|---|
/// | `here` | a server in a pod of node 1; as a client it may get itself as its server |
/// | `there` | a server in a pod of node 2 |
/// | `pod` | a pod of node 1 |
/// | `peer` | a pod of node 2; it calls cluster IPs through a daemon on its own node |
/// | `node` | node 1 itself, by its address on the fabric |
/// | `gateway` | node 1, by its address at the links to its pods |
/// | `node2`, `gateway2` | the same of node 2 |
/// | `outside` | a client outside the cluster |
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) manifests: Manifests,
    pub(crate) pod: Pod,
    pub(crate) peer: Pod,
    pub(crate) here: Pod,
    pub(crate) there: Pod,
    _servers: [Server; 2],
    daemon: Option<Daemon>,
    /// What the daemon on a node was told.
    told: Mutex<BTreeMap<u8, Vec<String>>>,
}

/// On node 1.
pub(crate) const HERE: Endpoint = Endpoint::new(1, 10);

/// On node 2.
pub(crate) const THERE: Endpoint = Endpoint::new(2, 10);

/// What takes longer was not refused at once: the second try of a TCP client whose first one got no
/// answer comes after a second.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Servers take turns, so that two askings find both.
const ASKINGS: usize = 3;

impl World {
    /// The cluster, without daemons.
    pub(crate) fn new() -> Self {
        let cluster = Cluster::new(2);
        let [one, two] = [cluster.node(1), cluster.node(2)];
        let (pod, peer) = (one.pod("pod", 20), two.pod("peer", 20));
        let (here, there) = (one.pod("here", 10), two.pod("there", 10));
        // Otherwise a client hears of no more than a refusal a second, after the first few.
        for limit in ["net.ipv4.icmp_ratelimit", "net.ipv6.icmp.ratelimit"] {
            one.namespace.sysctl(limit, "0");
        }
        for namespace in [&cluster.client, &two.namespace] {
            namespace.ip("route add 198.51.100.0/24 via 192.168.50.11
                route add 192.0.2.0/24 via 192.168.50.11
                route add 2001:db8:e::/64 via fd00:50::11
                route add 2001:db8:b::/64 via fd00:50::11");
        }
        let servers = [&here, &there].map(|pod| Server::start(&pod.namespace, &pod.name, 8080));
        let manifests = Manifests::of_nodes();
        let (daemon, told) = (None, Mutex::default());
        Self { cluster, manifests, pod, peer, here, there, _servers: servers, daemon, told }
    }

    /// The cluster with a daemon on node 1 that serves these Services.
    pub(crate) fn serving(services: &[(&Application, &[Endpoint])]) -> Self {
        Self::serving_with(&[], services)
    }

    /// The same; the daemon gets `arguments`.
    pub(crate) fn serving_with(
        arguments: &[&str],
        services: &[(&Application, &[Endpoint])],
    ) -> Self {
        Self::new().serve(arguments, services)
    }

    /// Starts a daemon on node 1 that serves these Services.
    pub(crate) fn serve(
        mut self,
        arguments: &[&str],
        services: &[(&Application, &[Endpoint])],
    ) -> Self {
        for (number, (application, endpoints)) in services.iter().enumerate() {
            self.manifests.write(&format!("{number}.yaml"), &application.objects(endpoints));
        }
        self.daemon = Some(self.daemon_on(1, arguments));
        self
    }

    /// A daemon on a node, which has programmed everything.
    pub(crate) fn daemon_on(&self, node: u8, arguments: &[&str]) -> Daemon {
        let Node { namespace, name, .. } = self.cluster.node(node);
        let daemon = Daemon::spawn(namespace, name, self.manifests.path(), arguments);
        daemon.wait_for_log("synced everything");
        let arguments = arguments.iter().map(|&text| text.to_owned()).collect();
        self.told.lock().expect("nobody panics with it").insert(node, arguments);
        daemon
    }

    /// What the daemon on a node was told; none if there is no daemon.
    pub(crate) fn told(&self, node: u8) -> Option<Vec<String>> {
        self.told.lock().expect("nobody panics with it").get(&node).cloned()
    }

    /// Node 1.
    pub(crate) fn node(&self) -> &Node {
        self.cluster.node(1)
    }

    /// Changes the first Service, and waits until the daemon on node 1 did what that takes.
    pub(crate) fn change(&self, application: &Application, endpoints: &[Endpoint]) {
        const DONE: &str = "synced changed=";
        let daemon = self.daemon.as_ref().expect("a daemon was started with Services");
        let before = daemon.log().lines().filter(|line| line.contains(DONE)).count();
        self.manifests.write("0.yaml", &application.objects(endpoints));
        daemon.wait_for_log_times(DONE, before + 1);
    }

    /// Where a client lives.
    pub(crate) fn namespace(&self, who: Who) -> &Namespace {
        match who {
            Who::Pod => &self.pod.namespace,
            Who::Peer => &self.peer.namespace,
            Who::Node => &self.node().namespace,
            Who::Here => &self.here.namespace,
            Who::Outside => &self.cluster.client,
        }
    }

    /// What a client gets, in the words of the table, sorted.
    pub(crate) fn outcome(
        &self,
        client: Who,
        target: SocketAddr,
        transport: Transport,
    ) -> Vec<String> {
        let mut outcome = BTreeSet::new();
        for _ in 0..ASKINGS {
            let begin = Instant::now();
            match Client::in_namespace(self.namespace(client)).ask(target, transport) {
                Ok(answer) => {
                    outcome.insert(format!("{} saw {}", answer.server, self.word(answer.source)));
                }
                Err(Refusal::Refused) if begin.elapsed() > AT_ONCE => {
                    outcome.insert(format!("refused after {:?}", begin.elapsed()));
                }
                Err(refusal) => {
                    outcome.insert(refusal.to_string());
                    break;
                }
            }
        }
        outcome.into_iter().collect()
    }

    /// The word for an address.
    pub(crate) fn word(&self, address: IpAddr) -> String {
        let [one, two] = [self.cluster.node(1), self.cluster.node(2)];
        let outside = match address {
            IpAddr::V4(_) => "203.0.113.9",
            IpAddr::V6(_) => "2001:db8:9::9",
        };
        let words = [
            ("here", self.here.address_for(address)),
            ("there", self.there.address_for(address)),
            ("pod", self.pod.address_for(address)),
            ("peer", self.peer.address_for(address)),
            ("node", one.address_for(address)),
            ("gateway", one.gateway_for(address)),
            ("node2", two.address_for(address)),
            ("gateway2", two.gateway_for(address)),
            ("outside", outside.parse().expect("an address")),
        ];
        let word = words.iter().find(|(_, known)| *known == address);
        word.map_or_else(|| address.to_string(), |(word, _)| (*word).to_owned())
    }
}
