//! What the kernel itself needs: the messages that a proxy sends it, encoded beforehand, sent in the
//! same batches of 256, and nothing else. No proxy that speaks netlink can be faster.

mod desired;
mod recorder;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use ipvs_backend::netlink::ipset::Ipset;
use ipvs_backend::netlink::ipvs::{Destination, DestinationId, Ipvs, Request, Service, ServiceId};
use ipvs_backend::netlink::route::Route;
use ipvs_backend::netlink::{Batch, Traffic};
use ipvs_backend::{IpvsBackend, IpvsConfig};
use proxy_core::{Backend as _, DesiredState, Protocol};
use tests::lab::Namespace;

use crate::kernel::{inventory, service};
use crate::percentiles::say_percentiles;
use crate::reading::{say, say_time};
use crate::size::Size;
use crate::stage;
use crate::usage::Usage;
use crate::workload::stranger;

pub(crate) use desired::expected;
use recorder::Sent;

/// Makes the kernel load its modules, so that nobody pays for that who is measured.
///
/// # Errors
/// When the kernel refuses something.
pub(crate) fn warm_up() -> anyhow::Result<()> {
    let sent = desired::messages(Size { services: 40, endpoints: 1 })?;
    let _ = fill(&bare_node(), sent, &Arc::default())?;
    // The packet filter's modules come with the static rules.
    bare_node().enter(|| {
        let mut backend = IpvsBackend::open(IpvsConfig::default())?;
        let _ = backend.resync(&DesiredState::new())?;
        Ok(())
    })
}

/// Fills an empty kernel.
///
/// # Errors
/// When the kernel refuses something.
pub(crate) fn cold(size: Size) -> anyhow::Result<()> {
    let sent = desired::messages(size)?;
    let node = bare_node();
    let traffic = Arc::new(Traffic::default());
    let (took, used) = fill(&node, sent, &traffic)?;
    say_time("lists to kernel", took);
    say_time("cpu", used.user + used.system);
    let counts = traffic.counts();
    say("mutations", counts.mutations, "messages");
    let found = inventory(&node)?;
    say("services", found.services.len(), "");
    say("destinations", found.destinations(), "");
    say("members", found.members, "");
    say("routes", found.routes, "");
    Ok(())
}

/// Changes a full kernel by one message at a time.
///
/// # Errors
/// When the kernel refuses something.
pub(crate) fn change(size: Size, changes: u32) -> anyhow::Result<()> {
    let sent = desired::messages(size)?;
    let node = bare_node();
    let traffic = Arc::new(Traffic::default());
    let _ = fill(&node, sent, &traffic)?;
    let address: IpAddr = "10.63.255.254".parse().context("an address")?;
    let id = service(Protocol::Tcp, address, 80);
    let times = node.enter(move || -> anyhow::Result<_> {
        let mut ipvs = Ipvs::open(traffic)?;
        let scheduler = "rr".try_into().map_err(|_| anyhow::anyhow!("rr is a name"))?;
        run(&mut ipvs, Request::AddService(Service::new(id, scheduler)))?;
        one_by_one(&mut ipvs, id, changes)
    })?;
    for (name, times) in ["added", "terminating", "removed"].into_iter().zip(times) {
        say_percentiles(&format!("endpoint {name}"), times);
    }
    Ok(())
}

fn one_by_one(ipvs: &mut Ipvs, id: ServiceId, changes: u32) -> anyhow::Result<[Vec<Duration>; 3]> {
    let mut times = [const { Vec::new() }; 3];
    for number in 0..changes {
        let server = DestinationId { address: stranger(number), port: 8080 };
        let requests = [
            Request::AddDestination(id, Destination::new(server, 1)),
            Request::SetDestination(id, Destination::new(server, 0)),
            Request::DeleteDestination(id, server),
        ];
        for (request, times) in requests.into_iter().zip(&mut times) {
            times.push(run(ipvs, request)?);
        }
    }
    Ok(times)
}

fn run(ipvs: &mut Ipvs, request: Request) -> anyhow::Result<Duration> {
    let mut batch = ipvs.encode(&[request]);
    let start = Instant::now();
    let answers = ipvs.send(&mut batch)?;
    let took = start.elapsed();
    for answer in answers {
        answer.map_err(std::io::Error::from).with_context(|| format!("{request:?}"))?;
    }
    Ok(took)
}

/// A node that no API server knows.
fn bare_node() -> Namespace {
    let node = stage::node();
    node.ip("link add eth0 type dummy
        link set eth0 up
        addr add 172.16.0.1/12 dev eth0
        addr add fd00:50::1/64 dev eth0 nodad");
    node
}

/// Messages of one family of netlink.
enum Prepared {
    Ipvs(Batch),
    Sets(Vec<Batch>),
    Routes(Batch),
}

/// Sends everything. Encoding is not in the time.
fn fill(
    node: &Namespace,
    sent: Vec<Sent>,
    traffic: &Arc<Traffic>,
) -> anyhow::Result<(Duration, Usage)> {
    let traffic = Arc::clone(traffic);
    node.enter(move || {
        let mut ipvs = Ipvs::open(Arc::clone(&traffic))?;
        let mut sets = Ipset::open(Arc::clone(&traffic))?;
        let mut routes = Route::open(Arc::clone(&traffic))?;
        let mut prepared = Vec::new();
        for sent in &sent {
            prepared.push(match sent {
                Sent::Ipvs(requests) => Prepared::Ipvs(ipvs.encode(requests)),
                Sent::Sets(requests) => Prepared::Sets(sets.encode(requests)?),
                Sent::Routes(requests) => Prepared::Routes(Route::encode(requests)),
            });
        }
        let before = Usage::of(std::process::id())?;
        let start = Instant::now();
        let mut refused = 0;
        for messages in &mut prepared {
            refused += match messages {
                Prepared::Ipvs(batch) => count_refused(ipvs.send(batch)?),
                Prepared::Routes(batch) => count_refused(routes.send(batch)?),
                Prepared::Sets(batches) => {
                    let mut refused = 0;
                    for batch in batches {
                        refused += count_refused(sets.send(batch)?);
                    }
                    refused
                }
            };
        }
        let took = start.elapsed();
        let used = Usage::of(std::process::id())?.since(before);
        ensure!(refused == 0, "the kernel refused {refused} messages");
        Ok((took, used))
    })
}

fn count_refused<E>(answers: Vec<Result<(), E>>) -> usize {
    answers.iter().filter(|answer| answer.is_err()).count()
}
