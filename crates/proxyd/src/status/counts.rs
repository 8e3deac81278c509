//! What the kernel counts for virtual servers, read for whoever asks, over sockets of its own.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::time::{Duration, Instant};

use ipvs_backend::netlink::ipvs::{DestinationStatus, ServiceId, ServiceStatus};
use proxy_core::VirtualServerKey;

use crate::metrics::{Counters, key_of_id};

/// How long servers are read for one answer; the busiest frontends go first.
const BUDGET: Duration = Duration::from_secs(1);

/// What the kernel counts.
#[derive(Debug)]
pub(crate) struct Counts {
    pub(crate) read: Instant,
    pub(crate) of: HashMap<VirtualServerKey, Count>,
    /// Those of which the servers were wanted and not read, to be brief.
    pub(crate) left_out: BTreeSet<VirtualServerKey>,
}

/// Of one virtual server: of the service that is keyed by its address, and of the one for inside
/// clients that is keyed by a mark, if there is one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) connections: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    /// The servers of each service; `None` if they were not read.
    pub(crate) destinations: Option<Vec<(ServiceId, Vec<DestinationStatus>)>>,
}

/// Whose servers are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// These.
    Only(BTreeSet<VirtualServerKey>),
    /// These, and all to which somebody connected.
    BusyAnd(BTreeSet<VirtualServerKey>),
}

impl Counts {
    /// Reads everything that is wanted.
    ///
    /// # Errors
    /// The kernel cannot be read.
    pub(crate) fn read(kernel: &mut Counters, wanted: &Wanted) -> io::Result<Self> {
        let statuses = kernel.ipvs.services()?;
        let marks = kernel.marks(&statuses)?;
        let key_of = |id: &ServiceId| key_of_id(id).or_else(|| marks.get(id).copied());
        let mut counts =
            Self { read: Instant::now(), of: HashMap::new(), left_out: BTreeSet::new() };
        let mut order: Vec<(VirtualServerKey, &ServiceStatus)> = Vec::new();
        for status in &statuses {
            let Some(key) = key_of(&status.service.id) else { continue };
            let count = counts.of.entry(key).or_default();
            count.connections += status.stats.connections;
            count.bytes_in += status.stats.bytes_in;
            count.bytes_out += status.stats.bytes_out;
            match wanted {
                _ if wanted.names(&key) => order.push((key, status)),
                Wanted::Only(_) => {}
                // A server without connections does not drain.
                Wanted::BusyAnd(_) if status.stats.connections == 0 => {
                    count.destinations.get_or_insert_default();
                }
                Wanted::BusyAnd(_) => order.push((key, status)),
            }
        }
        order.sort_by_key(|(key, status)| (!wanted.names(key), Reverse(status.stats.connections)));
        for (key, status) in order {
            if counts.read.elapsed() >= BUDGET {
                counts.left_out.insert(key);
                continue;
            }
            let id = status.service.id;
            let found = kernel.ipvs.destinations(&id)?;
            let count = counts.of.entry(key).or_default();
            count.destinations.get_or_insert_default().push((id, found));
        }
        for key in &counts.left_out {
            counts.of.entry(*key).or_default().destinations = None;
        }
        Ok(counts)
    }
}

impl Default for Wanted {
    /// None.
    fn default() -> Self {
        Self::Only(BTreeSet::new())
    }
}

impl Wanted {
    /// All of either.
    pub(crate) fn and(self, other: Self) -> Self {
        let is_busy = |it: &Self| matches!(it, Self::BusyAnd(_));
        let kind = if is_busy(&self) || is_busy(&other) { Self::BusyAnd } else { Self::Only };
        let [
            Self::Only(mut keys) | Self::BusyAnd(mut keys),
            Self::Only(more) | Self::BusyAnd(more),
        ] = [self, other];
        keys.extend(more);
        kind(keys)
    }

    /// Whether one is read even if nobody connected to it, and before others.
    fn names(&self, key: &VirtualServerKey) -> bool {
        let (Self::Only(keys) | Self::BusyAnd(keys)) = self;
        keys.contains(key)
    }
}

impl Count {
    /// Connections of all servers that are established, and others.
    pub(crate) fn connections_now(&self) -> Option<(u64, u64)> {
        let all = self.destinations.as_ref()?.iter().flat_map(|(_, found)| found);
        Some(all.fold((0, 0), |(active, inactive), status| {
            (active + u64::from(status.active), inactive + u64::from(status.inactive))
        }))
    }

    /// Servers at weight 0.
    pub(crate) fn draining(&self) -> Option<usize> {
        let all = self.destinations.as_ref()?.iter().flat_map(|(_, found)| found);
        let draining = all.filter(|status| status.destination.weight == 0);
        let keys: BTreeSet<_> = draining.map(|status| status.destination.id()).collect();
        Some(keys.len())
    }
}
