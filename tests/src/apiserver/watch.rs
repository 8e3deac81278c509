//! One watch: a stream of lines, from a revision on, until its time is over.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use futures::Stream;
use futures::stream::unfold;
use hyper::body::{Bytes, Frame};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};

use super::fault::{Cut, Faults, Telling};
use super::object::Object;
use super::request::Asked;
use super::shared::{Shared, WATCH};
use super::status::Refusal;
use super::store::{Expired, Range, added};

/// Bytes that are handed over at once, about.
const CHUNK: usize = 64 << 10;
/// Changes that are looked at at once.
const BATCH: usize = 1000;

/// What a watch has told, and will.
pub(super) struct Watch {
    shared: Arc<Shared>,
    asked: Asked,
    range: Range,
    news: watch::Receiver<()>,
    /// Objects that are told as new before any change.
    initial: VecDeque<Arc<Object>>,
    /// Whether the end of `initial` is marked by a bookmark.
    mark: Mark,
    /// The revision up to which everything is told.
    told: u64,
    /// When it ends in good order.
    end: Instant,
    next_bookmark: Instant,
    /// The state of [`Faults::ended`] and [`Faults::expired`] when it began.
    began: (u64, u64),
    lines: usize,
    bytes: usize,
    state: State,
}

/// Whether a bookmark tells where the initial objects end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// There will be one.
    Due,
    /// There is none, or it was told.
    No,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// Closes the connection next.
    Breaking,
    /// Ends in good order next.
    Over,
}

/// Where a watch begins.
pub(super) struct Start {
    pub(super) initial: Vec<Arc<Object>>,
    pub(super) mark: Mark,
    pub(super) told: u64,
}

impl Watch {
    pub(super) fn new(shared: Arc<Shared>, asked: Asked, range: Range, start: Start) -> Self {
        let now = Instant::now();
        let (ended, expired) = {
            let faults = shared.faults();
            (faults.ended, faults.expired)
        };
        Self {
            news: shared.news(),
            range,
            initial: start.initial.into(),
            mark: start.mark,
            told: start.told,
            end: now + asked.query.timeout.unwrap_or(WATCH),
            next_bookmark: now + shared.manners.bookmark_every,
            began: (ended, expired),
            lines: 0,
            bytes: 0,
            state: State::Open,
            shared,
            asked,
        }
    }

