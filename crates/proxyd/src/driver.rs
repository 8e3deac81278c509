//! The loop that drives a backend: inputs in, steps out. It runs on a thread of its own, since a
//! backend's calls block.

use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use proxy_core::Event;
use proxy_core::reconciler::Reconciler;

use crate::health::{Now, Publisher};
use crate::journal::Journal;
use crate::metrics::Recorder;
use crate::network::{self, Networked, News};
use crate::node_facts::NodeFacts;
use crate::notice::Notices;
use crate::reload::Live;
use crate::source::{Changes, Problem};
use crate::spare::Spare;
use crate::status::{Chronicle, Inquiry};

/// All that can happen to the driver, besides time passing.
#[derive(Debug)]
pub(crate) enum Input {
    /// Objects became known.
    Events(Vec<Event>),
    /// The node's network changed.
    Network(News),
    /// The configuration changed.
    Settings(Live),
    /// What became known so far is complete: programming may begin.
    Complete,
    /// Some problems of objects are new, others are over.
    Problems { new: Vec<Problem>, solved: Vec<Problem> },
    /// Somebody wants to know something.
    Asked(Inquiry),
    /// Compare everything with the kernel now.
    Audit,
    /// Go, and leave everything in place.
    Stop,
}

impl Input {
    /// What is new about problems, taken out of `changes`; `None` for nothing.
    pub(crate) fn of_problems(changes: &mut Changes) -> Option<Self> {
        let (new, solved) =
            (std::mem::take(&mut changes.problems), std::mem::take(&mut changes.solved));
        (!new.is_empty() || !solved.is_empty()).then_some(Self::Problems { new, solved })
    }
}

/// Carries out inputs until it is told to stop, or nobody is left to tell it anything.
pub(crate) fn drive<B: Networked>(
    mut reconciler: Reconciler<B>,
    mut facts: NodeFacts,
    mut publisher: Publisher,
    mut recorder: Recorder,
    notices: Notices,
    mut spare: Spare,
    inputs: &Receiver<Input>,
) {
    let mut journal = Journal::new(notices);
    let mut chronicle = Chronicle::new(Instant::now());
    if let Err(error) = reconciler.prepare() {
        journal.failed(&error);
    }
    let mut now = Now::read();
    loop {
        publisher.step_begins(&reconciler, now);
        recorder.step_begins(&reconciler, now.wall);
        let step = reconciler.step(now.steady);
        let begin = std::mem::replace(&mut now, Now::read());
        let took = now.steady.saturating_duration_since(begin.steady);
        journal.step(&step, reconciler.desired(), took);
        publisher.step(&step.outcome, &reconciler, now);
        recorder.step(&step.outcome, &reconciler, took, now.wall);
        chronicle.step(&step.outcome, now.steady);
        spare.step(&step.outcome, now.steady);
        recorder.measured(&reconciler.backend_mut().take_tally());
        let next = [step.next, spare.due()].into_iter().flatten().min();
        let woken = wait(inputs, next, now.steady);
        now = Now::read();
        match woken {
            Wait::Input(input) => {
                for input in std::iter::once(input).chain(inputs.try_iter()) {
                    match input {
                        Input::Events(events) => {
                            for event in events {
                                publisher.event(&event, &reconciler);
                                recorder.event(&event, &reconciler);
                                network::note_node(&event, &mut facts, &mut reconciler, now.steady);
                                reconciler.handle(event, now.steady);
                            }
                        }
                        Input::Network(news) => {
                            network::take_in(news, &mut facts, &mut reconciler, now.steady);
                        }
                        Input::Settings(live) => {
                            publisher.set_sync_period(live.schedule.audit_interval);
                            reconciler.reschedule(live.schedule, now.steady);
                            network::reconfigure(live, &mut facts, &mut reconciler, now.steady);
                        }
                        Input::Complete => {
                            reconciler.start();
                            chronicle.complete();
                            publisher.started(&reconciler, now);
                        }
                        Input::Problems { new, solved } => chronicle.problems(new, &solved),
                        Input::Asked(inquiry) => {
                            chronicle.answer(inquiry, &mut reconciler, &journal, &facts, now);
                            // That may have taken a while.
                            now = Now::read();
                        }
                        Input::Audit => reconciler.request_audit(),
                        Input::Stop => return,
                    }
                }
            }
            Wait::Due => {}
            Wait::Over => return,
        }
    }
}

/// Why waiting ended.
enum Wait {
    Input(Input),
    Due,
    Over,
}

fn wait(inputs: &Receiver<Input>, until: Option<Instant>, now: Instant) -> Wait {
    let Some(until) = until else {
        return inputs.recv().map_or(Wait::Over, Wait::Input);
    };
    let waited = match until.saturating_duration_since(now) {
        Duration::ZERO => inputs.try_recv().map_err(|error| match error {
            TryRecvError::Empty => RecvTimeoutError::Timeout,
            TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
        }),
        timeout => inputs.recv_timeout(timeout),
    };
    match waited {
        Ok(input) => Wait::Input(input),
        Err(RecvTimeoutError::Timeout) => Wait::Due,
        Err(RecvTimeoutError::Disconnected) => Wait::Over,
    }
}
