//! What the model knows of objects, and what is wrong with them.

use std::collections::BTreeMap;
use std::sync::Arc;

use proxy_core::{EndpointSlice, Event, Name, Node, ObjectRef, Service};

use super::{Changes, Given, Problem};

/// An object in the model's types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Service(Arc<Service>),
    Slice(Arc<EndpointSlice>),
    Node(Arc<Node>),
}

/// The objects that the model was told of.
#[derive(Debug, Default)]
pub(crate) struct Known {
    values: BTreeMap<ObjectRef, Value>,
    problems: BTreeMap<ObjectRef, Vec<Problem>>,
}

impl Known {
    /// Takes in what is given of an object, or that it is gone. What cannot be used changes
    /// nothing: the object keeps the value it had, if it had one.
    pub(crate) fn take(
        &mut self,
        object: &ObjectRef,
        given: Option<&Given>,
        changes: &mut Changes,
    ) {
        let Some(given) = given else {
            self.set(object, None, changes);
            return self.note(object, Vec::new(), changes);
        };
        let is_usable = given.value.is_some() || given.rejections.is_empty();
        let problems = given.problems(self.holds(object) && !is_usable);
        if let (ObjectRef::Service(key), Some(reason)) = (object, &given.not_ours) {
            changes.not_ours.push((key.clone(), reason.clone()));
        }
        if is_usable {
            self.set(object, given.value.clone(), changes);
        }
        self.note(object, problems, changes);
    }

    /// Leaves an object as it is, with problems that say why.
    pub(crate) fn keep(
        &mut self,
        object: &ObjectRef,
        problems: Vec<Problem>,
        changes: &mut Changes,
    ) {
        self.note(object, problems, changes);
    }

    /// Whether the model knows an object.
    pub(crate) fn holds(&self, object: &ObjectRef) -> bool {
        self.values.contains_key(object)
    }

    /// The objects that the model knows, in no particular order.
    pub(crate) fn objects(&self) -> impl Iterator<Item = &ObjectRef> {
        self.values.keys().chain(self.problems.keys())
    }

    /// Every problem of an object, in no particular order.
    pub(crate) fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.problems.values().flatten()
    }

    fn set(&mut self, object: &ObjectRef, value: Option<Value>, changes: &mut Changes) {
        if self.values.get(object) == value.as_ref() {
            return;
        }
        let removed = || match object {
            ObjectRef::Service(key) => Event::ServiceRemoved(key.clone()),
            ObjectRef::EndpointSlice(key) => Event::SliceRemoved(key.clone()),
            ObjectRef::Node(name) => Event::NodeRemoved(Name::from(name.as_str())),
        };
        changes.events.push(value.as_ref().map_or_else(removed, Value::event));
        match value {
            Some(value) => self.values.insert(object.clone(), value),
            None => self.values.remove(object),
        };
    }

    fn note(&mut self, object: &ObjectRef, problems: Vec<Problem>, changes: &mut Changes) {
        let before = self.problems.remove(object).unwrap_or_default();
        changes.exchange(before, &problems);
        if !problems.is_empty() {
            self.problems.insert(object.clone(), problems);
        }
    }
}

impl Changes {
    /// Says which problems are new and which are over, now that those `before` are these.
    pub(crate) fn exchange(&mut self, before: Vec<Problem>, now: &[Problem]) {
        self.problems.extend(now.iter().filter(|one| !before.contains(one)).cloned());
        self.solved.extend(before.into_iter().filter(|one| !now.contains(one)));
    }
}

impl Value {
    /// What tells the model.
    pub(crate) fn event(&self) -> Event {
        match self {
            Self::Service(service) => Event::Service(Arc::clone(service)),
            Self::Slice(slice) => Event::Slice(Arc::clone(slice)),
            Self::Node(node) => Event::Node(Arc::clone(node)),
        }
    }
}
