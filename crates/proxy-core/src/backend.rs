//! The contract between the decisions and a data plane.

use std::fmt;
use std::io;
use std::time::Instant;

use crate::{
    Admission, Delta, DesiredState, Family, FrontendKind, Protocol, Scheduler, VirtualServer,
    VirtualServerKey,
};

/// Makes one node's data plane match a set of virtual servers.
///
/// The promises, of which the suite in `conformance` checks those that can be observed:
/// 1. The caller resyncs before the first `apply`, unless it was prepared, and after any `Err`, so
///    recovery has one path.
/// 2. Both calls are level-triggered and idempotent: the same upsert twice is fine, removing what
///    is not there is success.
/// 3. Memory changes only after the data plane agreed; a failed object stays different and is
///    tried again the next time its virtual server is named.
/// 4. One bad object never stops the next. `Err` means that nothing can be said about single
///    objects: the socket is gone, a module is missing.
/// 5. A failure without a virtual server is about leftovers or the node as a whole; the caller
///    answers with an early resync.
/// 6. No retry, clock, thread, logging policy or Kubernetes type in here: when is the caller's
///    question.
/// 7. Only what the backend owns is touched.
pub trait Backend: Send {
    /// What this data plane can express. Probed when the value is opened; constant after.
    fn capabilities(&self) -> &Capabilities;

    /// Does ahead of the first [`Backend::resync`], while inputs still come in, what depends on
    /// none of them, so that nobody has to wait for it then. What is served now, whoever programmed
    /// it, must stay as it is: where that cannot be, it is left out (`None`). Once it is done,
    /// [`Backend::apply`] may be called before the first resync.
    ///
    /// # Errors
    /// When the state of the data plane is not known afterwards; a resync mends that.
    fn prepare(&mut self) -> Result<Option<Report>, BackendError> {
        Ok(None)
    }

    /// Trusts nothing remembered: reads back, keeps what is right, mends what is not, drops what
    /// is ours and unwanted.
    ///
    /// # Errors
    /// When the state of the data plane is not known afterwards.
    fn resync(&mut self, desired: &DesiredState) -> Result<Report, BackendError>;

    /// Brings only the servers named in `delta` to their new state; the cost follows the delta.
    ///
    /// # Errors
    /// When the state of the data plane is not known afterwards.
    fn apply(&mut self, delta: &Delta) -> Result<Report, BackendError>;

    /// Compares what is there with what should be, mends it and reports the drift. Called in
    /// quiet times, and when somebody asks.
    ///
    /// # Errors
    /// When the state of the data plane is not known afterwards.
    fn audit(&mut self, desired: &DesiredState, extent: Extent) -> Result<Report, BackendError> {
        let _ = extent;
        self.resync(desired)
    }

    /// Does what is due at `now`: ends drained connections, looks at a part of what is too much to
    /// read at once. Says when to be called next.
    ///
    /// # Errors
    /// When the state of the data plane is not known afterwards.
    fn maintain(&mut self, now: Instant) -> Result<Maintenance, BackendError> {
        let _ = now;
        Ok(Maintenance::default())
    }

    /// Removes everything this backend owns; also on a fresh value, also twice.
    ///
    /// # Errors
    /// When it is not known what is left.
    fn cleanup(&mut self) -> Result<Report, BackendError>;
}

/// How much of the data plane an audit compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// What a few reads show; a backend with much to read compares the rest in turns, in
    /// [`Backend::maintain`].
    Part,
    /// Everything, however long it takes.
    Whole,
}

/// A pointer to a backend is that backend.
macro_rules! forward {
    ($pointer:ty) => {
        impl<B: Backend + ?Sized> Backend for $pointer {
            fn capabilities(&self) -> &Capabilities {
                (**self).capabilities()
            }

            fn prepare(&mut self) -> Result<Option<Report>, BackendError> {
                (**self).prepare()
            }

            fn resync(&mut self, desired: &DesiredState) -> Result<Report, BackendError> {
                (**self).resync(desired)
            }

            fn apply(&mut self, delta: &Delta) -> Result<Report, BackendError> {
                (**self).apply(delta)
            }

            fn audit(
                &mut self,
                desired: &DesiredState,
                extent: Extent,
            ) -> Result<Report, BackendError> {
                (**self).audit(desired, extent)
            }

            fn maintain(&mut self, now: Instant) -> Result<Maintenance, BackendError> {
                (**self).maintain(now)
            }

            fn cleanup(&mut self) -> Result<Report, BackendError> {
                (**self).cleanup()
            }
        }

        impl<B: Inspect + ?Sized> Inspect for $pointer {
            fn inspect(&mut self) -> Result<Vec<VirtualServer>, BackendError> {
                (**self).inspect()
            }
        }
    };
}

forward!(Box<B>);
forward!(&mut B);

/// Reads back what a data plane serves. Apart from [`Backend`], so that only those who want the
/// conformance suite must write it.
pub trait Inspect: Backend {
    /// The virtual servers that are in place now, as far as the data plane can tell them apart.
    ///
    /// # Errors
    /// When the data plane cannot be read.
    fn inspect(&mut self) -> Result<Vec<VirtualServer>, BackendError>;
}

/// What was done. A key that is not listed as failed is in place.
#[must_use]
#[derive(Debug, Default)]
pub struct Report {
    /// What could not be done.
    pub failed: Vec<Failure>,
    /// What was found different from what this backend had left there, and was mended.
    pub drift: Vec<Drift>,
    /// How many objects of the data plane were created, changed or removed.
    pub changes: usize,
}