    /// The body of the answer.
    pub(super) fn body(self) -> impl Stream<Item = io::Result<Frame<Bytes>>> + Send {
        unfold(self, |mut watch| async move {
            let chunk = watch.next().await?;
            Some((chunk.map(Frame::data), watch))
        })
    }

    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            match self.state {
                State::Open => {}
                State::Over => return None,
                State::Breaking => {
                    // What was said is on its way first.
                    yield_now().await;
                    let reason = "a fault that was asked for";
                    return Some(Err(io::Error::other(reason)));
                }
            }
            self.news.mark_unchanged();
            let chunk = self.chunk();
            if !chunk.is_empty() {
                self.bytes += chunk.len();
                return Some(Ok(chunk.into()));
            }
            if self.state == State::Open {
                let _ = timeout_at(self.end.min(self.next_bookmark), self.news.changed()).await;
            }
        }
    }

    /// What there is to tell now; nothing when that has to be waited for.
    fn chunk(&mut self) -> Vec<u8> {
        let shared = Arc::clone(&self.shared);
        let faults = shared.faults();
        let mut chunk = Chunk { bytes: Vec::new(), lines: self.lines, cut: None };
        chunk.cut = faults.cut(&self.asked).map(|cut| match cut {
            Cut::Events(events) => Cut::Events(events),
            Cut::Bytes(bytes) => Cut::Bytes(bytes.saturating_sub(self.bytes)),
        });
        self.tell(&mut chunk, &faults);
        self.lines = chunk.lines;
        if chunk.is_cut() {
            self.state = State::Breaking;
        }
        chunk.bytes
    }

    fn tell(&mut self, chunk: &mut Chunk, faults: &Faults) {
        if self.began.0 != faults.ended {
            self.state = State::Over;
            return;
        }
        if faults.is_muted(&self.asked) {
            if Instant::now() >= self.end {
                self.state = State::Over;
            }
            self.next_bookmark = self.end;
            return;
        }
        if self.began.1 != faults.expired {
            let horizon = self.shared.store().revision();
            return self.expire(chunk, Expired { horizon });
        }
        while !chunk.is_full() {
            match self.initial.pop_front() {
                Some(object) => chunk.push(&added(self.asked.kind, &object), faults.telling),
                None => break,
            }
        }
        if chunk.is_full() {
            return;
        }
        if self.mark == Mark::Due {
            self.mark = Mark::No;
            chunk.push(
                &self.bookmark(&json!({ "k8s.io/initial-events-end": "true" })),
                faults.telling,
            );
        }
        self.changes(chunk, faults.telling);
        let now = Instant::now();
        if self.state == State::Open && (now >= self.end || now >= self.next_bookmark) {
            self.pause(chunk, now);
        }
    }

    /// Tells what changed.
    fn changes(&mut self, chunk: &mut Chunk, telling: Telling) {
        let shared = Arc::clone(&self.shared);
        let store = shared.store();
        while !chunk.is_full() {
            let before = self.told;
            match store.changes(self.asked.kind, self.told, BATCH) {
                Err(expired) => return self.expire(chunk, expired),
                Ok(changes) => {
                    for change in changes {
                        if chunk.is_full() {
                            return;
                        }
                        if let Some(line) = change.line(self.asked.kind, &self.range) {
                            chunk.push(&line, telling);
                        }
                        self.told = change.revision;
                    }
                }
            }
            if self.told == before {
                // A watch of the future stays where it is.
                self.told = self.told.max(store.revision());
                return;
            }
        }
    }

    /// A bookmark, or the end.
    fn pause(&mut self, chunk: &mut Chunk, now: Instant) {
        if self.asked.query.bookmarks && self.told <= self.shared.store().revision() {
            chunk.push(&self.bookmark(&json!(null)), Telling::Once);
        }
        self.next_bookmark = now + self.shared.manners.bookmark_every;
        if now >= self.end {
            self.state = State::Over;
        }
    }

    fn expire(&mut self, chunk: &mut Chunk, expired: Expired) {
        chunk.push(&error(&Refusal::watch_expired(self.told, expired)), Telling::Once);
        self.state = State::Over;
    }

    fn bookmark(&self, annotations: &serde_json::Value) -> Bytes {
        let kind = self.asked.kind;
        let mut object = kind.zero();
        object["kind"] = kind.kind.into();
        object["apiVersion"] = kind.api_version().into();
        object["metadata"] = json!({ "resourceVersion": self.told.to_string() });
        if !annotations.is_null() {
            object["metadata"]["annotations"] = annotations.clone();
        }
        line("BOOKMARK", &object)
    }
}

/// A watch that begins with a refusal, and ends with it.
pub(super) fn refused(
    refusal: &Refusal,
) -> impl Stream<Item = Result<Frame<Bytes>, Infallible>> + use<> {
    futures::stream::iter([Ok(Frame::data(error(refusal)))])
}

fn error(refusal: &Refusal) -> Bytes {
    line("ERROR", &refusal.status())
}

fn line(name: &str, object: &serde_json::Value) -> Bytes {
    let mut line = json!({ "type": name, "object": object }).to_string().into_bytes();
    line.push(b'\n');
    line.into()
}

/// Lines that are handed over together.
struct Chunk {
    bytes: Vec<u8>,
    lines: usize,
    /// Where it breaks off; bytes are counted from the beginning of the chunk.
    cut: Option<Cut>,
}

impl Chunk {
    fn push(&mut self, line: &[u8], telling: Telling) {
        let times = if telling == Telling::Twice { 2 } else { 1 };
        for _ in 0..times {
            if self.is_cut() {
                return;
            }
            self.bytes.extend_from_slice(line);
            self.lines += 1;
            if let Some(Cut::Bytes(bytes)) = self.cut
                && self.bytes.len() > bytes
            {
                self.bytes.truncate(bytes);
            }
        }
    }

    fn is_full(&self) -> bool {
        self.bytes.len() >= CHUNK || self.is_cut()
    }

    const fn is_cut(&self) -> bool {
        match self.cut {
            Some(Cut::Events(events)) => self.lines >= events,
            Some(Cut::Bytes(bytes)) => self.bytes.len() >= bytes,
            None => false,
        }
    }
}
