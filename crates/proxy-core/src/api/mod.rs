//! Objects as the Kubernetes API spells them, and the way from there into the model.
//!
//! The structs here hold only what a proxy reads, as unchecked text and numbers, all of it
//! optional; with the cargo feature `serde` they are read and written as JSON and YAML. `parse` is the
//! one door into
//! the model: what passes is valid for good, what does not is a [`Rejection`] that names object,
//! field and value. As little as safety allows is rejected: one bad external IP costs that
//! address, a bad cluster IP the Service. `From` leads back: what the model knows, as objects.
//!
//! Nothing here does I/O or knows a Kubernetes client.
//!
//! ```
//! use proxy_core::{Interner, api};
//!
//! let service = api::Service {
//!     metadata: api::Metadata { name: Some("web".into()), ..Default::default() },
//!     spec: api::ServiceSpec {
//!         cluster_ip: Some("10.96.0.9".into()),
//!         external_ips: vec!["203.0.113.5".into(), "2001:db8::5".into()],
//!         ports: vec![api::ServicePort { port: Some(80), ..Default::default() }],
//!         ..Default::default()
//!     },
//!     ..Default::default()
//! };
//! let parsed = service.parse(&mut Interner::new());
//! assert_eq!(parsed.value.expect("it is valid").key.to_string(), "default/web");
//! assert_eq!(parsed.warnings.len(), 1, "there is no IPv6 cluster IP");
//! ```

mod addresses;
mod cluster_ips;
mod findings;
mod node;
mod object;
mod ports;
mod ranges;
mod rfc3339;
#[cfg(feature = "serde")]
mod serde_object;
mod service;
mod slice;
#[cfg(test)]
mod testing;
mod text;
mod tuning;
mod unparse;
mod weights;

pub use object::{
    ClientIpConfig, Endpoint, EndpointConditions, EndpointHints, EndpointPort, EndpointSlice,
    HintName, Ingress, LoadBalancerStatus, Metadata, Node, NodeAddress, NodeSpec, NodeStatus,
    Service, ServicePort, ServiceSpec, ServiceStatus, SessionAffinityConfig, Taint,
};
pub use text::parse_duration;
pub use tuning::ANNOTATION_PREFIX;

use std::fmt;

use crate::{Rejection, Warning};

/// What became of an object.
///
/// No value and no rejection: the object is valid and not for a proxy (a headless Service, say).
/// No value and a rejection: it would be for a proxy, but cannot be used at all.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Parsed<T> {
    /// The object in the model's types.
    pub value: Option<T>,
    /// Fields whose value cannot be used.
    pub rejections: Vec<Rejection>,
    /// What works, but hardly as its author meant it.
    pub warnings: Vec<Warning>,
    /// Why a Service that could be used is none that this proxy serves.
    pub not_ours: Option<NotOurs>,
}

/// Why a Service is not served by this proxy, although nothing is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NotOurs {
    /// It is labelled for another proxy, with this name.
    OtherProxy(String),
    /// `spec.type` is `ExternalName`: it is a name in DNS.
    ExternalName,
    /// `spec.clusterIP` is `None`: DNS tells its endpoints.
    Headless,
    /// It has no cluster IP yet.
    NoClusterIp,
}

impl fmt::Display for NotOurs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherProxy(name) => {
                write!(f, "its label {} {name:?} gives it to another proxy", service::OTHER_PROXY)
            }
            Self::ExternalName => {
                f.write_str("spec.type is ExternalName: it is a name in DNS, without frontends")
            }
            Self::Headless => f.write_str(
                "spec.clusterIP is None: it is headless, DNS tells its endpoints and it has no \
                 frontends",
            ),
            Self::NoClusterIp => f.write_str("it has no cluster IP; set spec.clusterIP"),
        }
    }
}
