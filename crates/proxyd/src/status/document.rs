//! What a daemon says about itself and what it serves: the documents of its socket, and of
//! `proxyd status -o json`. Their names are an interface: fields are only ever added. Readers take
//! those of older and newer daemons.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::column::age;

/// A moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Moment {
    /// As RFC 3339 has it, by the clock on the wall.
    pub(crate) at: String,
    /// How long ago that was when the document was written, by a clock that nobody sets.
    pub(crate) age_seconds: f64,
}

/// Everything, or all there is about one Service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Status {
    pub(crate) node: String,
    /// Of the daemon.
    pub(crate) version: String,
    pub(crate) pid: u32,
    /// The network namespace it serves, as `readlink /proc/PID/ns/net` says.
    pub(crate) network_namespace: String,
    /// When the daemon began.
    pub(crate) started: Moment,
    /// When all of this was so.
    pub(crate) as_of: Moment,
    /// `waitingForInputs`, `kernelUnknown`, `behind` or `inStep`.
    pub(crate) state: State,
    /// Why the kernel's state is not known; null if it is.
    pub(crate) broken: Option<String>,
    /// When the kernel was last brought to what is asked for; null if that never was.
    pub(crate) last_change: Option<Moment>,
    /// When everything was last compared with the kernel; null if that never was.
    pub(crate) last_comparison: Option<Moment>,
    pub(crate) pending: Waiting,
    pub(crate) drift: Drifts,
    pub(crate) connections: Reading,
    /// By Service, port, family and kind.
    pub(crate) frontends: Vec<Frontend>,
    /// The worst first.
    pub(crate) problems: Vec<Trouble>,
    /// Only about one Service: every endpoint of it.
    pub(crate) endpoints: Option<Vec<Endpoint>>,
}

/// How far the daemon is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum State {
    /// Not every object was read once, so nothing is programmed.
    #[default]
    WaitingForInputs,
    /// The kernel's answer was lost; everything will be read back.
    KernelUnknown,
    /// Changes wait, or something failed and will be tried again.
    Behind,
    /// Everything that can be is in place.
    InStep,
}

/// What is still to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Waiting {
    /// Services with changes.
    pub(crate) services: usize,
    /// Frontends that failed and will be tried again.
    pub(crate) retries: usize,
    /// Frontends that the kernel cannot serve.
    pub(crate) parked: usize,
}

/// What was found changed by others, and mended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Drifts {
    /// Since the daemon began.
    pub(crate) total: u64,
    /// The latest first; older ones are forgotten.
    pub(crate) recent: Vec<Drifted>,
}

/// An object that was changed by others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Drifted {
    pub(crate) found: Moment,
    /// In the kernel's words.
    pub(crate) object: String,
    /// `missing`, `changed` or `unexpected`.
    pub(crate) kind: String,
}

/// How the numbers of connections were read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Reading {
    /// The time over which connections a second were counted; null if they were not.
    pub(crate) seconds: Option<f64>,
    /// Of so many frontends the servers' connections were not read, to be brief.
    pub(crate) left_out: usize,
    /// Why nothing could be read.
    pub(crate) error: Option<String>,
}

/// An address, protocol and port of a Service on this node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Frontend {
    /// `namespace/name`.
    pub(crate) service: String,
    /// Empty for a port without a name.
    pub(crate) port_name: String,
    /// `ClusterIP`, `ExternalIP`, `LoadBalancer` or `NodePort`.
    pub(crate) kind: String,
    /// `TCP`, `UDP` or `SCTP`.
    pub(crate) protocol: String,
    /// `address:port`.
    pub(crate) address: String,
    /// As the kernel names it.
    pub(crate) scheduler: String,
    /// How long a client keeps its server; null if it need not.
    pub(crate) affinity_seconds: Option<u32>,
    /// `Cluster` or `Local`: the traffic policy that counts for this kind.
    pub(crate) policy: String,
    pub(crate) servers: Servers,
    /// Null if they could not be read.
    pub(crate) traffic: Option<Traffic>,
    /// When it was last changed; at the start, all of them are.
    pub(crate) changed: Option<Moment>,
    /// How many of its objects are in `drift.recent`.
    pub(crate) drift: usize,
    /// How many problems there are with it or its Service.
    pub(crate) problems: usize,
    /// Only about one Service: the servers as they are in the kernel.
    pub(crate) destinations: Option<Vec<Destination>>,
}

/// How many servers there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Servers {
    /// For new connections of clients outside the cluster.
    pub(crate) outside: usize,
    /// For those of pods and nodes.
    pub(crate) inside: usize,
    /// Servers of either.
    pub(crate) ready: usize,
    /// At weight 0, until their connections end; null if that could not be read.
    pub(crate) draining: Option<usize>,
    /// Endpoints of the Service's port that are not used here.
    pub(crate) unused: usize,
    /// What clients outside get, `reject` or `drop`; null while there are servers for them.
    pub(crate) outside_when_empty: Option<String>,
    /// What pods and nodes get.
    pub(crate) inside_when_empty: Option<String>,
}

