//! What was asked, for assertions.

use std::collections::VecDeque;

/// The latest requests; older ones are only counted.
const KEPT: usize = 100_000;

/// A request as it came, with what came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Recorded {
    /// `list`, `watch`, ...; for paths that are not of objects the method in small letters.
    pub verb: String,
    /// The API group; "" is the core.
    pub group: String,
    /// `services`; empty for paths that are not of objects.
    pub resource: String,
    /// The namespace; "" is all.
    pub namespace: String,
    /// The object; "" is a collection.
    pub name: String,
    /// Path and query, as they came.
    pub uri: String,
    /// `labelSelector`
    pub label_selector: String,
    /// `fieldSelector`
    pub field_selector: String,
    /// `resourceVersion`
    pub resource_version: String,
    /// Whether it began with what was there (`sendInitialEvents`).
    pub streaming: bool,
    /// Who asked; empty when nobody can say.
    pub user: String,
    /// What program asked.
    pub user_agent: String,
    /// The HTTP status of the answer.
    pub status: u16,
}

/// All requests.
#[derive(Debug, Default)]
pub(super) struct Journal {
    latest: VecDeque<Recorded>,
    count: u64,
}

impl Journal {
    pub(super) fn record(&mut self, request: Recorded) {
        self.count += 1;
        if self.latest.len() == KEPT {
            self.latest.pop_front();
        }
        self.latest.push_back(request);
    }

    pub(super) fn latest(&self) -> impl Iterator<Item = &Recorded> {
        self.latest.iter()
    }

    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn clear(&mut self) {
        self.latest.clear();
    }
}
