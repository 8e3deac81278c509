//! A look at the kernel on a thread of its own: a large one takes a while, and no change waits for it.

use std::io;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use proxy_core::{BackendError, Family, Report};

use super::survey::{Seen, look};
use super::{IpvsBackend, attempting};
use crate::kernel::Kernel;
use crate::op::{Op, Step};

/// How often it is looked whether it has ended.
const POLL: Duration = Duration::from_millis(20);
/// After so many changes in the meantime it is of little use.
const MOST_CHANGES: usize = 4_096;

/// A look that was begun.
#[derive(Debug)]
pub(super) struct Looking<K> {
    answer: Receiver<(K, Result<Seen, BackendError>)>,
    /// What was carried out since. The look may have seen it, or what was there before.
    since: Vec<Op>,
}

impl<K: Kernel> Looking<K> {
    /// Begins one, that leaves the rules out if they are those of the number `agreed`.
    fn begin(mut kernel: K, families: Vec<Family>, agreed: Option<u32>) -> io::Result<Self> {
        let (sender, answer) = mpsc::channel();
        let body = move || {
            let seen = look(&mut kernel, &families, agreed);
            // Nobody may want to know any more.
            let _ = sender.send((kernel, seen));
        };
        thread::Builder::new().name("look".to_owned()).spawn(body)?;
        Ok(Self { answer, since: Vec::new() })
    }

    /// When to see whether it has ended.
    pub(super) fn next(&self, now: Instant) -> Instant {
        now + POLL
    }
}

impl<K: Kernel> IpvsBackend<K> {
    /// Begins a look, unless one is under way. False if that cannot be, for want of descriptors, say.
    pub(super) fn begin_look(&mut self) -> bool {
        if self.looking.is_none() {
            let reader = self.reader.take().map_or_else(|| self.kernel.another(), Ok);
            let families = self.capabilities.families.clone();
            let looking = reader.and_then(|it| Looking::begin(it, families, self.agreed));
            self.looking = looking.ok();
        }
        self.looking.is_some()
    }

    /// Gives the look up, if there is one: what it sees is about to be wrong in more than a few places.
    pub(super) fn give_up_look(&mut self) {
        self.looking = None;
    }

    /// Notes what is carried out while the look is under way.
    pub(super) fn note_for_look(&mut self, steps: &[Step]) {
        if let Some(looking) = &mut self.looking {
            looking.since.extend(steps.iter().map(|step| step.op.clone()));
            if looking.since.len() > MOST_CHANGES {
                self.looking = None;
            }
        }
    }

    /// Compares what the look saw, if it has ended.
    pub(super) fn end_look(&mut self) -> Result<Report, BackendError> {
        let Some(looking) = &mut self.looking else { return Ok(Report::default()) };
        let answer = match looking.answer.try_recv() {
            Ok(answer) => answer,
            Err(TryRecvError::Empty) => return Ok(Report::default()),
            Err(TryRecvError::Disconnected) => {
                self.looking = None;
                let source = io::Error::other("the thread panicked");
                return Err(attempting("look at the kernel on another thread")(source));
            }
        };
        let since = std::mem::take(&mut looking.since);
        self.looking = None;
        let (reader, seen) = answer;
        self.reader = Some(reader);
        let mut seen = seen?;
        // What of it came in the meantime is known best by who did it.
        if since.iter().all(|op| seen.observed.take_over(&self.observed, op)) {
            return self.compare(seen, None);
        }
        Ok(Report::default())
    }
}
