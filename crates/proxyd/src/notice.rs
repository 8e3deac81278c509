//! What those should know who look at the cluster and not at a node's log: about this node, or about
//! an object that does not get what it asks for.
//!
//! Whoever has something to say says it and goes on. Where there is a cluster to tell, it becomes an
//! Event there.

use std::sync::mpsc::channel;
use std::time::Duration;

use proxy_core::{ObjectRef, ServiceKey};
use tokio::sync::mpsc::Sender;

/// Whoever ends with a notice waits so long at most until it is told.
const LAST: Duration = Duration::from_secs(5);

/// Something to be known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Notice {
    pub(crate) regarding: Regarding,
    pub(crate) reason: Reason,
    pub(crate) note: String,
}

/// A notice on its way.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) notice: Notice,
    /// Dropped when it is told: who waits for that has the other end.
    pub(crate) waits: Option<std::sync::mpsc::Sender<()>>,
}

/// What it is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Regarding {
    /// This node.
    ThisNode,
    /// A Service.
    Service(ServiceKey),
}

/// Why there is something to say; the name under which it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reason {
    /// The proxy starts.
    Starting,
    /// A field cannot be used.
    InvalidField,
    /// Another Service has the address and port.
    FrontendConflict,
    /// Something works, but hardly as it was meant.
    Unexpected,
    /// The kernel lacks what it takes.
    Unsupported,
    /// The address for health checks of the proxy cannot be had, and it does not go on without.
    FailedToStartProxierHealthcheck,
    /// The address for metrics cannot be had, and it does not go on without.
    FailedToStartMetricServer,
    /// The port for health checks of a Service cannot be had.
    FailedToStartServiceHealthcheck,
    /// Somebody changed what the proxy had made.
    Drift,
    /// The kernel does not say what it holds.
    KernelUnknown,
}

impl Reason {
    /// As Events have it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Starting => "Starting",
            Self::InvalidField => "InvalidField",
            Self::FrontendConflict => "FrontendConflict",
            Self::Unexpected => "UnexpectedConfiguration",
            Self::Unsupported => "UnsupportedFeature",
            Self::FailedToStartProxierHealthcheck => "FailedToStartProxierHealthcheck",
            Self::FailedToStartMetricServer => "FailedToStartMetricServer",
            Self::FailedToStartServiceHealthcheck => "FailedToStartServiceHealthcheck",
            Self::Drift => "DriftMended",
            Self::KernelUnknown => "KernelStateUnknown",
        }
    }

    /// What was being done.
    pub(crate) const fn action(self) -> &'static str {
        match self {
            Self::Starting
            | Self::FailedToStartProxierHealthcheck
            | Self::FailedToStartMetricServer => "StartKubeProxy",
            Self::InvalidField | Self::FrontendConflict | Self::Unexpected | Self::Unsupported => {
                "Program"
            }
            Self::FailedToStartServiceHealthcheck => "Listen",
            Self::Drift | Self::KernelUnknown => "Audit",
        }
    }

    /// Whether somebody should do something about it.
    pub(crate) const fn is_warning(self) -> bool {
        !matches!(self, Self::Starting)
    }
}

/// Where notices go; nowhere by default.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notices(Option<Sender<Said>>);

impl Notices {
    /// Goes where `sender` leads. What finds no room there is lost: there was enough to be known.
    pub(crate) const fn to(sender: Sender<Said>) -> Self {
        Self(Some(sender))
    }

    /// Says something about this node.
    pub(crate) fn node(&self, reason: Reason, note: String) {
        self.say(Notice { regarding: Regarding::ThisNode, reason, note }, None);
    }

    /// Says something about this node and waits a while until it is told: the process ends.
    pub(crate) fn last(&self, reason: Reason, note: String) {
        let (waits, told) = channel();
        self.say(Notice { regarding: Regarding::ThisNode, reason, note }, Some(waits));
        let _ = told.recv_timeout(LAST);
    }

    /// Says something about a Service.
    pub(crate) fn service(&self, service: &ServiceKey, reason: Reason, note: String) {
        let regarding = Regarding::Service(service.clone());
        self.say(Notice { regarding, reason, note }, None);
    }

    /// Says something about an object, if it is one whose authors look for that.
    pub(crate) fn about(&self, object: &ObjectRef, reason: Reason, note: String) {
        if let ObjectRef::Service(service) = object {
            self.service(service, reason, note);
        }
    }

    fn say(&self, notice: Notice, waits: Option<std::sync::mpsc::Sender<()>>) {
        if let Some(sender) = &self.0 {
            let _ = sender.try_send(Said { notice, waits });
        }
    }
}
