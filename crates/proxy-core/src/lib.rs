//! Decides what one node forwards for Kubernetes Services, and keeps a data plane at it.
//!
//! Values in, values out: no I/O, no clock, no threads, no async, no Kubernetes client, no unsafe.
//! Where the objects come from and what forwards the packets is up to you.
//!
//! # The path of one change
//!
//! | step | type | what happens |
//! |---|---|---|
//! | an object becomes known | [`Event`] | made from text by [`api`], which rejects what is invalid by object, field and value |
//! | it is remembered | [`Model::apply`] | says which Services it concerns, and looks at no other |
//! | endpoints are chosen | [`policy::select`] | readiness, traffic policies, topology hints, fallback to terminating endpoints |
//! | frontends get their lists | [`resolve::resolve`] | one [`VirtualServer`] for each address, protocol and port |
//! | the whole is compared | [`DesiredState::replace`] | a [`Delta`]; two Services on one frontend are settled and reported |
//! | the data plane is told | [`Backend::apply`] | answers with a [`Report`], failures object by object |
//!
//! [`reconciler::Reconciler`] walks this path, tries again what failed, resyncs after any lost
//! certainty, and audits. It is told the time and says when to be called next.
//!
//! A virtual server has two audiences. Clients outside the cluster are served by its `external`
//! pool, pods and nodes by its `internal` pool; the two differ only where
//! `externalTrafficPolicy: Local` makes them.
//!
//! # Bring your own data plane
//!
//! Implement [`Backend`]: four methods, or five. Its documentation lists what callers rely on, and
//! the `conformance` feature has the suite that checks it. [`memory::MemoryBackend`] is the
//! reference.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Instant;
//!
//! use proxy_core::api;
//! use proxy_core::memory::MemoryBackend;
//! use proxy_core::reconciler::{Reconciler, Schedule};
//! use proxy_core::{Event, Interner, Model};
//!
//! # fn main() {
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod api;
mod backend;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod diff;
pub mod dry_run;
mod endpoint;
pub mod memory;
pub mod metered;
mod model;
mod name;
mod net;
mod node;
pub mod policy;
#[cfg(test)]
mod properties;
pub mod reconciler;
mod rejection;
pub mod resolve;
mod service;
mod state;
#[cfg(test)]
mod test_support;
mod virtual_server;

pub use backend::{
    Backend, BackendError, Capabilities, Drift, DriftKind, Failure, Feature, Inspect, ObjectError,
    Report,
};
pub use endpoint::{Conditions, Endpoint, EndpointSlice, Hints, SliceKey, SlicePort};
pub use model::{Event, Model};
pub use name::{Interner, Name, ObjectKey};
pub use net::{Family, Protocol};
pub use node::{Node, ThisNode};
pub use rejection::{Conflict, ObjectRef, Rejection, Warning};
pub use resolve::{HealthCheck, Resolution};
pub use service::{
    Admission, ClusterIps, Service, ServiceKey, ServiceKind, ServicePort, ServicePortName,
    SourceRanges, TrafficPolicy, Tuning, VipChoice, WeightRule, WeightSelector,
};
pub use state::{Delta, DesiredState};
pub use virtual_server::{
    FrontendKind, Locality, Pool, Priority, RealServer, Scheduler, SchedulerFlags, SessionAffinity,
    SourceAddress, UnknownScheduler, Vip, VirtualServer, VirtualServerKey, WhenEmpty,
};
