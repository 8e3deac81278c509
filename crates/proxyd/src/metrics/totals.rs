//! What passed through each Service port and endpoint, from what the kernel counts for each of its
//! virtual servers. Pure.
//!
//! The kernel counts from the moment a virtual server is made, and forgets when it is deleted. So
//! what is added from one reading to the next is summed up here: a total never goes back while its
//! Service port is there, though frontends come and go. What passes between the last reading and
//! the deletion of a virtual server is not seen.
//!
//! There is a limit to how many have numbers of their own: those with the most connections do. What
//! passes through the others is summed under [`OTHER`].

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::net::SocketAddr;

use ipvs_backend::netlink::ipvs::{DestinationId, DestinationStatus, ServiceId, Stats64};
use proxy_core::{FrontendKind, Protocol, ServicePortName};

/// The `service` of what is beyond the limit.
pub(super) const OTHER: &str = "(other)";

/// What is missing in so many readings one after another is gone. A dump can miss what is there
/// when something else is deleted meanwhile.
const MISSED: u64 = 3;

/// How many have numbers of their own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) service_ports: usize,
    pub(crate) endpoints: usize,
}

impl Default for Limits {
    /// 1,000 Service ports and 5,000 endpoints: some 15,000 time series.
    fn default() -> Self {
        Self { service_ports: 1_000, endpoints: 5_000 }
    }
}

/// A port of a Service. Virtual servers of both families, and those that are keyed by a mark, are
/// of the same one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ServicePort {
    pub(super) name: ServicePortName,
    pub(super) protocol: Protocol,
}

/// A virtual server as the kernel shows it, and which Service port it is of.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) id: ServiceId,
    pub(super) port: ServicePort,
    /// What kind of frontend it is, and at which port: the port of a Service without a name is
    /// called by its number, which is not a node port's.
    pub(super) frontend: (FrontendKind, u16),
    pub(super) stats: Stats64,
}

/// What passed since the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Passed {
    pub(super) connections: u64,
    pub(super) packets_in: u64,
    pub(super) packets_out: u64,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
}

impl From<Stats64> for Passed {
    fn from(stats: Stats64) -> Self {
        let Stats64 { connections, packets_in, packets_out, bytes_in, bytes_out, .. } = stats;
        Self { connections, packets_in, packets_out, bytes_in, bytes_out }
    }
}

impl Passed {
    fn all(&mut self) -> [&mut u64; 5] {
        let Self { connections, packets_in, packets_out, bytes_in, bytes_out } = self;
        [connections, packets_in, packets_out, bytes_in, bytes_out]
    }

    fn add(&mut self, mut other: Self) {
        for (number, more) in self.all().into_iter().zip(other.all()) {
            *number = number.wrapping_add(*more);
        }
    }

    /// What was added since `before`. If any number is smaller, counting began anew meanwhile.
    fn since(mut self, mut before: Self) -> Self {
        let is_anew =
            self.all().into_iter().zip(before.all()).any(|(number, before)| *number < *before);
        if !is_anew {
            for (number, before) in self.all().into_iter().zip(before.all()) {
                *number -= *before;
            }
        }
        self
    }
}

/// The last readings, by what was read.
#[derive(Debug)]
struct Last<K, V> {
    of: HashMap<K, (V, u64)>,
}

impl<K, V> Default for Last<K, V> {
    fn default() -> Self {
        Self { of: HashMap::new() }
    }
}

impl<K: Eq + Hash, V: Copy> Last<K, V> {
    /// What was read before, in its place.
    fn replace(&mut self, key: K, value: V, reading: u64) -> Option<V> {
        self.of.insert(key, (value, reading)).map(|(before, _)| before)
    }

    fn forget_missing(&mut self, reading: u64) {
        self.of.retain(|_, (_, seen)| *seen + MISSED > reading);
    }
}

/// A Service port's numbers.
#[derive(Clone, Debug)]
pub(super) struct PortTotal {
    /// What its port is called: its name, or its number.
    pub(super) port: String,
    pub(super) passed: Passed,
    /// The virtual servers it had in the last reading.
    pub(super) servers: Vec<ServiceId>,
    frontend: (FrontendKind, u16),
    added: Passed,
    seen: u64,
    pub(super) is_shown: bool,
}

/// An endpoint's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct EndpointTotal {
    pub(super) active: u64,
    pub(super) connections: u64,
    added: u64,
    seen: u64,
    pub(super) is_shown: bool,
}

/// What the kernel shows of one server behind a virtual server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EndpointReading {
    pub(super) endpoint: DestinationId,
    /// Connections there are.
    pub(super) active: u64,
    /// Connections there were.
    pub(super) connections: u64,
}

impl From<&DestinationStatus> for EndpointReading {
    fn from(status: &DestinationStatus) -> Self {
        Self {
            endpoint: status.destination.id(),
            active: status.active.into(),
            connections: status.stats.connections,
        }
    }
}

