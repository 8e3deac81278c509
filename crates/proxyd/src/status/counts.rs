//! What the kernel counts for virtual servers, read for whoever asks, over sockets of its own.

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
    /// Virtual servers of which the servers were not read.
    pub(crate) left_out: usize,
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

/// Whose servers are read even if nobody connected to them yet.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    Busy,
    Only(BTreeSet<VirtualServerKey>),
}

/// Connections so far, and when that was.
#[derive(Debug)]
pub(crate) struct Before {
    read: Instant,
    connections: HashMap<VirtualServerKey, u64>,
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
        let mut counts = Self { read: Instant::now(), of: HashMap::new(), left_out: 0 };
        let mut order: Vec<(VirtualServerKey, &ServiceStatus)> = Vec::new();
        for status in &statuses {
            let Some(key) = key_of(&status.service.id) else { continue };
            let count = counts.of.entry(key).or_default();
            count.connections += status.stats.connections;
            count.bytes_in += status.stats.bytes_in;
            count.bytes_out += status.stats.bytes_out;
            match wanted {
                Wanted::Only(keys) if !keys.contains(&key) => {}
                // A server without connections does not drain.
                Wanted::Busy if status.stats.connections == 0 => {
                    count.destinations.get_or_insert_default();
                }
                _ => order.push((key, status)),
            }
        }
        order.sort_by_key(|(_, status)| std::cmp::Reverse(status.stats.connections));
        let mut left_out = BTreeSet::new();
        for (key, status) in order {
            if counts.read.elapsed() >= BUDGET {
                left_out.insert(key);
                continue;
            }
            let id = status.service.id;
            let found = kernel.ipvs.destinations(&id)?;
            let count = counts.of.entry(key).or_default();
            count.destinations.get_or_insert_default().push((id, found));
        }
        for key in &left_out {
            counts.of.entry(*key).or_default().destinations = None;
        }
        counts.left_out = left_out.len();
        Ok(counts)
    }

    /// What to compare a later reading with.
    pub(crate) fn before(&self) -> Before {
        let connections = self.of.iter().map(|(key, count)| (*key, count.connections));
        Before { read: self.read, connections: connections.collect() }
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

impl Before {
    /// Whether a rate from here to `now` says something about the present.
    pub(crate) fn is_recent(&self, now: Instant) -> bool {
        let age = now.saturating_duration_since(self.read);
        (Duration::from_millis(500)..Duration::from_secs(60)).contains(&age)
    }

    /// From here to another reading.
    pub(crate) fn seconds(&self, after: &Counts) -> f64 {
        after.read.saturating_duration_since(self.read).as_secs_f64()
    }

    /// New connections a second since. What is new since, or began to count anew, counts whole.
    pub(crate) fn per_second(&self, key: &VirtualServerKey, after: &Counts) -> f64 {
        let now = after.of.get(key).map_or(0, |count| count.connections);
        let before = self.connections.get(key).copied().unwrap_or(0);
        let added = now.checked_sub(before).unwrap_or(now);
        #[expect(clippy::cast_precision_loss, reason = "nobody has so many connections a second")]
        let added = added as f64;
        added / self.seconds(after).max(f64::MIN_POSITIVE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(read: Instant, connections: &[(&str, u64)]) -> Counts {
        let of = connections.iter().map(|&(address, connections)| {
            let port = std::num::NonZeroU16::MIN;
            let address = address.parse().unwrap();
            let key = VirtualServerKey { address, protocol: proxy_core::Protocol::Tcp, port };
            (key, Count { connections, ..Count::default() })
        });
        Counts { read, of: of.collect(), left_out: 0 }
    }

    #[test]
    fn rates_are_taken_between_two_readings_and_never_negative() {
        let begin = Instant::now();
        let before = counts(begin, &[("10.0.0.1", 100), ("10.0.0.2", 100)]).before();
        let later = begin + Duration::from_secs(2);
        let after = counts(later, &[("10.0.0.1", 110), ("10.0.0.2", 4), ("10.0.0.3", 2)]);
        let mut rates: Vec<_> =
            after.of.keys().map(|key| (*key, before.per_second(key, &after))).collect();
        rates.sort_by_key(|(key, _)| *key);
        let rates: Vec<_> = rates.into_iter().map(|(_, rate)| rate).collect();
        assert_eq!(rates, [5.0, 2.0, 1.0]);
        assert!(before.is_recent(later));
        assert!(!before.is_recent(begin + Duration::from_millis(100)));
        assert!(!before.is_recent(begin + Duration::from_secs(61)));
    }
}
