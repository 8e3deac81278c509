//! One stored object: its encoding, and what selectors ask of it.

use hyper::body::Bytes;
use serde_json::{Map, Value};

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
    pub(super) fn new(kind: &Kind, key: Key, content: &Value, stamp: Stamp, revision: u64) -> Self {
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
fn tail(key: &Key, content: &Value, stamp: Stamp) -> Vec<u8> {
    let mut metadata = content["metadata"].as_object().cloned().unwrap_or_default();
    metadata.remove("resourceVersion");
    metadata.insert("name".to_owned(), key.name.clone().into());
    if key.namespace.is_empty() {
        metadata.remove("namespace");
    } else {
        metadata.insert("namespace".to_owned(), key.namespace.clone().into());
    }
    metadata.insert("uid".to_owned(), stamp.uid.into());
    metadata.insert("creationTimestamp".to_owned(), stamp.created.into());
    metadata.remove("generation");
    if let Some(generation) = stamp.generation {
        metadata.insert("generation".to_owned(), generation.into());
    }
    let mut tail = vec![b'"', b','];
    tail.extend_from_slice(&inside(&metadata));
    tail.push(b'}');
    let is_body = |name: &str| !matches!(name, "kind" | "apiVersion" | "metadata");
    let all = content.as_object().into_iter().flatten();
    for (name, value) in all.filter(|(name, _)| is_body(name)) {
        tail.push(b',');
        let one = Map::from_iter([(name.clone(), value.clone())]);
        tail.extend_from_slice(&inside(&one));
    }
    tail.push(b'}');
    tail
}

/// An object's text without its braces.
fn inside(object: &Map<String, Value>) -> Vec<u8> {
    let text = serde_json::to_vec(object).expect("values can be encoded");
    text[1..text.len() - 1].to_vec()
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
