//! From a cluster to the messages that put it into a kernel, by the same path that the daemon takes.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, bail};
use ipvs_backend::netlink::Traffic;
use ipvs_backend::{IpvsBackend, IpvsConfig, NodeIps, NodePlan};
use proxy_core::reconciler::{Outcome, Reconciler, Schedule};
use proxy_core::{Event, Interner, Model, api};
use serde_json::Value;

use super::recorder::{Recorder, Recording, Sent};
use crate::size::Size;
use crate::stage::{NODE, NODE_IPS};

/// How many IPVS services and destinations there will be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) services: usize,
    pub(crate) destinations: usize,
}

/// What a cluster of a size comes to.
///
/// # Errors
/// When an object of it is not valid.
pub(crate) fn expected(size: Size) -> anyhow::Result<Expected> {
    use ipvs_backend::netlink::ipvs::Request;
    let mut expected = Expected::default();
    for sent in messages(size)? {
        let Sent::Ipvs(requests) = sent else { continue };
        for request in requests {
            match request {
                Request::AddService(_) => expected.services += 1,
                Request::AddDestination(..) => expected.destinations += 1,
                _ => {}
            }
        }
    }
    Ok(expected)
}

/// The messages for a cluster of a size, in order.
///
/// # Errors
/// When an object of it is not valid.
pub(super) fn messages(size: Size) -> anyhow::Result<Vec<Sent>> {
    let recording = Recording::default();
    let [ipv4, ipv6] = NODE_IPS.map(|ip| ip.parse().ok());
    let ips = NodeIps { ipv4, ipv6 };
    let config =
        IpvsConfig { node: NodePlan { ips, ..NodePlan::default() }, ..IpvsConfig::default() };
    let kernel = Recorder::new(&recording);
    let backend = IpvsBackend::with_kernel(config, kernel, Arc::new(Traffic::default()));
    let mut reconciler = Reconciler::new(backend, Model::new(NODE), Schedule::default());
    let now = Instant::now();
    let node_ports = [ipv4, ipv6].into_iter().flatten().collect();
    reconciler.handle(Event::NodePortAddresses(node_ports), now);
    let mut names = Interner::new();
    for object in size.population().objects() {
        if let Some(event) = event(object, &mut names)? {
            reconciler.handle(event, now);
        }
    }
    reconciler.start();
    match reconciler.step(now).outcome {
        Outcome::Resynced(report) if report.failed.is_empty() => Ok(recording.take()),
        other => bail!("everything was to be programmed, not {other:?}"),
    }
}

/// An object as the model is told of it; of Nodes only the own one.
fn event(object: Value, names: &mut Interner) -> anyhow::Result<Option<Event>> {
    let kind = object["kind"].as_str().unwrap_or_default().to_owned();
    if kind == "Node" && object["metadata"]["name"] != NODE {
        return Ok(None);
    }
    Ok(match &*kind {
        "Service" => {
            let service: api::Service = serde_json::from_value(object).context("a Service")?;
            service.parse(names).value.map(|value| Event::Service(Arc::new(value)))
        }
        "EndpointSlice" => {
            let slice: api::EndpointSlice = serde_json::from_value(object).context("a slice")?;
            slice.parse(names).value.map(|value| Event::Slice(Arc::new(value)))
        }
        "Node" => {
            let node: api::Node = serde_json::from_value(object).context("a Node")?;
            node.parse(names).value.map(|value| Event::Node(Arc::new(value)))
        }
        _ => None,
    })
}
