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
//! # From an object of the API to a served address
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Instant;
//!
//! use proxy_core::memory::MemoryBackend;
//! use proxy_core::reconciler::{Outcome, Reconciler, Schedule};
//! use proxy_core::{Event, Interner, Model, api};
//!
//! // Objects as the API spells them. With the feature `serde` they are read from JSON or YAML.
//! let service = api::Service {
//!     metadata: api::Metadata { name: Some("web".into()), ..Default::default() },
//!     spec: api::ServiceSpec {
//!         cluster_ip: Some("10.96.0.9".into()),
//!         ports: vec![api::ServicePort { port: Some(80), ..Default::default() }],
//!         ..Default::default()
//!     },
//!     ..Default::default()
//! };
//! let slice = |addresses: &[&str]| api::EndpointSlice {
//!     metadata: api::Metadata {
//!         name: Some("web-1".into()),
//!         labels: [("kubernetes.io/service-name".into(), "web".into())].into(),
//!         ..Default::default()
//!     },
//!     address_type: Some("IPv4".into()),
//!     ports: vec![api::EndpointPort { port: Some(8080), ..Default::default() }],
//!     endpoints: addresses
//!         .iter()
//!         .map(|&address| api::Endpoint { addresses: vec![address.into()], ..Default::default() })
//!         .collect(),
//! };
//!
//! // Parsing is the one door into the model. What is wrong with an object is said here.
//! let mut names = Interner::new();
//! let parsed = service.parse(&mut names);
//! assert!(parsed.rejections.is_empty() && parsed.warnings.is_empty());
//! let service = Event::Service(Arc::new(parsed.value.expect("it is valid")));
//! let mut endpoints = |addresses: &[&str]| {
//!     let parsed = slice(addresses).parse(&mut names);
//!     Event::Slice(Arc::new(parsed.value.expect("it is valid")))
//! };
//!
//! // The reconciler has no clock and no thread: it is told the time, and says when it is due.
//! let now = Instant::now();
//! let model = Model::new("node-1");
//! let mut reconciler = Reconciler::new(MemoryBackend::default(), model, Schedule::default());
//! reconciler.handle(service, now);
//! reconciler.handle(endpoints(&["10.244.1.7"]), now);
//! reconciler.start(); // The first lists are complete: the data plane may be told.
//! let step = reconciler.step(now);
//! assert!(matches!(step.outcome, Outcome::Resynced(_)));
//!
//! let served: Vec<_> = reconciler.backend().servers().values().collect();
//! assert_eq!(served.len(), 1);
//! assert_eq!(served[0].key.to_string(), "TCP 10.96.0.9:80");
//! assert_eq!(served[0].internal.servers[0].to_string(), "10.244.1.7:8080");
//!
//! // An endpoint more: only what changes is sent, as one whole virtual server.
//! reconciler.handle(endpoints(&["10.244.1.7", "10.244.2.3"]), now);
//! let Outcome::Applied { delta, report } = reconciler.step(now).outcome else { panic!() };
//! assert_eq!((delta.upserts.len(), delta.removals.len()), (1, 0));
//! assert_eq!(delta.upserts[0].internal.servers.len(), 2);
//! assert!(report.failed.is_empty(), "what is not listed as failed is in place");
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    expect(clippy::disallowed_methods, reason = "a simulated clock begins at some real instant")
)]

pub mod api;
mod backend;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod diff;
pub mod dry_run;
mod endpoint;
mod foreign;
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
mod repack;
pub mod resolve;
mod service;
mod sorted;
mod state;
#[cfg(test)]
mod test_support;
mod virtual_server;
pub mod why;

pub use backend::{
    Backend, BackendError, Capabilities, Drift, DriftKind, Extent, Failure, Feature, Inspect,
    Maintenance, ObjectError, Report,
};
pub use endpoint::{Conditions, Endpoint, EndpointSlice, Hints, SliceKey, SlicePort};
pub use foreign::{ForeignAddresses, Owner};
pub use model::{Event, Model};
pub use name::{Interner, Name, ObjectKey};
pub use net::{Family, Protocol};
pub use node::{Node, Tenure, ThisNode};
pub use rejection::{Conflict, ObjectRef, Rejection, Warning};
pub use repack::repack;
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
