//! Kinds of objects that a proxy needs, and which of their objects.

use std::fmt;

use proxy_core::ObjectRef;

use crate::config::WatchedNodes;
use crate::metrics::Resource;

/// A kind of object, in the words of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Services,
    EndpointSlices,
    Nodes,
}

impl Kind {
    pub(super) const fn is_of(self, object: &ObjectRef) -> bool {
        matches!(
            (self, object),
            (Self::Services, ObjectRef::Service(_))
                | (Self::EndpointSlices, ObjectRef::EndpointSlice(_))
                | (Self::Nodes, ObjectRef::Node(_))
        )
    }
}

impl Kind {
    /// As metrics call it.
    pub(super) const fn resource(self) -> Resource {
        match self {
            Self::Services => Resource::Services,
            Self::EndpointSlices => Resource::EndpointSlices,
            Self::Nodes => Resource::Nodes,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Services => "Services",
            Self::EndpointSlices => "EndpointSlices",
            Self::Nodes => "Nodes",
        })
    }
}

/// Which objects are watched: the API server leaves out the others.
#[derive(Clone, Debug)]
pub(super) struct Selection {
    pub(super) kind: Kind,
    pub(super) labels: Option<String>,
    pub(super) fields: Option<String>,
}

impl Selection {
    /// Services that no other proxy claims, without headless ones.
    pub(super) fn services() -> Self {
        let labels = Some("!service.kubernetes.io/service-proxy-name".to_owned());
        Self { kind: Kind::Services, labels, fields: Some("spec.clusterIP!=None".to_owned()) }
    }

    /// Slices of Services that are not headless.
    pub(super) fn slices() -> Self {
        let labels = Some("!service.kubernetes.io/headless".to_owned());
        Self { kind: Kind::EndpointSlices, labels, fields: None }
    }

    /// None of these: who asks for it learns only what version the API server is at.
    pub(super) fn nothing(&self) -> Self {
        let mut nothing = self.clone();
        let mut fields = nothing.fields.take().unwrap_or_default();
        if !fields.is_empty() {
            fields.push(',');
        }
        // A dash is no name.
        nothing.fields = Some(fields + "metadata.name=-");
        nothing
    }

    /// The Node of this name, or all.
    pub(super) fn nodes(watched: WatchedNodes, own: &str) -> Self {
        let fields = match watched {
            WatchedNodes::Own => Some(format!("metadata.name={own}")),
            WatchedNodes::All => None,
        };
        Self { kind: Kind::Nodes, labels: None, fields }
    }
}
