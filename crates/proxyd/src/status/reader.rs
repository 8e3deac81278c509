//! Reads what the kernel counts, for all who look at the same time at once.
//!
//! A look that comes while the kernel is read waits for the next reading, with all others that came
//! meanwhile: so nobody waits longer than for two readings, however many look.

use std::fmt::{self, Debug, Formatter};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::oneshot::{Sender, channel};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::counts::{Counts, Wanted};
use super::earlier::{Before, Due, Earlier, FORGET};
use crate::metrics::Counters;

/// What the kernel counts, and an earlier reading that makes rates of it.
#[derive(Clone, Debug)]
pub(super) struct Numbers {
    pub(super) counts: Arc<Counts>,
    pub(super) before: Option<Arc<Before>>,
}

/// Or why it could not be read.
type Outcome = Result<Numbers, String>;

/// Whether somebody had to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    None,
    Some,
}

/// Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Reader(Arc<Shared>);

struct Shared {
    /// What the next reading is for.
    looks: Mutex<Vec<(Wanted, Sender<Outcome>)>>,
    earlier: Mutex<Earlier>,
    /// Held by the thread that reads.
    read: Mutex<Box<Read>>,
}

type Read = dyn FnMut(&Wanted) -> Result<Counts, String> + Send;

impl Reader {
    /// Of the kernel, over sockets that are opened at the first look.
    pub(super) fn of_kernel() -> Self {
        let mut place = None;
        let mut read = move |wanted: &Wanted| -> anyhow::Result<Counts> {
            let mut kernel: Counters = place.take().map_or_else(Counters::open, Ok)?;
            let counts = Counts::read(&mut kernel, wanted)?;
            place = Some(kernel);
            Ok(counts)
        };
        Self::new(move |wanted| read(wanted).map_err(|error| format!("{error:#}")))
    }

    fn new(read: impl FnMut(&Wanted) -> Result<Counts, String> + Send + 'static) -> Self {
        let read: Box<Read> = Box::new(read);
        let (looks, earlier) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Shared { looks, earlier, read: Mutex::new(read) }))
    }

    /// Waits until a reading makes rates. All who wait at the same time wait for the same.
    pub(super) async fn ready(&self) -> Wait {
        let mut due = self.0.due();
        if due == Due::Now {
            return Wait::None;
        }
        if due == Due::Unknown {
            // It is noted, or fails as the next one will.
            drop(self.read(Wanted::default()).await);
            due = self.0.due();
        }
        if let Due::In(rest) = due {
            sleep(rest).await;
        }
        Wait::Some
    }

    /// A reading that begins now or later.
    pub(super) async fn read(&self, wanted: Wanted) -> Outcome {
        let (sender, outcome) = channel();
        lock(&self.0.looks).push((wanted, sender));
        let shared = Arc::clone(&self.0);
        // Whoever is first reads for all; others of them find nothing left to do.
        spawn_blocking(move || shared.read());
        self.forget_later();
        outcome.await.unwrap_or_else(|_| Err("the thread that reads it panicked".to_owned()))
    }

    fn forget_later(&self) {
        let shared = Arc::downgrade(&self.0);
        tokio::spawn(async move {
            sleep(FORGET).await;
            if let Some(shared) = shared.upgrade() {
                lock(&shared.earlier).forget(Instant::now());
            }
        });
    }
}

impl Shared {
    fn due(&self) -> Due {
        lock(&self.earlier).due(Instant::now())
    }

    fn read(&self) {
        let mut read = lock(&self.read);
        let looks = mem::take(&mut *lock(&self.looks));
        if looks.is_empty() {
            return;
        }
        let (wanted, senders): (Vec<_>, Vec<_>) = looks.into_iter().unzip();
        let wanted = wanted.into_iter().reduce(Wanted::and).unwrap_or_default();
        let outcome = read(&wanted).map(|counts| {
            let mut earlier = lock(&self.earlier);
            let before = earlier.against(counts.read);
            earlier.note(&counts);
            Numbers { counts: Arc::new(counts), before }
        });
        for sender in senders {
            // Whoever is gone needs nothing.
            let _ = sender.send(outcome.clone());
        }
    }
}

impl Debug for Shared {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Shared").field("earlier", &self.earlier).finish_non_exhaustive()
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashMap};
    use std::thread;
    use std::time::Duration;

    use futures::future::join_all;
    use proxy_core::{Protocol, VirtualServerKey};
    use tokio::runtime::Builder;

    use super::*;

    fn key(port: u16) -> VirtualServerKey {
        let (address, port) = ("10.0.0.1".parse().unwrap(), port.try_into().unwrap());
        VirtualServerKey { address, protocol: Protocol::Tcp, port }
    }

    fn only(port: u16) -> Wanted {
        Wanted::Only(BTreeSet::from([key(port)]))
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    #[test]
    fn looks_at_the_same_time_share_what_is_read() {
        let asked = Arc::<Mutex<Vec<Wanted>>>::default();
        let log = Arc::clone(&asked);
        let reader = Reader::new(move |wanted| {
            lock(&log).push(wanted.clone());
            thread::sleep(Duration::from_millis(20));
            let (of, left_out) = (HashMap::new(), BTreeSet::new());
            Ok(Counts { read: Instant::now(), of, left_out })
        });
        let look = async |port| (reader.ready().await, reader.read(only(port)).await);
        let looks = run(join_all((1..=24).map(look)));
        for (wait, reading) in looks {
            assert!(wait == Wait::Some && reading.unwrap().before.is_some());
        }
        let asked = mem::take(&mut *lock(&asked));
        assert!(asked.len() < 8, "each look was read for alone: {asked:?}");
        let all = asked.into_iter().reduce(Wanted::and).unwrap();
        assert_eq!(all, Wanted::Only((1..=24).map(key).collect()));
        assert_eq!(run(reader.ready()), Wait::None, "another look finds all it needs");
    }

    #[test]
    fn a_reading_that_fails_is_not_waited_for() {
        let reader = Reader::new(|_| Err("no such kernel".to_owned()));
        let (wait, reading) = run(async { (reader.ready().await, reader.read(only(1)).await) });
        assert_eq!((wait, reading.unwrap_err()), (Wait::Some, "no such kernel".to_owned()));
        assert!(lock(&reader.0.earlier).against(Instant::now()).is_none());
        let broken = Reader::new(|_| panic!("a mistake"));
        for _ in 0..2 {
            assert!(run(broken.read(only(1))).unwrap_err().contains("panicked"));
        }
    }
}