/// What passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Traffic {
    /// Connections that are established; null if the servers were left out.
    pub(crate) active: Option<u64>,
    /// Connections in other states, closing ones mostly, and all of UDP.
    pub(crate) inactive: Option<u64>,
    /// New ones a second; null if they were not counted twice.
    pub(crate) per_second: Option<f64>,
    /// Since the frontend was made.
    pub(crate) total: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
}

/// A server behind a frontend, in the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Destination {
    pub(crate) address: SocketAddr,
    /// `all`, `outside` or `inside`.
    pub(crate) clients: String,
    /// 0 while it drains.
    pub(crate) weight: u32,
    pub(crate) active: u32,
    pub(crate) inactive: u32,
    /// Since it was added.
    pub(crate) total: u64,
}

/// An endpoint of a Service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Endpoint {
    /// Of the Service; empty for a port without a name.
    pub(crate) port_name: String,
    pub(crate) protocol: String,
    pub(crate) address: IpAddr,
    /// Null if its slice has none for the Service's port.
    pub(crate) port: Option<u16>,
    pub(crate) node: Option<String>,
    pub(crate) zone: Option<String>,
    pub(crate) slice: String,
    /// `cluster` or `local`: the list that this is about.
    pub(crate) list: String,
    /// Why it is not used; null if it is.
    pub(crate) unused: Option<String>,
}

/// Something that somebody should know.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Trouble {
    /// `failing`, `notServed`, `contested`, `rejected` or `warning`.
    pub(crate) kind: TroubleKind,
    /// `Service namespace/name` and the like, a file, or the kernel's object.
    pub(crate) object: String,
    /// The Service that has it; null if it is of none.
    pub(crate) service: Option<String>,
    pub(crate) reason: String,
}

/// What a problem costs, the worst first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum TroubleKind {
    /// The kernel refuses it; it is tried again.
    Failing,
    /// The kernel has no such thing.
    NotServed,
    /// Another Service has the address and port.
    Contested,
    /// A field cannot be used.
    Rejected,
    /// Everything is used, but hardly as it was meant.
    #[default]
    Warning,
}

impl TroubleKind {
    /// In words.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::NotServed => "not served",
            Self::Contested => "contested",
            Self::Rejected => "rejected",
            Self::Warning => "warning",
        }
    }
}

/// What a comparison with the kernel found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Difference {
    pub(crate) as_of: Moment,
    /// One for each object, in the order in which it would be mended: `+` is missing, `-` is too
    /// many, `~` is another.
    pub(crate) lines: Vec<String>,
    /// What a daemon knows of each; empty if none was asked.
    pub(crate) objects: Vec<Differing>,
    /// Whether something changed while it was compared, so that lines may be of that.
    pub(crate) unsettled: bool,
}

/// An object of the kernel that is not as it should be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Differing {
    /// Its line.
    pub(crate) line: String,
    /// The Service it belongs to; null if it is of none, or of one that is gone.
    pub(crate) service: Option<String>,
    /// When it was last known to be right; null if that never was.
    pub(crate) right: Option<Moment>,
    /// What most likely made it so.
    pub(crate) cause: Cause,
    /// The same in words.
    pub(crate) words: String,
}

/// What most likely made an object differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Cause {
    /// The kernel refuses what is tried.
    Failing,
    /// The kernel has no such thing.
    NotServed,
    /// A change waits to be carried out.
    Waiting,
    /// Somebody else did it.
    #[default]
    Others,
}

impl Difference {
    /// Its lines.
    pub(crate) fn text(&self) -> String {
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }

    /// Its lines, each with the likely cause and for how long at most it is so, as far as a daemon
    /// knows.
    pub(crate) fn explained(&self) -> String {
        if self.objects.is_empty() {
            return self.text();
        }
        let explained = |it: &Differing| match &it.right {
            Some(right) => {
                let age = age(right.age_seconds);
                format!("{}  ({}; it was right {age} ago)\n", it.line, it.words)
            }
            None => format!("{}  ({})\n", it.line, it.words),
        };
        self.objects.iter().map(explained).collect()
    }
}

/// What an audit that was asked for did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Repaired {
    /// Objects of the kernel that were created, changed or removed.
    pub(crate) changes: usize,
    /// What could not be, and why.
    pub(crate) failed: Vec<String>,
    /// Why nothing is known; null otherwise.
    pub(crate) error: Option<String>,
}

/// Why there is no answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Refused {
    pub(crate) error: String,
}
