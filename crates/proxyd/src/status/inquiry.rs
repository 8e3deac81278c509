//! What is asked of the driver: copies of what it knows, which cost it next to nothing, and a
//! comparison with the kernel. One question at a time.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use ipvs_backend::{IpvsConfig, NodeIps};
use proxy_core::reconciler::{Parked, Pending};
use proxy_core::why::Account;
use proxy_core::{
    Conflict, Drift, EndpointSlice, Name, Node, Service, ServiceKey, VirtualServer,
    VirtualServerKey, Warning,
};
use tokio::sync::oneshot::Sender;

use super::document::Repaired;
use crate::health::Now;
use crate::node_facts::Held;
use crate::source::Problem;

/// Something asked, and where the answer goes.
#[derive(Debug)]
pub(crate) enum Inquiry {
    /// What is known of so much.
    Know(Scope, Sender<Known>),
    /// Compare everything with the kernel now, mend it, and say what was done.
    Repair(Sender<Repaired>),
}

/// About what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Everything,
    Service(ServiceKey),
    /// What is decided from, in place of what is decided.
    Inputs,
}

/// What the driver knows at one moment. Objects are shared with it, not copied.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) now: Now,
    pub(crate) node: Name,
    pub(crate) started: Instant,
    /// Whether anything may be programmed.
    pub(crate) is_complete: bool,
    /// Why the kernel's state is not known.
    pub(crate) broken: Option<String>,
    pub(crate) last_change: Option<Instant>,
    pub(crate) last_comparison: Option<Instant>,
    pub(crate) pending: Pending,
    /// Steps that changed or compared something so far.
    pub(crate) revision: u64,
    pub(crate) drift_total: u64,
    /// The latest first.
    pub(crate) drift: Vec<(Instant, Drift)>,
    /// By key.
    pub(crate) servers: Vec<Served>,
    pub(crate) conflicts: Vec<Conflict>,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) parked: Vec<Parked>,
    pub(crate) failing: Vec<Failing>,
    pub(crate) problems: Vec<Problem>,
    /// What the backend is told of this node.
    pub(crate) config: IpvsConfig,
    /// If one Service is asked for, and known.
    pub(crate) detail: Option<Detail>,
    /// If they are asked for.
    pub(crate) inputs: Option<Inputs>,
}

/// A virtual server, its Service, and when it changed.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    pub(crate) server: Arc<VirtualServer>,
    /// Gone already if its removal is still to be carried out.
    pub(crate) service: Option<Arc<Service>>,
    pub(crate) changed: Option<Instant>,
}

/// An object that cannot be brought to its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failing {
    pub(crate) server: Option<VirtualServerKey>,
    pub(crate) object: String,
    pub(crate) words: String,
}

/// More about one Service.
#[derive(Clone, Debug)]
pub(crate) struct Detail {
    pub(crate) account: Account,
    pub(crate) slices: Vec<Arc<EndpointSlice>>,
}

/// What the driver decides from.
#[derive(Clone, Debug)]
pub(crate) struct Inputs {
    pub(crate) services: Vec<Arc<Service>>,
    pub(crate) slices: Vec<Arc<EndpointSlice>>,
    /// In no particular order.
    pub(crate) nodes: Vec<Arc<Node>>,
    /// Addresses of API servers that were given.
    pub(crate) api_servers: Vec<IpAddr>,
    pub(crate) held: Vec<Held>,
    pub(crate) node_ips: NodeIps,
}
