//! What is wrong with a source, a part of it, or an object in it.

use std::fmt;

use proxy_core::{ObjectRef, Rejection, Warning};

use serde::{Deserialize, Serialize};

use crate::metrics::Resource;

/// Something that whoever wrote the objects should know.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    /// What it costs.
    pub(crate) severity: Severity,
    /// The object as `Service default/web`, or the name of the file or directory.
    pub(crate) object: String,
    /// The object, if it is one.
    pub(crate) about: Option<ObjectRef>,
    /// Path of the field in the object, or the place in the file; may be empty.
    pub(crate) field: String,
    /// The value that is not good; may be empty.
    pub(crate) value: String,
    /// What is wrong, what follows from it, and the remedy.
    pub(crate) reason: String,
}

/// What a problem costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Severity {
    /// The directory cannot be read at all.
    Unreadable,
    /// Something given is not used.
    Rejected,
    /// Everything is used, but hardly as it was meant.
    Warning,
}

impl Problem {
    /// The directory, or a file, cannot be used for `reason`.
    pub(crate) fn new(severity: Severity, object: &str, reason: String) -> Self {
        let (field, value) = (String::new(), String::new());
        Self { severity, object: object.to_owned(), about: None, field, value, reason }
    }

    /// Whether it keeps a field of such an object from being used.
    pub(crate) fn rejects(&self, resource: Resource) -> bool {
        let of = match self.about {
            Some(ObjectRef::Service(_)) => Some(Resource::Services),
            Some(ObjectRef::EndpointSlice(_)) => Some(Resource::EndpointSlices),
            Some(ObjectRef::Node(_)) => Some(Resource::Nodes),
            None => None,
        };
        self.severity == Severity::Rejected && of == Some(resource)
    }

    /// What is wrong, for those who look at the object.
    pub(crate) fn note(&self) -> String {
        let mut note = String::new();
        if !self.field.is_empty() {
            note.push_str(&self.field);
            note.push_str(": ");
        }
        if !self.value.is_empty() {
            note.push_str(&format!("{:?} ", self.value));
        }
        note + &self.reason
    }

    /// Where it is, or was.
    pub(crate) fn place(&self) -> String {
        match self.field.as_str() {
            "" => self.object.clone(),
            field => format!("{}: {field}", self.object),
        }
    }
}

impl From<&Rejection> for Problem {
    fn from(rejection: &Rejection) -> Self {
        Self {
            severity: Severity::Rejected,
            object: rejection.object.to_string(),
            about: Some(rejection.object.clone()),
            field: rejection.field.clone(),
            value: rejection.value.clone(),
            reason: rejection.reason.clone(),
        }
    }
}

impl From<&Warning> for Problem {
    fn from(warning: &Warning) -> Self {
        Self {
            about: Some(warning.object.clone()),
            ..Self::new(Severity::Warning, &warning.object.to_string(), warning.reason.clone())
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.object, self.note())
    }
}