impl Report {
    /// Adds what another report says.
    pub fn merge(&mut self, other: Self) {
        let Self { failed, drift, changes } = other;
        self.failed.extend(failed);
        self.drift.extend(drift);
        self.changes += changes;
    }
}

/// What a backend did by itself, and when it has something to do next.
#[must_use]
#[derive(Debug, Default)]
pub struct Maintenance {
    /// What was done.
    pub report: Report,
    /// When to call again; `None` until something else was asked.
    pub next: Option<Instant>,
}

/// An object that could not be brought to its state.
#[derive(Debug)]
pub struct Failure {
    /// The virtual server it belongs to; `None` for leftovers and what belongs to the node.
    pub server: Option<VirtualServerKey>,
    /// The object in the data plane's words.
    pub object: String,
    /// What happened.
    pub error: ObjectError,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.object, self.error)
    }
}

/// Why one object could not be brought to its state.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectError {
    /// The data plane has no such thing; trying again is of no use.
    #[error("not supported: {0}")]
    Unsupported(Feature),
    /// Something that is not ours is in the way.
    #[error("something else has it")]
    Conflict,
    /// A table is full.
    #[error("no room is left")]
    Exhausted,
    /// The data plane said no.
    #[error("refused")]
    Rejected(#[source] io::Error),
}

/// A difference between the data plane and what was left there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// The object in the data plane's words.
    pub object: String,
    /// How it differed.
    pub kind: DriftKind,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.kind {
            DriftKind::Missing => "was missing",
            DriftKind::Changed => "was changed",
            DriftKind::Unexpected => "was not ours to leave",
        };
        write!(f, "{} {how}", self.object)
    }
}

/// How an object differed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DriftKind {
    /// It was gone.
    Missing,
    /// It had other values.
    Changed,
    /// It was there, is ours by the ownership rule, and is not wanted.
    Unexpected,
}

/// Nothing can be said about single objects; resync.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// The connection to the data plane failed in the middle of something.
    #[error("{attempt}")]
    Io {
        /// What was attempted.
        attempt: String,
        /// The cause.
        source: io::Error,
    },
    /// The data plane lacks something without which it cannot work.
    #[error("{what} is missing: {remedy}")]
    Missing {
        /// What is missing.
        what: String,
        /// What to do about it.
        remedy: String,
    },
}

/// What a data plane can express. Constant data; what it cannot is parked and reported before it
/// is ever asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Families it can serve.
    pub families: Vec<Family>,
    /// Protocols it can serve.
    pub protocols: Vec<Protocol>,
    /// Kinds of frontend it can serve.
    pub frontends: Vec<FrontendKind>,
    /// Schedulers it has.
    pub schedulers: Vec<Scheduler>,
    /// Whether a client can keep its real server.
    pub session_affinity: bool,
    /// Whether clients can be admitted by source range.
    pub source_ranges: bool,
    /// Whether outside and inside clients of one address can have different real servers.
    pub split_audiences: bool,
}

impl Capabilities {
    /// Everything there is.
    #[must_use]
    pub fn all() -> Self {
        Self {
            families: Family::ALL.to_vec(),
            protocols: vec![Protocol::Tcp, Protocol::Udp, Protocol::Sctp],
            frontends: vec![
                FrontendKind::ClusterIp,
                FrontendKind::LoadBalancer,
                FrontendKind::ExternalIp,
                FrontendKind::NodePort,
            ],
            schedulers: Scheduler::ALL.to_vec(),
            session_affinity: true,
            source_ranges: true,
            split_audiences: true,
        }
    }

    /// The first thing `server` needs that is not there.
    #[must_use]
    pub fn missing_for(&self, server: &VirtualServer) -> Option<Feature> {
        let VirtualServer { key, kind, scheduler, session_affinity, admission, .. } = server;
        if !self.families.contains(&key.family()) {
            return Some(Feature::Family(key.family()));
        }
        if !self.protocols.contains(&key.protocol) {
            return Some(Feature::Protocol(key.protocol));
        }
        if !self.frontends.contains(kind) {
            return Some(Feature::Frontend(*kind));
        }
        if !self.schedulers.contains(scheduler) {
            return Some(Feature::Scheduler(*scheduler));
        }
        if session_affinity.is_some() && !self.session_affinity {
            return Some(Feature::SessionAffinity);
        }
        if *admission != Admission::Anyone && !self.source_ranges {
            return Some(Feature::SourceRanges);
        }
        (server.split() && !self.split_audiences).then_some(Feature::SplitAudiences)
    }
}

/// Something a data plane may not be able to express.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Feature {
    /// An address family.
    Family(Family),
    /// A transport protocol.
    Protocol(Protocol),
    /// A kind of frontend.
    Frontend(FrontendKind),
    /// A scheduler.
    Scheduler(Scheduler),
    /// Clients that keep their real server.
    SessionAffinity,
    /// Admission by source range.
    SourceRanges,
    /// Different real servers for outside and inside clients.
    SplitAudiences,
    /// Something else, in the data plane's words.
    Other(&'static str),
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Family(family) => write!(f, "{family}"),
            Self::Protocol(protocol) => write!(f, "{protocol}"),
            Self::Frontend(kind) => write!(f, "{kind} frontends"),
            Self::Scheduler(scheduler) => write!(f, "the scheduler {scheduler}"),
            Self::SessionAffinity => f.write_str("session affinity"),
            Self::SourceRanges => f.write_str("source ranges"),
            Self::Other(what) => f.write_str(what),
            Self::SplitAudiences => {
                f.write_str("different servers for clients outside and inside the cluster")
            }
        }
    }
}
