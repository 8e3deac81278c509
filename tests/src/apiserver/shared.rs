//! What the handle, and every connection, see and change.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::access::Access;
use super::fault::Faults;
use super::journal::Journal;
use super::request::Streaming;
use super::store::Store;
use super::wire::Lines;

/// How long watches live that do not say how long. Servers choose between 30 and 60 minutes.
pub(super) const WATCH: Duration = Duration::from_mins(40);

/// The state of a server.
#[derive(Debug)]
pub(super) struct Shared {
    store: Mutex<Store>,
    access: Mutex<Access>,
    faults: Mutex<Faults>,
    journal: Mutex<Journal>,
    pub(super) lines: Arc<Lines>,
    /// Told after every change of the store or the faults: watches look again.
    changed: watch::Sender<()>,
    pub(super) manners: Manners,
}

/// How a server does what it is free to do in several ways.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manners {
    /// How often an idle watch is told the revision.
    pub(super) bookmark_every: Duration,
    pub(super) streaming: Streaming,
}

impl Shared {
    pub(super) fn new(store: Store, access: Access, manners: Manners) -> Self {
        Self {
            store: Mutex::new(store),
            access: Mutex::new(access),
            faults: Mutex::default(),
            journal: Mutex::default(),
            lines: Arc::default(),
            changed: watch::Sender::new(()),
            manners,
        }
    }

    pub(super) fn store(&self) -> MutexGuard<'_, Store> {
        lock(&self.store)
    }

    pub(super) fn access(&self) -> MutexGuard<'_, Access> {
        lock(&self.access)
    }

    pub(super) fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.faults)
    }

    pub(super) fn journal(&self) -> MutexGuard<'_, Journal> {
        lock(&self.journal)
    }

    /// Makes watches look for news.
    pub(super) fn announce(&self) {
        self.changed.send_replace(());
    }

    /// Hears of everything that is announced from now on.
    pub(super) fn news(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The time of day in the form of `creationTimestamp`.
pub(super) fn now() -> String {
    let seconds = jiff::Timestamp::now().as_second();
    jiff::Timestamp::from_second(seconds).expect("now is a time").to_string()
}
