//! The text of a file into objects. Pure.
//!
//! An object says what it is in `kind`, which may come after everything else. So every document
//! is read twice: for its kind, then as that kind. That also spares objects of other kinds from
//! having to look like ours.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess};
use serde::de::{SeqAccess, Visitor};

mod head;
mod split;

use head::{Head, Kind};
use split::{Chunk, json_chunks, yaml_chunks};

use crate::source::Object;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Yaml,
}

/// Why a file cannot be used, and where it goes wrong, counted from 1.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) line: u64,
    pub(super) column: u64,
    pub(super) reason: String,
}

/// What is in a file.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) objects: Vec<Object>,
    /// First lines of documents that are, or hold, something else than API objects we know.
    pub(super) strangers: Vec<u64>,
}

/// Reads all documents of a file. One that is not well formed spoils the whole file: what follows
/// it, or belongs with it, is unknown.
pub(super) fn read(text: &str, format: Format) -> Result<Contents, Fault> {
    let mut contents = Contents::default();
    let chunks = match format {
        Format::Json => json_chunks(text)?,
        Format::Yaml => yaml_chunks(text),
    };
    for chunk in &chunks {
        let head = match format {
            Format::Json => json(chunk, |deserializer| Head::deserialize(deserializer))?,
            Format::Yaml => yaml(chunk, |deserializer| Head::deserialize(deserializer))?,
        };
        read_chunk(chunk, &head, format, &mut contents)?;
    }
    check_end(&chunks, &contents)?;
    Ok(contents)
}

fn read_chunk(
    chunk: &Chunk<'_>,
    head: &Head,
    format: Format,
    contents: &mut Contents,
) -> Result<(), Fault> {
    let kind = match head {
        Head::Nothing => return Ok(()),
        Head::Text(_) | Head::List(_) | Head::Other => {
            return Err(chunk.begin("the document is not an object"));
        }
        Head::Object { api_version: Some(_), kind: None, .. } => {
            return Err(chunk.begin("the object has no kind"));
        }
        Head::Object { .. } => head.kind(None),
    };
    if kind.is_strange() {
        contents.strangers.push(chunk.line);
    }
    if matches!(kind, Kind::Other | Kind::Stranger) {
        return Ok(());
    }
    let seed = Typed { kind: &kind, objects: &mut contents.objects };
    match format {
        Format::Json => json(chunk, |deserializer| seed.deserialize(deserializer)),
        Format::Yaml => yaml(chunk, |deserializer| seed.deserialize(deserializer)),
    }
}

/// An object that ends a file before its name is most likely not written to its end.
fn check_end(chunks: &[Chunk<'_>], contents: &Contents) -> Result<(), Fault> {
    let metadata = contents.objects.last().map(|object| match object {
        Object::Service(service) => &service.metadata,
        Object::Slice(slice) => &slice.metadata,
        Object::Node(node) => &node.metadata,
    });
    match (metadata, chunks.last()) {
        (Some(metadata), Some(chunk)) if metadata.name.is_none() => {
            Err(chunk.begin("the last object has no metadata.name"))
        }
        _ => Ok(()),
    }
}

/// Reads one YAML document, placing errors in the file.
fn yaml<'de, T>(
    chunk: &Chunk<'de>,
    read: impl for<'e> FnOnce(serde_saphyr::Deserializer<'de, 'e>) -> Result<T, serde_saphyr::Error>,
) -> Result<T, Fault> {
    // The limits stop documents that grow by aliases, not large ones: a directory is trusted.
    let many = usize::MAX / 2;
    let options = serde_saphyr::options! {
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_events: many,
            max_nodes: many,
            max_total_scalar_bytes: many,
        },
    };
    serde_saphyr::with_deserializer_from_str_with_options(chunk.text, options, read).map_err(
        |error| {
            let (line, column) =
                error.location().map_or((1, 1), |place| (place.line(), place.column()));
            chunk.fault(line.max(1), column.max(1), &error.to_string())
        },
    )
}

/// Reads one JSON document, placing errors in the file.
fn json<'de, T>(
    chunk: &Chunk<'de>,
    read: impl FnOnce(
        &mut serde_json::Deserializer<serde_json::de::StrRead<'de>>,
    ) -> Result<T, serde_json::Error>,
) -> Result<T, Fault> {
    read(&mut serde_json::Deserializer::from_str(chunk.text))
        .map_err(|error| chunk.json_fault(&error))
}

/// Reads a document as the kind it is known to be.
struct Typed<'a> {
    kind: &'a Kind,
    objects: &'a mut Vec<Object>,
}

impl<'de> DeserializeSeed<'de> for Typed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let object = match self.kind {
            Kind::Service => Object::Service(Deserialize::deserialize(deserializer)?),
            Kind::Slice => Object::Slice(Deserialize::deserialize(deserializer)?),
            Kind::Node => Object::Node(Deserialize::deserialize(deserializer)?),
            Kind::List(kinds) => {
                return deserializer.deserialize_map(List { kinds, objects: self.objects });
            }
            Kind::Other | Kind::Stranger => {
                return IgnoredAny::deserialize(deserializer).map(|_| ());
            }
        };
        self.objects.push(object);
        Ok(())
    }
}

/// Reads the `items` of a list, each as its kind.
struct List<'a> {
    kinds: &'a [Kind],
    objects: &'a mut Vec<Object>,
}

impl<'de> DeserializeSeed<'de> for List<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.kinds.is_empty() {
            return IgnoredAny::deserialize(deserializer).map(|_| ());
        }
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for List<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key == "items" {
                map.next_value_seed(List { kinds: self.kinds, objects: &mut *self.objects })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        for kind in self.kinds {
            let seed = Typed { kind, objects: &mut *self.objects };
            items
                .next_element_seed(seed)?
                .ok_or_else(|| A::Error::custom("the list got shorter"))?;
        }
        match items.next_element::<IgnoredAny>()? {
            None => Ok(()),
            Some(_) => Err(A::Error::custom("the list got longer")),
        }
    }
}

#[cfg(test)]
mod tests;
