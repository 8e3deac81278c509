//! Input vocabulary: EndpointSlices and their endpoints, already valid (see [`crate::api`]).

use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::SystemTime;

use crate::{Family, Name, ObjectKey, Protocol, ServiceKey};

/// Namespace and name of an EndpointSlice.
pub type SliceKey = ObjectKey;

/// A part of one Service's endpoints in one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSlice {
    /// Namespace and name. The slice keeps this identity when it moves to another Service.
    pub key: SliceKey,
    /// Name of the Service, from the label `kubernetes.io/service-name`; same namespace.
    pub service: Name,
    /// `addressType`; every endpoint address is of this family.
    pub family: Family,
    /// The ports that each endpoint has.
    pub ports: Vec<SlicePort>,
    /// The endpoints.
    pub endpoints: Box<[Endpoint]>,
    /// When the last change behind the slice happened (annotation
    /// `endpoints.kubernetes.io/last-change-trigger-time`). It decides nothing; how long it took
    /// until the change was in place is measured from here.
    pub triggered: Option<SystemTime>,
}

impl EndpointSlice {
    /// Key of the Service this slice belongs to.
    #[must_use]
    pub fn service_key(&self) -> ServiceKey {
        ServiceKey { namespace: self.key.namespace.clone(), name: self.service.clone() }
    }
}

/// A port of a slice. It serves the Service port of the same name and protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlicePort {
    /// Name of the Service port; empty is a name too.
    pub name: Name,
    /// The transport protocol.
    pub protocol: Protocol,
    /// The port number at the endpoint, whatever the Service's `targetPort` says.
    pub port: NonZeroU16,
}

/// One address behind a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `addresses[0]`.
    pub address: IpAddr,
    /// `conditions`, nil values resolved.
    pub conditions: Conditions,
    /// `nodeName`. An endpoint without one is never local.
    pub node: Option<Name>,
    /// `zone`; shown to people and matched by weights, never used to choose endpoints.
    pub zone: Option<Name>,
    /// `hints`, if any name is in them.
    pub hints: Option<Arc<Hints>>,
}

/// Conditions of an endpoint. The three are independent: none is derived from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conditions {
    /// It takes new connections. Absent in the API means true.
    pub ready: bool,
    /// It still answers, whether or not it is terminating. Absent in the API means true.
    pub serving: bool,
    /// It is going away. Absent in the API means false.
    pub terminating: bool,
}

impl Conditions {
    /// Resolves absent values as EndpointSlice `v1` defines them.
    #[must_use]
    pub const fn from_api(
        ready: Option<bool>,
        serving: Option<bool>,
        terminating: Option<bool>,
    ) -> Self {
        Self {
            ready: !matches!(ready, Some(false)),
            serving: !matches!(serving, Some(false)),
            terminating: matches!(terminating, Some(true)),
        }
    }

    /// Good enough to fall back to when nothing is ready (KEP-1669).
    #[must_use]
    pub const fn serving_terminating(self) -> bool {
        self.serving && self.terminating
    }

    /// May be used at all: ready, or serving while it terminates.
    #[must_use]
    pub const fn usable(self) -> bool {
        self.ready || self.serving_terminating()
    }
}

/// For whom an endpoint is meant (`hints.forZones`, KEP-2433; `hints.forNodes`, KEP-3015).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Hints {
    /// Zones whose clients should use the endpoint.
    pub zones: Vec<Name>,
    /// Nodes whose clients should use the endpoint.
    pub nodes: Vec<Name>,
}
