//! An object of a file, in the model's types.

use std::sync::Arc;

use proxy_core::{
    EndpointSlice, Event, Interner, Node, ObjectRef, Rejection, Service, Warning, api,
};

use super::Problem;
use super::document::Object;

/// An object as a file gives it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) value: Option<Value>,
    pub(super) rejections: Vec<Rejection>,
    pub(super) warnings: Vec<Warning>,
    pub(super) times: Times,
}

/// Whether a file agrees with itself about an object.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Times {
    Once,
    Differing,
}

/// An object in the model's types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Service(Arc<Service>),
    Slice(Arc<EndpointSlice>),
    Node(Arc<Node>),
}

/// The object in the model's types, and which one it is.
pub(super) fn given(object: &Object, names: &mut Interner) -> (ObjectRef, Given) {
    match object {
        Object::Service(service) => {
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

impl Given {
    fn new<T>(parsed: api::Parsed<T>, value: impl FnOnce(Arc<T>) -> Value) -> Self {
        Self {
            value: parsed.value.map(|parsed| value(Arc::new(parsed))),
            rejections: parsed.rejections,
            warnings: parsed.warnings,
            times: Times::Once,
        }
    }

    /// What there is to say about the object.
    pub(super) fn problems(&self, last_good_stays: bool) -> Vec<Problem> {
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

impl Value {
    /// What tells the model.
    pub(super) fn event(&self) -> Event {
        match self {
            Self::Service(service) => Event::Service(Arc::clone(service)),
            Self::Slice(slice) => Event::Slice(Arc::clone(slice)),
            Self::Node(node) => Event::Node(Arc::clone(node)),
        }
    }
}
