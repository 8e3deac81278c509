//! What a request asks for, read from its path and query.

use std::time::Duration;

use form_urlencoded::parse;
use hyper::Method;
use hyper::http::request::Parts;

use super::kind::Kind;
use super::object::Key;
use super::selector::Selector;
use super::status::Refusal;
use super::store::Range;

/// A request for objects.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) verb: Verb,
    pub(super) kind: &'static Kind,
    /// "" is the whole cluster.
    pub(super) namespace: String,
    /// "" is a collection.
    pub(super) name: String,
    pub(super) query: Query,
}

/// What is done to objects, as access rules name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
}

/// The query of a list or watch, as it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) label_selector: String,
    pub(super) field_selector: String,
    pub(super) resource_version: String,
    pub(super) resource_version_match: String,
    pub(super) limit: usize,
    pub(super) continue_from: String,
    pub(super) watch: bool,
    pub(super) bookmarks: bool,
    pub(super) send_initial_events: Option<bool>,
    pub(super) timeout: Option<Duration>,
}

impl Verb {
    /// Its name in access rules.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }
}

impl Asked {
    /// Reads a request. `None` when its path is not one of objects.
    pub(super) fn read(head: &Parts) -> Option<Result<Self, Refusal>> {
        let parts: Vec<&str> = head.uri.path().split('/').skip(1).collect();
        let (group, version, rest) = match &parts[..] {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            rest => ("", rest),
        };
        let (plural, name) = match rest {
            [plural] => (*plural, ""),
            [plural, name] => (*plural, *name),
            _ => return None,
        };
        let kind = Kind::of_path(group, version, plural)?;
        if !kind.namespaced && !namespace.is_empty() {
            return None;
        }
        let query = match Query::read(head.uri.query().unwrap_or_default()) {
            Ok(query) => query,
            Err(refusal) => return Some(Err(refusal)),
        };
        let Some(verb) = verb(&head.method, name, query.watch) else {
            return Some(Err(Refusal::method_not_allowed()));
        };
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        Some(Ok(Self { verb, kind, namespace, name, query }))
    }

    /// The object that is named.
    pub(super) fn key(&self) -> Key {
        Key { namespace: self.namespace.clone(), name: self.name.clone() }
    }

    /// The objects that are selected. A watch of one name is one of a collection.
    pub(super) fn range(&self) -> Result<Range, Refusal> {
        let Query { label_selector, field_selector, .. } = &self.query;
        let by_name = match &self.name[..] {
            "" => String::new(),
            name => format!("metadata.name={name},"),
        };
        let fields = by_name + field_selector;
        let selector = Selector::parse(self.kind, label_selector, &fields);
        let selector = selector.map_err(Refusal::bad_request)?;
        Ok(Range { namespace: self.namespace.clone(), selector })
    }
}

fn verb(method: &Method, name: &str, watch: bool) -> Option<Verb> {
    match (method, name) {
        (&Method::GET, _) if watch => Some(Verb::Watch),
        (&Method::GET, "") => Some(Verb::List),
        (&Method::GET, _) => Some(Verb::Get),
        (&Method::POST, "") => Some(Verb::Create),
        (&Method::PUT, name) if !name.is_empty() => Some(Verb::Update),
        (&Method::PATCH, name) if !name.is_empty() => Some(Verb::Patch),
        (&Method::DELETE, name) if !name.is_empty() => Some(Verb::Delete),
        _ => None,
    }
}

impl Query {
    fn read(text: &str) -> Result<Self, Refusal> {
        let mut query = Self::default();
        for (name, value) in parse(text.as_bytes()) {
            let value = value.into_owned();
            match &*name {
                "labelSelector" => query.label_selector = value,
                "fieldSelector" => query.field_selector = value,
                "resourceVersion" => query.resource_version = value,
                "resourceVersionMatch" => query.resource_version_match = value,
                "limit" => query.limit = number(&value)?,
                "continue" => query.continue_from = value,
                "watch" => query.watch = truth(&value),
                "allowWatchBookmarks" => query.bookmarks = truth(&value),
                "sendInitialEvents" => query.send_initial_events = Some(truth(&value)),
                "timeoutSeconds" => {
                    query.timeout = Some(Duration::from_secs(number(&value)? as u64));
                }
                _ => {}
            }
        }
        Ok(query)
    }

    /// What does not go together, by the rules of the API.
    pub(super) fn validate(&self, streaming: Streaming) -> Result<(), Refusal> {
        let version_match = &self.resource_version_match[..];
        if !self.watch && self.send_initial_events.is_some() {
            return Err(Refusal::invalid("sendInitialEvents is forbidden for list"));
        }
        if self.watch {
            let fault = match (self.send_initial_events, streaming, version_match) {
                (Some(_), Streaming::Refused, _) => {
                    "sendInitialEvents is forbidden for watch unless the WatchList feature gate is \
                     enabled"
                }
                (Some(_), Streaming::Served, "NotOlderThan") | (None, _, "") => return Ok(()),
                (Some(_), Streaming::Served, _) => {
                    "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
                }
                (None, ..) => {
                    "resourceVersionMatch is forbidden for watch unless sendInitialEvents is \
                     provided"
                }
            };
            return Err(Refusal::invalid(fault));
        }
        let fault = match version_match {
            "" => return Ok(()),
            _ if self.resource_version.is_empty() => {
                "resourceVersionMatch is forbidden unless resourceVersion is provided"
            }
            _ if !self.continue_from.is_empty() => {
                "resourceVersionMatch is forbidden when continue is provided"
            }
            "Exact" if self.resource_version == "0" => {
                "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""
            }
            "Exact" | "NotOlderThan" => return Ok(()),
            _ => "resourceVersionMatch has an unsupported value",
        };
        Err(Refusal::invalid(fault))
    }

    /// The revision that is asked for; `None` is the latest.
    pub(super) fn revision(&self) -> Result<Option<u64>, Refusal> {
        let text = &self.resource_version[..];
        if text.is_empty() {
            return Ok(None);
        }
        let invalid = |_| Refusal::bad_request(format!("invalid resource version \"{text}\""));
        text.parse().map(Some).map_err(invalid)
    }
}

/// Whether watches may begin with the objects that are there (`sendInitialEvents`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Streaming {
    /// As servers do since 1.32 by default.
    #[default]
    Served,
    /// As by a server that does not know how.
    Refused,
}

fn number(text: &str) -> Result<usize, Refusal> {
    let invalid = |_| Refusal::bad_request(format!("strconv.ParseInt: parsing \"{text}\""));
    text.parse().map_err(invalid)
}

/// A truth value in a query: all but these are true.
fn truth(text: &str) -> bool {
    !matches!(text.to_lowercase().as_str(), "false" | "0")
}
