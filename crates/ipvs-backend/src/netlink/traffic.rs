//! Counts what crosses the sockets, so that "the work follows the change" can be tested.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Running totals of netlink messages, shared by every connection given the same `Arc<Traffic>`.
///
/// One request is one netlink message; an ipset message that carries 200 entries counts once.
#[derive(Debug, Default)]
pub struct Traffic {
    sends: AtomicU64,
    requests: AtomicU64,
    mutations: AtomicU64,
    dumps: AtomicU64,
    replies: AtomicU64,
}

/// The totals of a [`Traffic`] at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrafficCounts {
    /// Calls of `send`.
    pub sends: u64,
    /// Request messages in those sends.
    pub requests: u64,
    /// Requests that change the kernel: neither a query nor a dump.
    pub mutations: u64,
    /// Requests for a dump, repeats of an interrupted one included.
    pub dumps: u64,
    /// Messages received: data, acknowledgements, errors and ends of dumps.
    pub replies: u64,
}

/// What a request is, for the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestClass {
    Mutation,
    Query,
    Dump,
}

impl Traffic {
    /// The totals so far.
    #[must_use]
    pub fn counts(&self) -> TrafficCounts {
        TrafficCounts {
            sends: self.sends.load(Relaxed),
            requests: self.requests.load(Relaxed),
            mutations: self.mutations.load(Relaxed),
            dumps: self.dumps.load(Relaxed),
            replies: self.replies.load(Relaxed),
        }
    }

    pub(super) fn count_send(&self, requests: usize, class: RequestClass) {
        let requests = requests as u64;
        self.sends.fetch_add(1, Relaxed);
        self.requests.fetch_add(requests, Relaxed);
        match class {
            RequestClass::Mutation => self.mutations.fetch_add(requests, Relaxed),
            RequestClass::Dump => self.dumps.fetch_add(requests, Relaxed),
            RequestClass::Query => 0,
        };
    }

    pub(super) fn count_reply(&self) {
        self.replies.fetch_add(1, Relaxed);
    }
}

impl TrafficCounts {
    /// What was added since `earlier`.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self {
            sends: self.sends.wrapping_sub(earlier.sends),
            requests: self.requests.wrapping_sub(earlier.requests),
            mutations: self.mutations.wrapping_sub(earlier.mutations),
            dumps: self.dumps.wrapping_sub(earlier.dumps),
            replies: self.replies.wrapping_sub(earlier.replies),
        }
    }
}
