//! What of a virtual server two data planes can be compared by.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;

use crate::{
    Admission, Pool, Scheduler, SchedulerFlags, SessionAffinity, VirtualServer, VirtualServerKey,
};

/// The part of a virtual server that [`Inspect`](crate::Inspect) must read back as it was asked
/// for. Not in it, because a data plane need not know it:
/// - where the server comes from, its kind, priority, health-check port and drain limit;
/// - where real servers run, and which endpoints were not chosen;
/// - weights under schedulers without weights, and flags of schedulers that have none;
/// - what an empty pool answers, and how addresses are bound and masqueraded: these are proved by
///   packets, not by reading back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// Where clients connect.
    pub key: VirtualServerKey,
    /// How a real server is chosen.
    pub scheduler: Scheduler,
    /// With which variants.
    pub scheduler_flags: SchedulerFlags,
    /// Whether a client keeps its real server.
    pub session_affinity: Option<SessionAffinity>,
    /// Whose connections are let in.
    pub admission: Admission,
    /// Address, port and weight of who serves clients outside the cluster.
    pub external: Vec<(IpAddr, NonZeroU16, NonZeroU16)>,
    /// The same for pods and nodes.
    pub internal: Vec<(IpAddr, NonZeroU16, NonZeroU16)>,
}

/// What can be compared of `servers`, by key.
#[must_use]
pub fn served<'a>(servers: impl IntoIterator<Item = &'a VirtualServer>) -> Vec<Served> {
    let mut served: Vec<_> = servers.into_iter().map(Served::from).collect();
    served.sort_by_key(|server| server.key);
    served
}

impl From<&VirtualServer> for Served {
    fn from(server: &VirtualServer) -> Self {
        let has_flags = matches!(server.scheduler, Scheduler::MaglevHash | Scheduler::SourceHash);
        Self {
            key: server.key,
            scheduler: server.scheduler,
            scheduler_flags: if has_flags {
                server.scheduler_flags
            } else {
                SchedulerFlags::default()
            },
            session_affinity: server.session_affinity,
            admission: server.admission.clone(),
            external: members(&server.external, server.scheduler),
            internal: members(&server.internal, server.scheduler),
        }
    }
}

fn members(pool: &Pool, scheduler: Scheduler) -> Vec<(IpAddr, NonZeroU16, NonZeroU16)> {
    let weight = |weight| {
        if has_weights(scheduler) { weight } else { NonZeroU16::MIN }
    };
    let mut members: Vec<_> =
        pool.servers.iter().map(|real| (real.address, real.port, weight(real.weight))).collect();
    members.sort_unstable();
    members
}

/// Whether weights make a difference (`ipvsadm(8)`).
pub(super) const fn has_weights(scheduler: Scheduler) -> bool {
    !matches!(
        scheduler,
        Scheduler::RoundRobin | Scheduler::LeastConnection | Scheduler::DestinationHash
    )
}

impl fmt::Display for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, scheduler, scheduler_flags, session_affinity, admission, .. } = self;
        write!(f, "{key} {scheduler}")?;
        if *scheduler_flags != SchedulerFlags::default() {
            write!(f, " {scheduler_flags:?}")?;
        }
        if let Some(SessionAffinity { timeout_seconds }) = session_affinity {
            write!(f, ", affinity {timeout_seconds} s")?;
        }
        if let Admission::Only(ranges) = admission {
            write!(f, ", only from {ranges:?}")?;
        }
        write!(f, ", outside [")?;
        list(f, &self.external)?;
        write!(f, "], inside [")?;
        list(f, &self.internal)?;
        write!(f, "]")
    }
}

fn list(f: &mut fmt::Formatter<'_>, members: &[(IpAddr, NonZeroU16, NonZeroU16)]) -> fmt::Result {
    for (index, (address, port, weight)) in members.iter().enumerate() {
        let separator = if index == 0 { "" } else { " " };
        write!(f, "{separator}{}", SocketAddr::new(*address, port.get()))?;
        if weight.get() != 1 {
            write!(f, "*{weight}")?;
        }
    }
    Ok(())
}
