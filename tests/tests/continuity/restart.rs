//! The process dies at any moment, again and again.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rustix::process::Signal;
use tests::lab::{
    Application, Cluster, Daemon, Endpoint, KernelState, Manifests, Server, wait_until,
};

use super::traffic::{Pace, Traffic};

/// Numbers that look random, the same for the same seed (xorshift64*).
struct Dice(u64);

impl Dice {
    /// From `$SEED`, or the clock.
    fn throw() -> Self {
        let clock =
            || SystemTime::UNIX_EPOCH.elapsed().map_or(1, |it| u64::from(it.subsec_nanos()));
        let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(clock).max(1);
        eprintln!("SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % limit
    }
}

const RESTARTS: u64 = 50;

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn fifty_kills_at_random_moments_lose_nothing_while_servers_come_and_go() {
    let mut dice = Dice::throw();
    let cluster = Cluster::new(1);
    let node = cluster.node(1);
    let client = node.pod("client", 20);
    let pods = [10, 11, 12, 13].map(|host| node.pod(&format!("pod-{host}"), host));
    let _servers = pods.each_ref().map(|pod| Server::start(&pod.namespace, &pod.name, 8080));
    let manifests = Manifests::of_nodes();
    manifests.write("service.yaml", &Application::web().service());
    let write = |bits: u64| {
        let chosen = pods.iter().enumerate().filter(|(number, _)| bits >> number & 1 == 1);
        let endpoints: Vec<_> = chosen.map(|(_, pod)| Endpoint::from(pod)).collect();
        manifests.write("slices.yaml", &Application::web().slices(&endpoints));
    };
    write(0b1111);
    drop(Daemon::start(node, manifests.path()));
    let start = Instant::now();
    let mut daemon = Daemon::start(node, manifests.path());
    let usual = u64::try_from(start.elapsed().as_millis()).unwrap();
    let clients = [&client.namespace, &cluster.client];
    let traffic = Traffic::begin_both(clients, &Application::web(), Pace::Shared);
    let mut completed = 0;
    for _ in 0..RESTARTS {
        let life = Duration::from_millis(dice.below((2 * usual).min(900)));
        thread::sleep(life / 2);
        write(1 + dice.below(15));
        thread::sleep(life / 2);
        completed += usize::from(daemon.log().contains("synced everything"));
        daemon.stop(Signal::KILL);
        daemon = Daemon::spawn(&node.namespace, &node.name, manifests.path(), &[]);
    }
    write(0b0110);
    daemon.wait_for_log("synced everything");
    eprintln!("{completed} of {RESTARTS} had time to program everything; usual is {usual} ms");
    wait_until("two servers serve", Duration::from_secs(5), || {
        busy(&KernelState::of(&node.namespace))
            == BTreeSet::from(["10.244.1.11", "10.244.1.12"].map(str::to_owned))
    });
    for traffic in traffic {
        let _ = traffic.assert_unharmed();
    }
}

/// Servers over IPv4 with a weight, in any service.
fn busy(state: &KernelState) -> BTreeSet<String> {
    let lines =
        state.services.iter().filter(|line| line.starts_with("-a") && !line.ends_with("-w 0"));
    let server = |line: &String| {
        let server = line.split_whitespace().skip_while(|word| *word != "-r").nth(1)?;
        server.strip_suffix(":8080").filter(|it| !it.starts_with('[')).map(str::to_owned)
    };
    lines.filter_map(server).collect()
}
