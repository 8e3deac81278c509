//! What is noted about one object while it is parsed.

use std::fmt::Display;

use super::{Metadata, NotOurs, Parsed};
use crate::{Interner, ObjectKey, ObjectRef, Rejection, Warning};

/// Rejections and warnings of one object.
pub(super) struct Findings {
    object: ObjectRef,
    rejections: Vec<Rejection>,
    warnings: Vec<Warning>,
    not_ours: Option<NotOurs>,
}

impl Findings {
    pub(super) fn new(object: ObjectRef) -> Self {
        Self { object, rejections: Vec::new(), warnings: Vec::new(), not_ours: None }
    }

    /// Notes that the value of `field` cannot be used.
    pub(super) fn reject(
        &mut self,
        field: impl Into<String>,
        value: impl Display,
        reason: impl Into<String>,
    ) {
        self.rejections.push(Rejection {
            object: self.object.clone(),
            field: field.into(),
            value: value.to_string(),
            reason: reason.into(),
        });
    }

    /// Notes something that will surprise the object's author.
    pub(super) fn warn(&mut self, reason: impl Into<String>) {
        self.warnings.push(Warning { object: self.object.clone(), reason: reason.into() });
    }

    /// Notes that the object is not for this proxy.
    pub(super) fn disown(&mut self, reason: NotOurs) {
        self.not_ours = Some(reason);
    }

    /// Notes that the object has no name, if so. Without one nothing can be said about it.
    pub(super) fn require_name(&mut self, metadata: &Metadata) -> Option<()> {
        if metadata.name().is_some() {
            return Some(());
        }
        self.reject("metadata.name", "", "is missing, the object is not used; give it a name");
        None
    }

    pub(super) fn into_parsed<T>(self, value: Option<T>) -> Parsed<T> {
        let Self { rejections, warnings, not_ours, .. } = self;
        Parsed { value, rejections, warnings, not_ours }
    }
}

impl Metadata {
    /// The name, unless it is missing or empty.
    pub(super) fn name(&self) -> Option<&str> {
        given(self.name.as_deref())
    }

    /// Namespace and name, of a namespaced object. Both are shared through `names`.
    pub(super) fn key(&self, names: &mut Interner) -> ObjectKey {
        let namespace = given(self.namespace.as_deref()).unwrap_or("default");
        ObjectKey {
            namespace: names.name(namespace),
            name: names.name(self.name().unwrap_or_default()),
        }
    }
}

/// A text that is there and not empty: for the API, empty and absent are one.
pub(super) fn given(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}
