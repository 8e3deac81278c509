//! A watch that is open: whether it works, ended, or went dumb.

use std::time::Duration;

use futures::stream::BoxStream;
use futures::{FutureExt as _, Stream, StreamExt as _};
use kube::api::WatchEvent;
use tokio::time::{Instant, timeout_at};

use super::failure::Failure;
use super::object::{Watchable, Watched};

/// A watch that stands so long works.
const PROOF: Duration = Duration::from_secs(1);

/// A watch of which nothing is heard for so long is given up. API servers send a bookmark to every
/// watch about once a minute.
const SILENCE: Duration = Duration::from_secs(150);

/// One thing that a watch says.
pub(super) type Said<T> = kube::Result<WatchEvent<Watched<T>>>;

/// What an open watch says.
pub(super) struct Events<T: Watchable> {
    events: BoxStream<'static, Said<T>>,
    opened: Instant,
    proof: Proof,
}

/// Whether a watch has stood for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    Pending,
    Given,
}

/// What comes next of a watch.
#[expect(clippy::large_enum_variant, reason = "it is taken apart where it is made")]
pub(super) enum Next<T: Watchable> {
    /// Something was said.
    Event(Said<T>),
    /// It has stood for a while by now.
    Proven,
    /// It ended in good order.
    End,
}

impl<T: Watchable> Events<T> {
    /// Of a watch that was opened just now.
    pub(super) fn new(events: impl Stream<Item = Said<T>> + Send + 'static) -> Self {
        Self { events: events.boxed(), opened: Instant::now(), proof: Proof::Pending }
    }

    /// From here on it tells of changes: as a watch it begins now.
    pub(super) fn begin(&mut self) {
        (self.opened, self.proof) = (Instant::now(), Proof::Pending);
    }

    /// Waits for what comes next.
    ///
    /// # Errors
    /// It ended as soon as it began, or nothing is heard of it.
    pub(super) async fn next(&mut self) -> Result<Next<T>, Failure> {
        // Most of a list is there at once, and needs no clock.
        let next = match self.events.next().now_or_never() {
            Some(next) => Some(next),
            None => self.wait().await,
        };
        match (next, self.proof) {
            (Some(Some(event)), _) => Ok(Next::Event(event)),
            (Some(None), Proof::Given) => Ok(Next::End),
            (Some(None), Proof::Pending) => Err(Failure::Ended),
            (None, Proof::Pending) => {
                self.proof = Proof::Given;
                Ok(Next::Proven)
            }
            (None, Proof::Given) => Err(Failure::Silence),
        }
    }

    /// What is said before it has stood for a while, or has been silent for too long.
    async fn wait(&mut self) -> Option<Option<Said<T>>> {
        let now = Instant::now();
        let limit = match self.proof {
            Proof::Pending => self.opened + PROOF,
            Proof::Given => now + SILENCE,
        };
        match now < limit {
            true => timeout_at(limit, self.events.next()).await.ok(),
            false => None,
        }
    }
}
