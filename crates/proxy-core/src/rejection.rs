//! What a proxy says about input it could not use, or used although it is probably not meant so.

use std::fmt;

use crate::{FrontendKind, ObjectKey, ServiceKey, VirtualServerKey};

/// An input object by kind and key. Written `Service default/web`, or `Node n1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectRef {
    /// A Service.
    Service(ObjectKey),
    /// An EndpointSlice.
    EndpointSlice(ObjectKey),
    /// A Node, by name.
    Node(String),
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(key) => write!(f, "Service {key}"),
            Self::EndpointSlice(key) => write!(f, "EndpointSlice {key}"),
            Self::Node(name) => write!(f, "Node {name}"),
        }
    }
}

/// A field whose value cannot be used. As little as safety allows goes unused with it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rejection {
    /// The object.
    pub object: ObjectRef,
    /// Path of the field, as the API writes it: `spec.ports[0].port`.
    pub field: String,
    /// The value as it was given.
    pub value: String,
    /// Why it cannot be used, what happens instead, and the remedy.
    pub reason: String,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {:?}: {}", self.object, self.field, self.value, self.reason)
    }
}

/// Something that works, but hardly as its author meant it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Warning {
    /// The object.
    pub object: ObjectRef,
    /// What will surprise its author.
    pub reason: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.object, self.reason)
    }
}

/// Two Services claim one address, protocol and port. The owner is served there, the loser is not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Conflict {
    /// What both claim.
    pub key: VirtualServerKey,
    /// The kind of frontend that the loser does not get.
    pub kind: FrontendKind,
    /// The Service that is served.
    pub owner: ServiceKey,
    /// The Service that is not.
    pub loser: ServiceKey,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} belongs to {}, not to {}", self.kind, self.key, self.owner, self.loser)
    }
}
