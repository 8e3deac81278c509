//! What the tests of this crate share: a compact notation for Services and endpoints, and one for
//! what became of them.
//!
//! ```text
//! service("np iTP=Local port=http:TCP:80:30080")    default/web, cluster IP 10.96.0.9
//! slice("web-1 of=web port=http:TCP:8080", "A@n1 R z:za,zb, B@n2 T+")
//! show(state)    TCP 10.96.0.9:80 ClusterIP default/web:http A,B
//! ```
//!
//! A letter is an endpoint address: `A` is 10.1.0.1 (fd00:1::1 in a slice marked `v6`), `B` the
//! next. `R` is ready, `U` neither ready nor terminating, `T+` serving while it terminates, `T-`
//! terminating without serving; `ready=`, `serving=` and `terminating=` spell single values.

mod input;
mod output;
mod scripted;
mod simulation;

pub(crate) use input::{
    address, desired, endpoints, node, number, resolution, server, service, slice,
};
pub(crate) use output::{letter, show, show_delta, show_pool, show_server};

pub(crate) use scripted::Scripted;
pub(crate) use simulation::{Simulation, at, numbered, removed};

use std::sync::Arc;

use crate::{Event, Model, ServiceKey};

/// The node that decides in every test.
pub(crate) const NODE: &str = "n1";

/// The key of a Service in the notation of [`service`].
pub(crate) fn key(text: &str) -> ServiceKey {
    let (namespace, name) = text.split_once('/').unwrap_or(("default", text));
    ServiceKey::new(namespace, name)
}

/// The event that delivers a Service.
pub(crate) fn service_event(text: &str) -> Event {
    Event::Service(Arc::new(service(text)))
}

/// The event that delivers a slice.
pub(crate) fn slice_event(header: &str, endpoints: &str) -> Event {
    Event::Slice(Arc::new(slice(header, endpoints)))
}

/// A model on `n1` in zone `za` with one address of each family for node ports.
pub(crate) fn model(events: impl IntoIterator<Item = Event>) -> Model {
    let mut model = Model::new(NODE);
    let _ = model.apply(Event::Node(Arc::new(node("n1 zone=za"))));
    let addresses = ["192.0.2.1", "2001:db8:1::1"].map(address).to_vec();
    let _ = model.apply(Event::NodePortAddresses(addresses));
    for event in events {
        let _ = model.apply(event);
    }
    model
}
