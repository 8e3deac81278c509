//! What goes wrong on purpose.
//!
//! Faults of a *line* (all bytes of all connections) are in [`super::wire`]; these are faults of
//! requests and of watches.

use super::request::Asked;
use super::status::Refusal;

/// Which requests a fault is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    verb: Option<String>,
    resource: Option<String>,
}

impl Requests {
    /// Every request for objects.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Those of one verb, `watch`.
    #[must_use]
    pub fn verb(self, verb: &str) -> Self {
        Self { verb: Some(verb.to_owned()), ..self }
    }

    /// Those for one resource, `services`.
    #[must_use]
    pub fn resource(self, resource: &str) -> Self {
        Self { resource: Some(resource.to_owned()), ..self }
    }

    fn contain(&self, asked: &Asked) -> bool {
        let is = |wanted: &Option<String>, given: &str| wanted.as_ref().is_none_or(|w| w == given);
        is(&self.verb, asked.verb.name()) && is(&self.resource, asked.kind.plural)
    }
}

/// After what a watch breaks off, without an end: its connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// After so many events, between two lines.
    Events(usize),
    /// After so many bytes, wherever that is in a line.
    Bytes(usize),
}

/// Whether a watch tells each event once, as it should.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Telling {
    /// Each event once.
    #[default]
    Once,
    /// Each event twice.
    Twice,
}

/// The faults of requests and of watches.
#[derive(Debug, Default)]
pub(super) struct Faults {
    refusals: Vec<Refusing>,
    cuts: Vec<(Requests, Cut)>,
    muted: Vec<Requests>,
    pub(super) telling: Telling,
    /// Watches that began under another number end.
    pub(super) ended: u64,
    /// Watches that began under another number are told that they expired, and end.
    pub(super) expired: u64,
}

#[derive(Debug)]
struct Refusing {
    requests: Requests,
    left: usize,
    refusal: Refusal,
}

impl Faults {
    pub(super) fn refuse_next(&mut self, count: usize, requests: Requests, refusal: Refusal) {
        self.refusals.push(Refusing { requests, left: count, refusal });
    }

    pub(super) fn cut_watches(&mut self, requests: Requests, cut: Cut) {
        self.cuts.push((requests, cut));
    }

    pub(super) fn mute(&mut self, requests: Requests) {
        self.muted.push(requests);
    }

    /// No more faults of requests and watches.
    pub(super) fn clear(&mut self) {
        let Self { ended, expired, .. } = *self;
        *self = Self { ended, expired, ..Self::default() };
    }

    /// Takes one refusal that is due for a request.
    pub(super) fn refusal(&mut self, asked: &Asked) -> Option<Refusal> {
        let due = self.refusals.iter_mut().find(|one| one.requests.contain(asked))?;
        due.left = due.left.saturating_sub(1);
        let refusal = due.refusal.clone();
        self.refusals.retain(|one| one.left > 0);
        Some(refusal)
    }

    /// After what a watch breaks off.
    pub(super) fn cut(&self, asked: &Asked) -> Option<Cut> {
        self.cuts.iter().find(|(requests, _)| requests.contain(asked)).map(|(_, cut)| *cut)
    }

    /// Whether a watch says nothing although it is open.
    pub(super) fn is_muted(&self, asked: &Asked) -> bool {
        self.muted.iter().any(|requests| requests.contain(asked))
    }
}
