//! One kind of object: listed once, then watched from there on.
//!
//! The API server keeps the changes of the last minutes. A watch that ends goes on where it ended;
//! one that comes too late for that begins with a new list.
//! <https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes>

use std::sync::Arc;
use std::time::Duration;
use std::vec;

use futures::Stream;
use futures::stream::unfold;
use kube::Api;
use kube::api::{ListParams, VersionMatch, WatchEvent, WatchParams};

use super::client::ApiServer;
use super::failure::{Failure, Remedy, answer};
use super::kind::{Kind, Selection};
use super::object::{Watchable, Watched};
use super::open_watch::{Events, Next, Said};
use super::outage::Outage;
use crate::source::Object;

/// Objects of a page, in lists that come in pages.
const PAGE: u32 = 500;

/// The API server ends a watch after so many seconds.
const WATCH_SECONDS: u32 = 290;

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
        /// Whether they were not.
        again: bool,
    },
    /// They are not; it is tried again.
    Failing(String),
    /// One could not be read.
    Unreadable(String),
}

/// A watch of one kind of object.
pub(super) struct Watch<T: Watchable> {
    server: Arc<ApiServer>,
    selection: Selection,
    state: State<T>,
    listing: Listing,
    /// From what version on lists are good enough. The first may be of any: it is better than
    /// nothing, and spares a server to which all nodes come at once. Later ones must not go back.
    fresh: &'static str,
    outage: Outage,
    /// Which of several API servers was asked when something failed last.
    turn: usize,
    /// What the outage was said to need.
    advised: Option<&'static str>,
    /// Before the next request.
    pause: Duration,
}

/// How far a watch is.
enum State<T: Watchable> {
    /// Nothing is known of any object.
    Unlisted,
    /// A list is read, page by page; the token says which comes next.
    Paging { next: Option<String>, objects: vec::IntoIter<Watched<T>>, version: String },
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

impl<T: Watchable> Watch<T> {
    pub(super) fn new(server: &Arc<ApiServer>, selection: Selection) -> Self {
        Self {
            server: Arc::clone(server),
            selection,
            state: State::Unlisted,
            listing: Listing::Streamed,
            fresh: "0",
            outage: Outage::default(),
            turn: 0,
            advised: None,
            pause: Duration::ZERO,
        }
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
            // A sleep of no time is one of a millisecond.
            let pause = std::mem::take(&mut self.pause);
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            match self.advance().await {
                Ok(Some(heard)) => return heard,
                Ok(None) => {}
                Err(failure) => {
                    if let Some(heard) = self.fail(&failure).await {
                        return heard;
                    }
                }
            }
        }
    }

    /// Does what follows from a failure, and says it if it is news.
    async fn fail(&mut self, failure: &Failure) -> Option<Heard> {
        match failure.remedy() {
            Remedy::ListPaged if self.listing == Listing::Streamed => {
                self.listing = Listing::Paged;
                self.state = State::Unlisted;
                return None;
            }
            Remedy::Relist => self.state = State::Unlisted,
            Remedy::Reconnect => self.server.renew().await,
            Remedy::Retry | Remedy::ListPaged => {}
        }
        if !failure.is_refusal() {
            self.turn = self.server.fail_over(self.turn).await;
        }
        let now = std::time::Instant::now();
        let mut is_news = self.outage.begins(now);
        self.pause = self.outage.delay(now, fastrand::f64());
        let advice = failure.advice();
        if advice.is_some() {
            // What first failed may not be what has to be mended.
            is_news |= advice != self.advised;
            self.advised = advice;
        }
        is_news.then(|| Heard::Condition(Condition::Failing(failure.to_string())))
    }

    fn api(&self) -> Api<Watched<T>> {
        Api::all(self.server.client())
    }

    /// Does one thing. What it has to say, if anything.
    async fn advance(&mut self) -> Result<Option<Heard>, Failure> {
        match std::mem::replace(&mut self.state, State::Unlisted) {
            State::Unlisted => self.begin_list().await.map(Some),
            State::Paging { next, objects, version } => self.page(next, objects, version).await,
            State::Streaming(mut events) => match events.next().await? {
                Next::Event(event) => self.listed(event.map_err(Failure::Request)?, events),
                Next::Proven => {
                    self.state = State::Streaming(events);
                    Ok(None)
                }
                Next::End => Err(Failure::Ended),
            },
            State::Listed(version) => {
                self.state = State::Listed(version.clone());
                if self.outage.lasts() {
                    self.look_for(&version).await?;
                }
                let events = self.open(&version, false).await?;
                self.state = State::Watching(version, events);
                Ok(None)
            }
            State::Watching(version, mut events) => {
                // If the stream breaks, it goes on from here.
                self.state = State::Listed(version.clone());
                match events.next().await? {
                    Next::Event(event) => self.changed(event, version, events),
                    Next::Proven => {
                        self.state = State::Watching(version, events);
                        self.advised = None;
                        let again = self.outage.ends();
                        Ok(Some(Heard::Condition(Condition::Watched { again })))
                    }
                    Next::End => Ok(None),
                }
            }
        }
    }

