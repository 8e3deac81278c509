//! Questions to the driver, one at a time: what is asked of one that does not answer does not pile up.
//!
//! Everybody who asks waits as long as the driver may take, and no longer because others ask, too.

use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex as Lock, PoisonError};
use std::time::{Duration, Instant};

use hyper::StatusCode;
use tokio::sync::oneshot::{Receiver, channel};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{self, timeout, timeout_at};

use super::document::Repaired;
use super::inquiry::{Inquiry, Known, Scope};
use super::server::Failed;
use crate::driver::Input;

/// The driver's: a step of it may be long.
const PATIENCE: Duration = Duration::from_secs(5);
/// To mend everything may take it so long.
const REPAIR: Duration = Duration::from_secs(100);

/// The way to the driver. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Questions(Arc<Way>);

#[derive(Debug)]
struct Way {
    inputs: Sender<Input>,
    /// The answer that is waited for. Whoever's turn it is has the lock.
    outstanding: Mutex<Option<Receiver<Known>>>,
    /// Since when.
    asked: Lock<Option<Instant>>,
}

impl Questions {
    /// They go to the driver as `inputs`.
    pub(super) fn new(inputs: Sender<Input>) -> Self {
        Self(Arc::new(Way { inputs, outstanding: Mutex::default(), asked: Lock::default() }))
    }

    /// What the driver knows, as soon as it says so.
    pub(super) async fn ask(&self, scope: Scope) -> Result<Known, Failed> {
        let deadline = time::Instant::now() + PATIENCE;
        let mut turn = self.0.turn(deadline).await?;
        let (sender, answer) = channel();
        self.0.tell(Inquiry::Know(scope, sender))?;
        *self.0.asked() = Some(Instant::now());
        *turn = Some(answer);
        self.0.answer(&mut turn, deadline).await
    }

    /// Has everything compared and mended.
    pub(super) async fn repair(&self) -> Result<Repaired, Failed> {
        let (sender, answer) = channel();
        {
            let _turn = self.0.turn(time::Instant::now() + PATIENCE).await?;
            self.0.tell(Inquiry::Repair(sender))?;
        }
        match timeout(REPAIR, answer).await {
            Ok(repaired) => repaired.map_err(|_| stopping()),
            Err(_) => Err(busy(REPAIR)),
        }
    }
}

impl Way {
    /// Waits until nobody else's answer is outstanding: nothing more is asked before it comes.
    async fn turn(
        &self,
        deadline: time::Instant,
    ) -> Result<MutexGuard<'_, Option<Receiver<Known>>>, Failed> {
        let turn = timeout_at(deadline, self.outstanding.lock()).await;
        let mut turn = turn.map_err(|_| self.busy())?;
        if turn.is_some() {
            // Who asked for it did not wait so long.
            drop(self.answer(&mut turn, deadline).await?);
        }
        Ok(turn)
    }

    /// The answer that is outstanding, which it is on if it does not come in time.
    async fn answer(
        &self,
        outstanding: &mut Option<Receiver<Known>>,
        deadline: time::Instant,
    ) -> Result<Known, Failed> {
        let answer = outstanding.as_mut().expect("something was asked");
        let known = timeout_at(deadline, answer).await.map_err(|_| self.busy())?;
        *outstanding = None;
        known.map_err(|_| stopping())
    }

    fn tell(&self, inquiry: Inquiry) -> Result<(), Failed> {
        self.inputs.send(Input::Asked(inquiry)).map_err(|_| stopping())
    }

    fn asked(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn busy(&self) -> Failed {
        busy(self.asked().map_or(PATIENCE, |since| since.elapsed()))
    }
}

fn stopping() -> Failed {
    (StatusCode::SERVICE_UNAVAILABLE, "the daemon is about to stop".to_owned())
}

fn busy(time: Duration) -> Failed {
    let words = format!(
        "the daemon has been busy with the kernel for {} s and does not answer; `proxyd diff` \
         with --manifests or --config and `proxyd bundle` work without it",
        time.as_secs()
    );
    (StatusCode::SERVICE_UNAVAILABLE, words)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures::future::join_all;
    use tokio::runtime::Builder;

    use super::*;

    #[test]
    fn a_driver_that_does_not_answer_is_asked_one_thing_and_all_who_ask_wait_equally_long() {
        let (inputs, receiver) = mpsc::channel();
        let questions = Questions::new(inputs);
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        let ask = async || {
            let begin = time::Instant::now();
            let (status, words) = questions.ask(Scope::Everything).await.unwrap_err();
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
            assert!(words.contains("the daemon has been busy"), "{words}");
            let waited = begin.elapsed();
            assert!(
                (PATIENCE..PATIENCE + Duration::from_millis(100)).contains(&waited),
                "{waited:?}"
            );
        };
        runtime.unwrap().block_on(async {
            for _ in 0..2 {
                join_all((0..24).map(|_| ask())).await;
            }
            assert_eq!(receiver.try_iter().count(), 1, "what is asked does not pile up");
            drop(receiver);
            for _ in 0..2 {
                let (_, words) = questions.ask(Scope::Everything).await.unwrap_err();
                assert_eq!(words, "the daemon is about to stop");
            }
        });
    }
}
