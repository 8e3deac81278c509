//! What a document is, before it is read as that.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What decides how a document is read. Reading it never fails on a document that is well formed.
#[derive(Debug)]
pub(super) enum Head {
    /// An empty document.
    Nothing,
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Self>),
    /// A number and the like.
    Other,
    /// An object.
    Object { api_version: Option<String>, kind: Option<String>, items: Vec<Self> },
}

/// How a document is read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Service,
    Slice,
    Node,
    /// A list of objects of these kinds.
    List(Vec<Self>),
    /// Not at all.
    Other,
    /// Not at all, which its author should know: no object, or of a version that is not ours.
    Stranger,
}

impl Kind {
    /// Whether it is a stranger, or has one among its items.
    pub(super) fn is_strange(&self) -> bool {
        match self {
            Self::Stranger => true,
            Self::List(items) => items.iter().any(Self::is_strange),
            Self::Service | Self::Slice | Self::Node | Self::Other => false,
        }
    }
}

impl Head {
    /// The kind. An item of a typed list may leave its own out: that list's, `inherited`, counts.
    pub(super) fn kind(&self, inherited: Option<(&str, &str)>) -> Kind {
        let Self::Object { api_version, kind, items } = self else {
            return Kind::Stranger;
        };
        let (api_version, kind) = match (kind, inherited) {
            (Some(kind), _) => (api_version.as_deref().unwrap_or_default(), kind.as_str()),
            (None, Some(inherited)) => inherited,
            (None, None) => return Kind::Stranger,
        };
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let is_known_version = matches!(version, "" | "v1");
        match (group, kind) {
            ("", "Service" | "Node") | ("discovery.k8s.io", "EndpointSlice")
                if !is_known_version =>
            {
                Kind::Stranger
            }
            ("", "Service") => Kind::Service,
            ("", "Node") => Kind::Node,
            ("discovery.k8s.io", "EndpointSlice") => Kind::Slice,
            ("", "EndpointSlice") if api_version.is_empty() => Kind::Slice,
            ("", "List") => Kind::List(items.iter().map(|item| item.kind(None)).collect()),
            (_, list) => match list.strip_suffix("List") {
                Some(of) => Kind::List(
                    items.iter().map(|item| item.kind(Some((api_version, of)))).collect(),
                ),
                None => Kind::Other,
            },
        }
    }
}

impl<'de> Deserialize<'de> for Head {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Anything)
    }
}

struct Anything;

impl<'de> Visitor<'de> for Anything {
    type Value = Head;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Head, A::Error> {
        let (mut api_version, mut kind, mut items) = (None, None, Vec::new());
        while let Some(key) = map.next_key::<Key>()? {
            if key == Key::Other {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            match (key, map.next_value()?) {
                (Key::ApiVersion, Head::Text(text)) => api_version = Some(text),
                (Key::Kind, Head::Text(text)) => kind = Some(text),
                (Key::Items, Head::List(heads)) => items = heads,
                _ => {}
            }
        }
        Ok(Head::Object { api_version, kind, items })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Head, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Head::List(items))
    }

    fn visit_str<E>(self, text: &str) -> Result<Head, E> {
        Ok(Head::Text(text.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Head, E> {
        Ok(Head::Nothing)
    }

    fn visit_none<E>(self) -> Result<Head, E> {
        Ok(Head::Nothing)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Head, E> {
        Ok(Head::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Head, E> {
        Ok(Head::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Head, E> {
        Ok(Head::Other)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Head, E> {
        Ok(Head::Other)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Head, E> {
        Ok(Head::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Head, E> {
        Ok(Head::Other)
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<Head, E> {
        Ok(Head::Other)
    }
}

/// The keys that decide.
#[derive(PartialEq, Eq)]
enum Key {
    ApiVersion,
    Kind,
    Items,
    Other,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match String::deserialize(deserializer)?.as_str() {
            "apiVersion" => Self::ApiVersion,
            "kind" => Self::Kind,
            "items" => Self::Items,
            _ => Self::Other,
        })
    }
}
