//! One kind of object: listed once, then watched from there on.
//!
//! The API server keeps the changes of the last minutes. A watch that ends goes on where it ended;
//! one that comes too late for that begins with a new list.
//! <https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes>

use std::fmt;
use std::time::Instant;

use futures::stream::{BoxStream, unfold};
use futures::{Stream, StreamExt as _};
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::{Api, Client};
use proxy_core::ObjectRef;

use super::object::{Watchable, Watched};
use super::outage::Outage;
use crate::metrics::Resource;
use crate::source::Object;

/// Objects of a page, in lists that come in pages.
const PAGE: u32 = 500;

/// The API server ends a watch after so many seconds.
const WATCH_SECONDS: u32 = 290;

/// A kind of object, in the words of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Services,
    EndpointSlices,
    Nodes,
}

impl Kind {
    pub(super) const fn is_of(self, object: &ObjectRef) -> bool {
        matches!(
            (self, object),
            (Self::Services, ObjectRef::Service(_))
                | (Self::EndpointSlices, ObjectRef::EndpointSlice(_))
                | (Self::Nodes, ObjectRef::Node(_))
        )
    }
}

impl Kind {
    /// As metrics call it.
    pub(super) const fn resource(self) -> Resource {
        match self {
            Self::Services => Resource::Services,
            Self::EndpointSlices => Resource::EndpointSlices,
            Self::Nodes => Resource::Nodes,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Services => "Services",
            Self::EndpointSlices => "EndpointSlices",
            Self::Nodes => "Nodes",
        })
    }
}

/// Which objects are watched: the API server leaves out the others.
#[derive(Clone, Debug)]
pub(super) struct Selection {
    kind: Kind,
    labels: Option<String>,
    fields: Option<String>,
}

impl Selection {
    /// Services that no other proxy claims, without headless ones.
    pub(super) fn services() -> Self {
        let labels = Some("!service.kubernetes.io/service-proxy-name".to_owned());
        Self { kind: Kind::Services, labels, fields: Some("spec.clusterIP!=None".to_owned()) }
    }

    /// Slices of Services that are not headless.
    pub(super) fn slices() -> Self {
        let labels = Some("!service.kubernetes.io/headless".to_owned());
        Self { kind: Kind::EndpointSlices, labels, fields: None }
    }

    /// One Node.
    pub(super) fn node(name: &str) -> Self {
        Self { kind: Kind::Nodes, labels: None, fields: Some(format!("metadata.name={name}")) }
    }
}

/// News about a kind of object.
#[derive(Debug)]
pub(super) struct News {
    pub(super) kind: Kind,
    pub(super) heard: Heard,
}

/// What was heard.
#[derive(Debug)]
pub(super) enum Heard {
    /// A list of all objects begins.
    ListBegins,
    /// An object is there, and like this.
    Present(Object),
    /// An object is gone.
    Gone(Object),
    /// The list was whole.
    ListEnds,
    /// Nothing changed.
    Bookmark,
    /// It is otherwise with the watch than before.
    Condition(Condition),
}

/// How it is with a watch.
#[derive(Debug)]
pub(super) enum Condition {
    /// Changes are heard of.
    Watched {
        /// Whether that had ended.
        again: bool,
    },
    /// They are not; it is tried again.
    Failing(String),
    /// One could not be read.
    Unreadable(String),
}

/// A watch of one kind of object.
pub(super) struct Watch<T: Watchable> {
    api: Api<Watched<T>>,
    selection: Selection,
    state: State<T>,
    listing: Listing,
    outage: Outage,
}

type Events<T> = BoxStream<'static, kube::Result<WatchEvent<Watched<T>>>>;

/// How far a watch is.
enum State<T: Watchable> {
    /// Nothing is known of any object.
    Unlisted,
    /// A list is read, page by page; the token says which comes next.
    Paging { next: Option<String>, objects: std::vec::IntoIter<Watched<T>>, version: String },
    /// The list comes as events.
    Streaming(Events<T>),
    /// All objects are known as they were at a version.
    Listed(String),
    /// Changes from a version on are heard of.
    Watching(String, Events<T>),
}

/// How the API server lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listing {
    /// As the first events of a watch, which spares both sides the whole list in memory.
    Streamed,
    /// In pages, as API servers before 1.32 do.
    Paged,
}

/// What follows from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remedy {
    /// The same again.
    Retry,
    /// A list: where the watch was is not known any more, or not yet.
    Relist,
    /// A list, in pages.
    ListPaged,
}

impl<T: Watchable> Watch<T> {
    pub(super) fn new(client: &Client, selection: Selection) -> Self {
        let api = Api::all(client.clone());
        let (state, outage) = (State::Unlisted, Outage::default());
        Self { api, selection, state, listing: Listing::Streamed, outage }
    }

    /// All there is to hear; without end.
    pub(super) fn stream(self) -> impl Stream<Item = News> + Send {
        unfold(self, async |mut watch| {
            let heard = watch.next().await;
            Some((News { kind: watch.selection.kind, heard }, watch))
        })
    }

    async fn next(&mut self) -> Heard {
        loop {
            match self.advance().await {
                Ok(Some(heard)) => return heard,
                Ok(None) => {}
                Err(error) => {
                    let now = Instant::now();
                    match remedy(&error) {
                        Remedy::ListPaged if self.listing == Listing::Streamed => {
                            self.listing = Listing::Paged;
                            self.state = State::Unlisted;
                            continue;
                        }
                        Remedy::Relist => self.state = State::Unlisted,
                        Remedy::Retry | Remedy::ListPaged => {}
                    }
                    if self.outage.begins(now) {
                        return Heard::Condition(Condition::Failing(words(&error)));
                    }
                    tokio::time::sleep(self.outage.delay(now, fastrand::f64())).await;
                }
            }
        }
    }