/// All numbers.
#[derive(Debug, Default)]
pub(super) struct Totals {
    limits: Limits,
    reading: u64,
    last: Last<ServiceId, Passed>,
    pub(super) ports: BTreeMap<ServicePort, PortTotal>,
    pub(super) other: Passed,
    last_of_endpoints: Last<(ServiceId, DestinationId), u64>,
    pub(super) endpoints: BTreeMap<(ServicePort, SocketAddr), EndpointTotal>,
    pub(super) other_endpoints: EndpointTotal,
}

impl Totals {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Takes in every virtual server of ours that the kernel has.
    pub(super) fn read(&mut self, readings: Vec<Reading>) {
        self.reading += 1;
        for total in self.ports.values_mut() {
            total.added = Passed::default();
            total.servers.clear();
        }
        for Reading { id, port, frontend, stats } in readings {
            let passed = Passed::from(stats);
            let before = self.last.replace(id, passed, self.reading);
            let added = before.map_or(passed, |before| passed.since(before));
            let total = self.ports.entry(port).or_insert_with(|| PortTotal::new(frontend));
            total.frontend = total.frontend.min(frontend);
            total.servers.push(id);
            total.passed.add(added);
            total.added.add(added);
            total.seen = self.reading;
        }
        self.last.forget_missing(self.reading);
        self.ports.retain(|_, total| total.seen + MISSED > self.reading);
        self.show_ports();
    }

    /// Takes in the endpoints of those virtual servers of shown Service ports that could be read:
    /// for each its Service port, and for each of its endpoints the connections there are, and
    /// there were.
    pub(super) fn read_endpoints<'a>(
        &mut self,
        readings: impl IntoIterator<Item = (ServiceId, ServicePort, &'a [EndpointReading])>,
    ) {
        for total in self.endpoints.values_mut() {
            (total.added, total.active) = (0, 0);
        }
        for (id, port, endpoints) in readings {
            for &EndpointReading { endpoint, active, connections } in endpoints {
                let key = (id, endpoint);
                let before = self.last_of_endpoints.replace(key, connections, self.reading);
                let added = before.map_or(connections, |before| {
                    connections.checked_sub(before).unwrap_or(connections)
                });
                let address = SocketAddr::new(endpoint.address, endpoint.port);
                let total = self.endpoints.entry((port.clone(), address)).or_default();
                total.active += active;
                total.connections += added;
                total.added += added;
                total.seen = self.reading;
            }
        }
        self.last_of_endpoints.forget_missing(self.reading);
        let (reading, ports) = (self.reading, &self.ports);
        self.endpoints.retain(|(port, _), total| {
            total.seen == reading && ports.get(port).is_some_and(|port| port.is_shown)
        });
        self.show_endpoints();
    }

    /// How many have no numbers of their own: Service ports, endpoints.
    pub(super) fn dropped(&self) -> [usize; 2] {
        [
            self.ports.values().filter(|total| !total.is_shown).count(),
            self.endpoints.values().filter(|total| !total.is_shown).count(),
        ]
    }

    fn show_ports(&mut self) {
        let numbers = self.ports.values().map(|total| total.passed.connections).collect();
        let mut is_shown = greatest(numbers, self.limits.service_ports);
        for (key, total) in &mut self.ports {
            total.is_shown = is_shown(total.passed.connections);
            total.port = match key.name.port.as_str() {
                "" => total.frontend.1.to_string(),
                name => name.to_owned(),
            };
            if !total.is_shown {
                self.other.add(total.added);
            }
        }
    }

    fn show_endpoints(&mut self) {
        let numbers = self.endpoints.values().map(|total| total.connections).collect();
        let mut is_shown = greatest(numbers, self.limits.endpoints);
        self.other_endpoints.active = 0;
        for total in self.endpoints.values_mut() {
            total.is_shown = is_shown(total.connections);
            if !total.is_shown {
                self.other_endpoints.active += total.active;
                self.other_endpoints.connections += total.added;
            }
        }
    }
}

impl PortTotal {
    const fn new(frontend: (FrontendKind, u16)) -> Self {
        let none =
            Passed { connections: 0, packets_in: 0, packets_out: 0, bytes_in: 0, bytes_out: 0 };
        Self {
            port: String::new(),
            passed: none,
            servers: Vec::new(),
            frontend,
            added: none,
            seen: 0,
            is_shown: false,
        }
    }
}

/// Says of each of `numbers`, in their order, whether it is among the `limit` greatest. Of equal
/// ones the first are.
fn greatest(mut numbers: Vec<u64>, limit: usize) -> impl FnMut(u64) -> bool {
    numbers.sort_unstable_by(|one, two| two.cmp(one));
    numbers.truncate(limit);
    let least = numbers.last().copied().unwrap_or(u64::MAX);
    let mut room = numbers.iter().filter(|number| **number == least).count();
    move |number| {
        let is_shown = number > least || number == least && room > 0;
        if number == least {
            room = room.saturating_sub(1);
        }
        is_shown
    }
}

#[cfg(test)]
#[path = "totals_tests.rs"]
mod tests;
