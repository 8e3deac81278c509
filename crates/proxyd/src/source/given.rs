//! An object as its source gives it, in the model's types.

use std::sync::Arc;

use proxy_core::{Interner, Node, ObjectRef, Rejection, Warning, api};

use super::{Problem, Value};
use crate::config::ExternalIps;

/// An object of a kind that a proxy reads.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Object {
    Service(Box<api::Service>),
    Slice(api::EndpointSlice),
    Node(api::Node),
}

/// An object as its source gives it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) value: Option<Value>,
    pub(crate) rejections: Vec<Rejection>,
    pub(crate) warnings: Vec<Warning>,
    /// Why it is a Service that this proxy does not serve.
    pub(crate) not_ours: Option<api::NotOurs>,
    pub(crate) times: Times,
}

/// Whether a file agrees with itself about an object.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Times {
    Once,
    Differing,
}

/// The door for objects into the model's types.
#[derive(Debug)]
pub(crate) struct Parser {
    names: Interner,
    external_ips: ExternalIps,
}

impl Parser {
    /// A parser that leaves external IPs out if they are not to be served.
    pub(crate) fn new(external_ips: ExternalIps) -> Self {
        Self { names: Interner::new(), external_ips }
    }

    /// The object in the model's types, and which one it is.
    pub(crate) fn parse(&mut self, object: Object) -> (ObjectRef, Given) {
        let names = &mut self.names;
        match object {
            Object::Service(mut service) => {
                if self.external_ips == ExternalIps::Ignore {
                    service.spec.external_ips.clear();
                }
                let reference = ObjectRef::Service(service.key(names));
                (reference, Given::new(service.parse(names), Value::Service))
            }
            Object::Slice(slice) => {
                let reference = ObjectRef::EndpointSlice(slice.key(names));
                (reference, Given::new(slice.parse(names), Value::Slice))
            }
            Object::Node(node) => {
                let reference = ObjectRef::Node(node.key(names).to_string());
                (reference, Given::new(node.parse(names), Value::Node))
            }
        }
    }
}

impl Given {
    /// The Node, if that is what it is and it can be used.
    pub(crate) fn into_node(self) -> Option<Arc<Node>> {
        match self.value? {
            Value::Node(node) => Some(node),
            Value::Service(_) | Value::Slice(_) => None,
        }
    }

    fn new<T>(parsed: api::Parsed<T>, value: impl FnOnce(Arc<T>) -> Value) -> Self {
        Self {
            value: parsed.value.map(|parsed| value(Arc::new(parsed))),
            rejections: parsed.rejections,
            warnings: parsed.warnings,
            not_ours: parsed.not_ours,
            times: Times::Once,
        }
    }

    /// What there is to say about the object.
    pub(crate) fn problems(&self, last_good_stays: bool) -> Vec<Problem> {
        let rejections = self.rejections.iter().map(|rejection| {
            let mut problem = Problem::from(rejection);
            if last_good_stays {
                problem.reason.push_str(" (its last good version stays)");
            }
            problem
        });
        rejections.chain(self.warnings.iter().map(Problem::from)).collect()
    }
}