    async fn begin_list(&mut self) -> Result<Heard, Failure> {
        self.state = match self.listing {
            Listing::Streamed => State::Streaming(self.open(self.fresh, true).await?),
            Listing::Paged => State::Paging {
                next: Some(String::new()),
                objects: Vec::new().into_iter(),
                version: String::new(),
            },
        };
        Ok(Heard::ListBegins)
    }

    /// The next object of a list in pages.
    async fn page(
        &mut self,
        next: Option<String>,
        mut objects: vec::IntoIter<Watched<T>>,
        version: String,
    ) -> Result<Option<Heard>, Failure> {
        if let Some(object) = objects.next() {
            self.state = State::Paging { next, objects, version };
            return Ok(Some(Heard::Present(object.object.into_object())));
        }
        let Some(token) = next else {
            self.state = State::Listed(version);
            return Ok(Some(self.list_ends()));
        };
        let parameters = ListParams {
            label_selector: self.selection.labels.clone(),
            field_selector: self.selection.fields.clone(),
            limit: Some(PAGE),
            continue_token: Some(token).filter(|token| !token.is_empty()),
            ..ListParams::default()
        };
        let list = answer(self.api().list(&parameters)).await?;
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
        mut events: Events<T>,
    ) -> Result<Option<Heard>, Failure> {
        let heard = match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                Some(Heard::Present(object.object.into_object()))
            }
            WatchEvent::Deleted(object) => Some(Heard::Gone(object.object.into_object())),
            WatchEvent::Bookmark(bookmark) => {
                let annotations = &bookmark.metadata.annotations;
                if annotations.contains_key("k8s.io/initial-events-end") {
                    let version = bookmark.metadata.resource_version;
                    events.begin();
                    self.state = State::Watching(version, events);
                    return Ok(Some(self.list_ends()));
                }
                None
            }
            WatchEvent::Error(status) => return Err(Failure::Request(kube::Error::Api(status))),
        };
        self.state = State::Streaming(events);
        Ok(heard)
    }

    const fn list_ends(&mut self) -> Heard {
        self.fresh = "";
        Heard::ListEnds
    }

    /// What was said by a watch that is at `version`.
    fn changed(
        &mut self,
        event: Said<T>,
        version: String,
        events: Events<T>,
    ) -> Result<Option<Heard>, Failure> {
        let (next, heard) = match event {
            Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)) => {
                (object.version(), Some(Heard::Present(object.object.into_object())))
            }
            Ok(WatchEvent::Deleted(object)) => {
                (object.version(), Some(Heard::Gone(object.object.into_object())))
            }
            Ok(WatchEvent::Bookmark(bookmark)) => {
                (Some(bookmark.metadata.resource_version), Some(Heard::Bookmark))
            }
            Ok(WatchEvent::Error(status)) => {
                return Err(Failure::Request(kube::Error::Api(status)));
            }
            // Of an event that cannot be read nothing can be used. The others are no worse.
            Err(kube::Error::SerdeError(error)) => {
                (None, Some(Heard::Condition(Condition::Unreadable(error.to_string()))))
            }
            Err(error) => return Err(Failure::Request(error)),
        };
        self.outage.moves(std::time::Instant::now);
        self.state = State::Watching(next.unwrap_or(version), events);
        Ok(heard)
    }

    /// Fails if the API server is not at `version` yet: a watch from there on would say nothing
    /// until it is, and miss what changed before.
    async fn look_for(&mut self, version: &str) -> Result<(), Failure> {
        let nothing = self.selection.nothing();
        let parameters = ListParams {
            label_selector: nothing.labels,
            field_selector: nothing.fields,
            version_match: Some(VersionMatch::NotOlderThan),
            resource_version: Some(version.to_owned()),
            ..ListParams::default()
        };
        answer(self.api().list(&parameters)).await.map(drop)
    }

    async fn open(
        &mut self,
        version: &str,
        send_initial_events: bool,
    ) -> Result<Events<T>, Failure> {
        let parameters = WatchParams {
            label_selector: self.selection.labels.clone(),
            field_selector: self.selection.fields.clone(),
            timeout: Some(WATCH_SECONDS),
            bookmarks: true,
            send_initial_events,
        };
        answer(self.api().watch(&parameters, version)).await.map(Events::new)
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