    /// Does one thing. What it has to say, if anything.
    async fn advance(&mut self) -> Result<Option<Heard>, kube::Error> {
        match std::mem::replace(&mut self.state, State::Unlisted) {
            State::Unlisted => self.begin_list().await.map(Some),
            State::Paging { next, objects, version } => self.page(next, objects, version).await,
            State::Streaming(mut events) => match events.next().await {
                Some(Ok(event)) => Ok(self.listed(event, events)?),
                Some(Err(error)) => Err(error),
                None => Ok(None),
            },
            State::Listed(version) => {
                self.state = State::Listed(version.clone());
                let events = self.api.watch(&self.parameters(false), &version).await?.boxed();
                self.state = State::Watching(version, events);
                let again = self.outage.ends();
                Ok(again.then_some(Heard::Condition(Condition::Watched { again })))
            }
            State::Watching(version, mut events) => {
                let event = events.next().await;
                // If the stream breaks, it goes on from here.
                self.state = State::Listed(version.clone());
                match event {
                    Some(Ok(event)) => self.changed(event, version, events),
                    // Of an event that cannot be read nothing can be used. The others are no worse.
                    Some(Err(kube::Error::SerdeError(error))) => {
                        self.state = State::Watching(version, events);
                        Ok(Some(Heard::Condition(Condition::Unreadable(error.to_string()))))
                    }
                    Some(Err(error)) => Err(error),
                    None => Ok(None),
                }
            }
        }
    }

    async fn begin_list(&mut self) -> Result<Heard, kube::Error> {
        self.state = match self.listing {
            Listing::Streamed => {
                State::Streaming(self.api.watch(&self.parameters(true), "0").await?.boxed())
            }
            Listing::Paged => {
                let version = String::new();
                State::Paging {
                    next: Some(String::new()),
                    objects: Vec::new().into_iter(),
                    version,
                }
            }
        };
        Ok(Heard::ListBegins)
    }

    /// The next object of a list in pages.
    async fn page(
        &mut self,
        next: Option<String>,
        mut objects: std::vec::IntoIter<Watched<T>>,
        version: String,
    ) -> Result<Option<Heard>, kube::Error> {
        if let Some(object) = objects.next() {
            self.state = State::Paging { next, objects, version };
            return Ok(Some(Heard::Present(object.object.into_object())));
        }
        let Some(token) = next else {
            self.state = State::Listed(version);
            return Ok(Some(Heard::ListEnds));
        };
        let parameters = ListParams {
            label_selector: self.selection.labels.clone(),
            field_selector: self.selection.fields.clone(),
            limit: Some(PAGE),
            continue_token: Some(token).filter(|token| !token.is_empty()),
            ..ListParams::default()
        };
        let list = self.api.list(&parameters).await?;
        self.state = State::Paging {
            next: list.metadata.continue_.filter(|token| !token.is_empty()),
            objects: list.items.into_iter(),
            version: list.metadata.resource_version.unwrap_or_default(),
        };
        Ok(None)
    }

    /// An event of a list that comes as events.
    fn listed(
        &mut self,
        event: WatchEvent<Watched<T>>,
        events: Events<T>,
    ) -> Result<Option<Heard>, kube::Error> {
        let heard = match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                Some(Heard::Present(object.object.into_object()))
            }
            WatchEvent::Deleted(object) => Some(Heard::Gone(object.object.into_object())),
            WatchEvent::Bookmark(bookmark) => {
                let annotations = &bookmark.metadata.annotations;
                if annotations.contains_key("k8s.io/initial-events-end") {
                    let version = bookmark.metadata.resource_version;
                    self.state = State::Watching(version, events);
                    self.outage.ends();
                    return Ok(Some(Heard::ListEnds));
                }
                None
            }
            WatchEvent::Error(status) => return Err(kube::Error::Api(status)),
        };
        self.state = State::Streaming(events);
        Ok(heard)
    }

    /// An event of a watch that is at `version`.
    fn changed(
        &mut self,
        event: WatchEvent<Watched<T>>,
        version: String,
        events: Events<T>,
    ) -> Result<Option<Heard>, kube::Error> {
        let (next, heard) = match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                (object.version(), Some(Heard::Present(object.object.into_object())))
            }
            WatchEvent::Deleted(object) => {
                (object.version(), Some(Heard::Gone(object.object.into_object())))
            }
            WatchEvent::Bookmark(bookmark) => {
                (Some(bookmark.metadata.resource_version), Some(Heard::Bookmark))
            }
            WatchEvent::Error(status) => return Err(kube::Error::Api(status)),
        };
        self.state = State::Watching(next.unwrap_or(version), events);
        Ok(heard)
    }

    fn parameters(&self, send_initial_events: bool) -> WatchParams {
        WatchParams {
            label_selector: self.selection.labels.clone(),
            field_selector: self.selection.fields.clone(),
            timeout: Some(WATCH_SECONDS),
            bookmarks: true,
            send_initial_events,
        }
    }
}

/// What follows from a failure.
fn remedy(error: &kube::Error) -> Remedy {
    let kube::Error::Api(status) = error else { return Remedy::Retry };
    match status.code {
        410 => Remedy::Relist,
        // A server that was restored from a backup has yet to come to the version that is asked for.
        504 if status.message.contains("Too large resource version") => Remedy::Relist,
        // What `sendInitialEvents` says to a server that does not know it.
        400 | 422 => Remedy::ListPaged,
        _ => Remedy::Retry,
    }
}

/// The error with its causes, once each.
pub(super) fn words(error: &kube::Error) -> String {
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let more = error.to_string();
        if !words.contains(&more) {
            words = format!("{words}: {more}");
        }
        cause = error.source();
    }
    words
}
