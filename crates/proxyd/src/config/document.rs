//! The text of a configuration file into the values it gives, each with its path and place. Pure.
//!
//! JSON is read as YAML, which it is. What a strict reader would refuse (unknown fields, fields
//! given twice, another spelling) is found, and passed over: a file for a newer kube-proxy serves.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_saphyr::Spanned;

use super::layer::{Leaf, shape};
use super::problem::{Origin, Problem};
use super::v1alpha1::{API_VERSION, KIND};

/// What a file gives.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) leaves: Vec<Leaf>,
    /// What is passed over, in one warning.
    pub(super) strictness: Option<Problem>,
}

/// Reads a file named `name`.
pub(super) fn read(name: &str, text: &str) -> Result<Contents, Problem> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::PassThrough,
    };
    let document = serde_saphyr::from_str_with_options::<Spanned<Tree>>(text, options);
    let document = document.map_err(|error| {
        let reason = error.to_string();
        let Some(place) = error.location() else { return Problem::error(name, reason) };
        let (line, column) = (place.line(), place.column());
        let reason = reason.trim_end_matches(&format!(" at line {line}, column {column}"));
        Problem::error(name, reason).from(Origin::File { line, column })
    })?;
    check_head(name, &document.value)?;
    let mut walk = Walk::default();
    walk.section("", document.value, shape());
    let Walk { leaves, findings } = walk;
    let strictness = (!findings.is_empty()).then(|| {
        let findings = findings.join("; ");
        Problem::warning(name, format!("{findings} (the rest was read)"))
    });
    Ok(Contents { leaves, strictness })
}

/// The file is for us at all.
fn check_head(name: &str, document: &Tree) -> Result<(), Problem> {
    let remedy = format!("write apiVersion: {API_VERSION} and kind: {KIND}");
    let Tree::Map(entries) = document else {
        return Err(Problem::error(name, format!("holds no object; {remedy}")));
    };
    for (key, expected) in [("apiVersion", API_VERSION), ("kind", KIND)] {
        let given = entries.iter().rfind(|entry| entry.key == key);
        match given.map(|entry| (&entry.value, entry.place())) {
            Some((Tree::Leaf(Value::String(text)), _)) if text == expected => {}
            Some((Tree::Leaf(value), place)) => {
                let reason = format!("this is not the file of a node proxy; {remedy}");
                return Err(Problem::error(key, reason).with_value(value.clone()).from(place));
            }
            Some(_) | None => return Err(Problem::error(key, format!("is missing; {remedy}"))),
        }
    }
    Ok(())
}

/// Collects leaves and findings.
#[derive(Default)]
struct Walk {
    leaves: Vec<Leaf>,
    findings: Vec<String>,
}

impl Walk {
    /// Walks the map at `path`, which has the fields of `shape`.
    fn section(&mut self, path: &str, tree: Tree, shape: &Value) {
        let (Tree::Map(entries), Value::Object(fields)) = (tree, shape) else { return };
        let mut seen = Vec::<String>::new();
        for entry in entries {
            let path =
                if path.is_empty() { entry.key.clone() } else { [path, &entry.key].join(".") };
            let line = entry.line;
            if seen.contains(&entry.key) {
                self.findings
                    .push(format!("line {line}: field {path} is given twice, the last counts"));
                let section = format!("{path}.");
                self.leaves.retain(|leaf| leaf.path != path && !leaf.path.starts_with(&section));
            }
            let Some(shape) = fields.get(&entry.key) else {
                let close = fields.keys().find(|known| known.eq_ignore_ascii_case(&entry.key));
                let hint = close.map(|known| format!(", did you mean {known}?"));
                let hint = hint.unwrap_or_default();
                self.findings.push(format!("line {line}: unknown field {path} is ignored{hint}"));
                continue;
            };
            seen.push(entry.key.clone());
            let origin = entry.place();
            match (entry.value, shape) {
                // A section that is null gives nothing.
                (Tree::Leaf(Value::Null), Value::Object(_)) => {}
                (tree @ Tree::Map(_), Value::Object(_)) => self.section(&path, tree, shape),
                (tree, _) => {
                    self.repeated_names(&path, &tree);
                    self.leaves.push(Leaf { path, value: tree.into(), origin });
                }
            }
        }
    }

    /// The same in a map whose names are no fields, but the user's.
    fn repeated_names(&mut self, path: &str, tree: &Tree) {
        let Tree::Map(entries) = tree else { return };
        for (index, Entry { key, line, .. }) in entries.iter().enumerate() {
            if entries[..index].iter().any(|earlier| earlier.key == *key) {
                let finding = format!("line {line}: {path}.{key} is given twice, the last counts");
                self.findings.push(finding);
            }
        }
    }
}

/// Any document, with the places of what is in its maps.
#[derive(Debug)]
enum Tree {
    Map(Vec<Entry>),
    Leaf(Value),
}

#[derive(Debug)]
struct Entry {
    key: String,
    /// The key's place.
    line: u64,
    column: u64,
    value: Tree,
}

impl Entry {
    const fn place(&self) -> Origin {
        Origin::File { line: self.line, column: self.column }
    }
}

impl From<Tree> for Value {
    fn from(tree: Tree) -> Self {
        match tree {
            Tree::Leaf(value) => value,
            Tree::Map(entries) => {
                let fields = entries.into_iter().map(|entry| (entry.key, entry.value.into()));
                Self::Object(fields.collect())
            }
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyTree)
    }
}

struct AnyTree;

impl<'de> Visitor<'de> for AnyTree {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let (line, column) = (key.referenced.line(), key.referenced.column());
            entries.push(Entry { key: key.value, line, column, value: map.next_value()? });
        }
        Ok(Tree::Map(entries))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut values = Vec::new();
        while let Some(item) = items.next_element::<Tree>()? {
            values.push(item.into());
        }
        Ok(Tree::Leaf(Value::Array(values)))
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Leaf(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Leaf(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }
}
