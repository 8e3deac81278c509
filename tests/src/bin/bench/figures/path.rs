//! New connections from a client outside to a server behind the node: through a Service, and
//! directly.

use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use proxy_core::Protocol;
use rustix::net::sockopt::set_socket_linger;
use serde_json::json;
use tests::lab::Namespace;

use super::change::PATIENCE;
use super::cold::{Served, serve};
use crate::kernel::{Kernel, service};
use crate::percentiles::say_percentiles;
use crate::reading::say;
use crate::size::Size;
use crate::stage::{self, Audits};
use crate::workload::{Condition, Plain, endpoint};

const POD: Ipv4Addr = Ipv4Addr::new(10, 255, 255, 2);
/// The port behind the Service, and another: connections to one by both ways, from the same port of
/// the client, would be the same to the connection tracker.
const SERVED: u16 = 8080;
const DIRECT: u16 = 8081;
const VIRTUAL: Ipv4Addr = Ipv4Addr::new(10, 63, 255, 1);
/// Rounds that the time is shared out to.
const ROUNDS: u32 = 3;

/// A client and a server, with the node between them.
struct Line {
    client: Namespace,
    _pod: Namespace,
}

impl Line {
    fn new(node: &Namespace) -> anyhow::Result<Self> {
        let (client, pod) = (Namespace::new("client"), Namespace::new("pod"));
        node.ip(&format!(
            "link add outside type veth peer name eth0 netns {}
            link set outside up
            addr add 192.0.2.1/24 dev outside
            link add pod type veth peer name eth0 netns {}
            link set pod up
            addr add 10.255.255.1/32 dev pod
            route add {POD}/32 dev pod",
            client.name(),
            pod.name()
        ));
        client.ip("link set eth0 up
            addr add 192.0.2.9/24 dev eth0
            route add default via 192.0.2.1");
        pod.ip(&format!(
            "link set eth0 up
            addr add {POD}/32 dev eth0
            route add 10.255.255.1 dev eth0
            route add default via 10.255.255.1"
        ));
        for port in [SERVED, DIRECT] {
            let listener = pod.enter(move || TcpListener::bind((POD, port)));
            let listener = listener.context("listen in the pod")?;
            thread::spawn(move || listener.incoming().for_each(drop_when_closed));
        }
        Ok(Self { client, _pod: pod })
    }

    /// Connects for a while, one after another, and says how many that were and how long each took.
    fn connect(&self, name: &str, target: SocketAddr, period: Duration) -> anyhow::Result<()> {
        let times = self.client.enter(move || -> anyhow::Result<_> {
            let mut times = Vec::new();
            let start = Instant::now();
            while start.elapsed() < period {
                let begin = Instant::now();
                let stream = TcpStream::connect_timeout(&target, Duration::from_secs(5))
                    .with_context(|| format!("connect to {target}"))?;
                times.push(begin.elapsed());
                // A reset leaves nothing behind that would fill the client's ports.
                set_socket_linger(&stream, Some(Duration::ZERO))?;
            }
            Ok(times)
        })?;
        let rate = times.len() as f64 / period.as_secs_f64();
        say(&format!("{name} rate"), rate, "connections/s");
        say_percentiles(&format!("{name} first packet"), times);
        Ok(())
    }
}

/// Takes a connection until the client closes it.
fn drop_when_closed(stream: std::io::Result<TcpStream>) {
    if let Ok(mut stream) = stream {
        let _ = stream.read(&mut [0]);
    }
}

/// Measures connections that no proxy has to do with.
///
/// # Errors
/// When one cannot be made.
pub(crate) fn direct(period: Duration) -> anyhow::Result<()> {
    let node = stage::node();
    Line::new(&node)?.connect("direct", (POD, DIRECT).into(), period)
}

/// Measures connections through a Service, in turns with direct ones.
///
/// # Errors
/// When one cannot be made.
pub(crate) fn path(program: &Path, size: Size, period: Duration) -> anyhow::Result<()> {
    let Served { stage, proxy: _proxy } = serve(program, size, Audits::Rare)?;
    let line = Line::new(&stage.node)?;
    let mut plain = Plain::all(&stage.population).next().context("there are Services")?.another(1);
    plain.service["spec"]["clusterIP"] = VIRTUAL.to_string().into();
    plain.service["spec"]["clusterIPs"] = json!([VIRTUAL]);
    plain.slice["endpoints"] = json!([endpoint(POD.into(), Condition::Ready)]);
    let _ = stage.api.apply(&plain.slice);
    let id = service(Protocol::Tcp, VIRTUAL.into(), 80);
    let change = || {
        let _ = stage.api.apply(&plain.service);
    };
    let mut kernel = Kernel::of(&stage.node)?;
    let served = kernel.after(change, PATIENCE, |kernel| !kernel.active(&id).is_empty());
    if served.is_none() {
        bail!("the Service is not served");
    }
    thread::sleep(Duration::from_millis(200));
    for _ in 0..ROUNDS {
        line.connect("direct", (POD, DIRECT).into(), period / ROUNDS)?;
        line.connect("service", (VIRTUAL, 80).into(), period / ROUNDS)?;
    }
    Ok(())
}
