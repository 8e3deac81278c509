//! What the daemon decides from: the document of `/v1/objects`. Its names are an interface: fields
//! are only ever added.
//!
//! It is a list of objects as the API spells them, which any tool reads that reads manifests, with
//! what the node knows of itself beside them. Whoever has it decides as the node does, elsewhere.

use std::borrow::Cow;
use std::net::IpAddr;

use proxy_core::{Family, ObjectRef, ServiceKey, SliceKey, api};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::compose::moment;
use super::document::Moment;
use super::inquiry::{Inputs, Known};
use crate::health::Now;
use crate::node_facts::Held;
use crate::source::{self, Problem, Severity};

/// A `List`, and the node's side of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Objects {
    api_version: Cow<'static, str>,
    kind: Cow<'static, str>,
    /// Not Kubernetes', and ignored by its tools.
    pub(crate) proxyd: OwnSide,
    /// Services, EndpointSlices and Nodes, by kind, namespace and name.
    items: Vec<Item>,
}

/// What a node knows of itself.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OwnSide {
    pub(crate) as_of: Moment,
    /// Its name.
    pub(crate) node: String,
    /// A KubeProxyConfiguration: what is in effect.
    pub(crate) configuration: Value,
    /// The addresses of its interfaces.
    pub(crate) addresses: Vec<Held>,
    /// Where its own connections to virtual servers come from.
    #[serde(rename = "nodeIPs")]
    pub(crate) node_ips: Vec<IpAddr>,
    /// Of API servers, besides the endpoints of Service `default/kubernetes`.
    pub(crate) api_servers: Vec<IpAddr>,
    /// What is wrong with objects and files. It does not follow from the items: they are without it.
    problems: Vec<Trouble>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Item {
    Service(Versioned<api::Service>),
    EndpointSlice(Versioned<api::EndpointSlice>),
    Node(Versioned<api::Node>),
}

#[derive(Debug, Serialize, Deserialize)]
struct Versioned<T> {
    #[serde(rename = "apiVersion")]
    api_version: Cow<'static, str>,
    #[serde(flatten)]
    object: T,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Trouble {
    severity: Severity,
    object: String,
    about: Option<Reference>,
    field: String,
    value: String,
    reason: String,
}

/// An object's kind and name.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Reference {
    Service { namespace: String, name: String },
    EndpointSlice { namespace: String, name: String },
    Node { name: String },
}

impl Objects {
    /// The document at the moment `now`.
    pub(super) fn new(known: &Known, inputs: &Inputs, configuration: Value, now: Now) -> Self {
        let ips = Family::ALL.map(|family| inputs.node_ips.of(family));
        Self {
            api_version: "v1".into(),
            kind: "List".into(),
            proxyd: OwnSide {
                as_of: moment(known.now.steady, now),
                node: known.node.to_string(),
                configuration,
                addresses: inputs.held.clone(),
                node_ips: ips.into_iter().flatten().collect(),
                api_servers: inputs.api_servers.clone(),
                problems: known.problems.iter().map(Trouble::from).collect(),
            },
            items: items(inputs),
        }
    }

    /// The objects, and what is wrong with them.
    pub(crate) fn into_parts(self) -> (OwnSide, Vec<source::Object>, Vec<Problem>) {
        let Self { mut proxyd, items, .. } = self;
        let problems = std::mem::take(&mut proxyd.problems);
        let problems = problems.into_iter().map(Problem::from).collect();
        (proxyd, items.into_iter().map(source::Object::from).collect(), problems)
    }
}

fn items(inputs: &Inputs) -> Vec<Item> {
    let services = inputs.services.iter().map(|it| Item::Service(versioned("v1", (&**it).into())));
    let slices = inputs.slices.iter();
    let slices =
        slices.map(|it| Item::EndpointSlice(versioned("discovery.k8s.io/v1", (&**it).into())));
    let mut nodes: Vec<_> = inputs.nodes.iter().collect();
    nodes.sort_unstable_by(|one, two| one.name.cmp(&two.name));
    let nodes = nodes.into_iter().map(|it| Item::Node(versioned("v1", (&**it).into())));
    services.chain(slices).chain(nodes).collect()
}

const fn versioned<T>(api_version: &'static str, object: T) -> Versioned<T> {
    Versioned { api_version: Cow::Borrowed(api_version), object }
}

impl From<Item> for source::Object {
    fn from(item: Item) -> Self {
        match item {
            Item::Service(service) => Self::Service(Box::new(service.object)),
            Item::EndpointSlice(slice) => Self::Slice(slice.object),
            Item::Node(node) => Self::Node(node.object),
        }
    }
}

impl From<&Problem> for Trouble {
    fn from(problem: &Problem) -> Self {
        let Problem { severity, object, about, field, value, reason } = problem.clone();
        let about = about.map(|about| match about {
            ObjectRef::Service(key) => Reference::Service {
                namespace: key.namespace.to_string(),
                name: key.name.to_string(),
            },
            ObjectRef::EndpointSlice(key) => Reference::EndpointSlice {
                namespace: key.namespace.to_string(),
                name: key.name.to_string(),
            },
            ObjectRef::Node(name) => Reference::Node { name },
        });
        Self { severity, object, about, field, value, reason }
    }
}

impl From<Trouble> for Problem {
    fn from(trouble: Trouble) -> Self {
        let Trouble { severity, object, about, field, value, reason } = trouble;
        let about = about.map(|about| match about {
            Reference::Service { namespace, name } => {
                ObjectRef::Service(ServiceKey::new(namespace, name))
            }
            Reference::EndpointSlice { namespace, name } => {
                ObjectRef::EndpointSlice(SliceKey::new(namespace, name))
            }
            Reference::Node { name } => ObjectRef::Node(name),
        });
        Self { severity, object, about, field, value, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_come_back_with_what_they_are_about() {
        let key = ServiceKey::new("shop", "web");
        for about in [
            None,
            Some(ObjectRef::Service(key.clone())),
            Some(ObjectRef::EndpointSlice(key)),
            Some(ObjectRef::Node("n1".to_owned())),
        ] {
            let problem = Problem {
                about,
                field: "spec.externalIPs[0]".to_owned(),
                value: "bogus".to_owned(),
                ..Problem::new(Severity::Rejected, "Service shop/web", "is no address".to_owned())
            };
            let written = serde_json::to_string(&Trouble::from(&problem)).unwrap();
            let read: Trouble = serde_json::from_str(&written).unwrap();
            assert_eq!(Problem::from(read), problem, "{written}");
        }
    }
}
