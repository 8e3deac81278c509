//! One stored object: its encoding, and what selectors ask of it.

use hyper::body::Bytes;
use serde_json::Value;

use super::kind::Kind;

/// Where an object is, in the order of lists. The namespace of a cluster's own objects is "".
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) namespace: String,
    pub(super) name: String,
}

/// An object as of one revision.
///
/// It is encoded once. Its `resourceVersion` stands first in its metadata, so the rest can be sent
/// with another one: a deletion is told with the last content and a later revision.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) key: Key,
    pub(super) revision: u64,
    pub(super) labels: Vec<(String, String)>,
    /// By the name that selectors use.
    pub(super) fields: Vec<(&'static str, String)>,
    /// What follows the quote after `resourceVersion`.
    tail: Bytes,
}

/// What the server, and nobody else, writes into metadata.
pub(super) struct Stamp {
    pub(super) uid: String,
    pub(super) created: String,
    pub(super) generation: Option<i64>,
}

impl Object {
    /// An object of `kind` with this content, which is an object with an object as `metadata`.
    pub(super) fn new(
        kind: &Kind,
        key: Key,
        content: &Value,
        stamp: &Stamp,
        revision: u64,
    ) -> Self {
        let labels = strings(&content["metadata"]["labels"]);
        let fields = fields(kind, content);
        let tail = tail(&key, content, stamp).into();
        Self { key, revision, labels, fields, tail }
    }

    /// The same at another revision.
    pub(super) fn at(&self, revision: u64) -> Self {
        Self {
            key: self.key.clone(),
            revision,
            labels: self.labels.clone(),
            fields: self.fields.clone(),
            tail: self.tail.clone(),
        }
    }

    /// Whether two differ in nothing but their revision.
    pub(super) fn same_content(&self, other: &Self) -> bool {
        self.tail == other.tail
    }

    /// Bytes that it takes in a list, about.
    pub(super) fn size(&self) -> usize {
        self.tail.len() + 48
    }

    /// Writes it as an item of a list: without `kind` and `apiVersion`, as servers do for their own
    /// types.
    pub(super) fn write_item(&self, to: &mut Vec<u8>) {
        to.push(b'{');
        self.write_from_metadata(self.revision, to);
    }

    /// Writes it whole, as of `revision`.
    pub(super) fn write(&self, kind: &Kind, revision: u64, to: &mut Vec<u8>) {
        let (name, api_version) = (kind.kind, kind.api_version());
        let head = format!(r#"{{"kind":"{name}","apiVersion":"{api_version}","#);
        to.extend_from_slice(head.as_bytes());
        self.write_from_metadata(revision, to);
    }

    fn write_from_metadata(&self, revision: u64, to: &mut Vec<u8>) {
        to.extend_from_slice(br#""metadata":{"resourceVersion":""#);
        to.extend_from_slice(revision.to_string().as_bytes());
        to.extend_from_slice(&self.tail);
    }

    /// It as a value.
    pub(super) fn value(&self, kind: &Kind) -> Value {
        let mut text = Vec::new();
        self.write(kind, self.revision, &mut text);
        serde_json::from_slice(&text).expect("what was encoded can be decoded")
    }
}

/// `","name":..},"spec":..}`: all but kind, version and revision.
fn tail(key: &Key, content: &Value, stamp: &Stamp) -> Vec<u8> {
    let mut tail = vec![b'"'];
    let mut own = vec![("name", &*key.name), ("uid", &*stamp.uid)];
    own.push(("creationTimestamp", &*stamp.created));
    if !key.namespace.is_empty() {
        own.push(("namespace", &*key.namespace));
    }
    for (name, text) in own {
        write_field(name, &text.into(), &mut tail);
    }
    if let Some(generation) = stamp.generation {
        write_field("generation", &generation.into(), &mut tail);
    }
    for (name, value) in content["metadata"].as_object().into_iter().flatten() {
        if !OWN.contains(&name.as_str()) {
            write_field(name, value, &mut tail);
        }
    }
    tail.push(b'}');
    for (name, value) in content.as_object().into_iter().flatten() {
        if !matches!(name.as_str(), "kind" | "apiVersion" | "metadata") {
            write_field(name, value, &mut tail);
        }
    }
    tail.push(b'}');
    tail
}

/// What the server writes into metadata, whatever it is given.
const OWN: [&str; 6] =
    ["name", "namespace", "uid", "creationTimestamp", "generation", "resourceVersion"];

/// Writes `,"name":value`.
fn write_field(name: &str, value: &Value, to: &mut Vec<u8>) {
    to.push(b',');
    serde_json::to_writer(&mut *to, name).expect("text can be encoded");
    to.push(b':');
    serde_json::to_writer(to, value).expect("values can be encoded");
}

fn strings(object: &Value) -> Vec<(String, String)> {
    let all = object.as_object().into_iter().flatten();
    all.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

/// The fields that selectors may ask for, with "" (or "false") for what is absent.
fn fields(kind: &Kind, content: &Value) -> Vec<(&'static str, String)> {
    let text = |name: &&'static str| {
        let pointer = match *name {
            "source" => "/source/component".to_owned(),
            name => format!("/{}", name.replace('.', "/")),
        };
        let value = match content.pointer(&pointer) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Bool(truth)) => truth.to_string(),
            _ if *name == "spec.unschedulable" => "false".to_owned(),
            _ => String::new(),
        };
        (*name, value)
    };
    kind.selectable.iter().map(text).collect()
}
