//! Reads what the kernel counts, over sockets of its own: neither the driver nor its backend waits
//! for whoever asks, or is asked.

use std::collections::HashMap;
use std::io;
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ipvs_backend::netlink::Traffic;
use ipvs_backend::netlink::ipset::Ipset;
use ipvs_backend::netlink::ipvs::{Ipvs, ServiceId, ServiceStatus};
use ipvs_backend::object::key_of_entry;
use ipvs_backend::set::{Purpose, SetId};
use proxy_core::{Family, VirtualServerKey};
use tracing::debug;

use super::served::Served;
use super::totals::{EndpointReading, Limits, Reading, ServicePort, Totals};

/// How long endpoints are read for one answer. Those that are not reached keep the numbers of
/// before, and are read first the next time.
const BUDGET: Duration = Duration::from_millis(500);

/// The driver is kept waiting for no longer than it takes to look up so many.
const CHUNK: usize = 256;

/// The numbers, and what they are read with.
#[derive(Debug)]
pub(super) struct Statistics {
    served: Arc<Mutex<Served>>,
    limits: Limits,
    kernel: Option<Counters>,
    pub(super) totals: Totals,
    reading: u64,
    endpoints: HashMap<ServiceId, Endpoints>,
}

/// Connections to the kernel, to read what it counts.
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) ipvs: Ipvs,
    ipset: Ipset,
}

/// The endpoints of one virtual server, as they were last read.
#[derive(Debug, Default)]
struct Endpoints {
    /// In which reading; 0 for never.
    read: u64,
    found: Vec<EndpointReading>,
}

impl Statistics {
    /// Nothing was read yet.
    pub(super) fn new(served: Arc<Mutex<Served>>, limits: Limits) -> Self {
        let (kernel, endpoints) = (None, HashMap::new());
        Self { served, limits, kernel, totals: Totals::new(limits), reading: 0, endpoints }
    }

    /// Reads anew. What cannot be read stays as it was.
    pub(super) fn read(&mut self) {
        if let Err(error) = self.try_read() {
            debug!("read what the kernel counts: {error:#}");
            self.kernel = None;
        }
    }

    fn try_read(&mut self) -> anyhow::Result<()> {
        let mut kernel = self.kernel.take().map_or_else(Counters::open, Ok)?;
        self.reading += 1;
        let statuses = kernel.ipvs.services()?;
        let marks = kernel.marks(&statuses)?;
        self.totals.read(self.readings(&statuses, &marks));
        let outcome = self.read_endpoints(&mut kernel);
        self.kernel = Some(kernel);
        Ok(outcome?)
    }

    /// Those of ours, with the Service port that each is of.
    fn readings(
        &self,
        statuses: &[ServiceStatus],
        marks: &HashMap<ServiceId, VirtualServerKey>,
    ) -> Vec<Reading> {
        let mut readings = Vec::with_capacity(statuses.len());
        for chunk in statuses.chunks(CHUNK) {
            let served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
            readings.extend(chunk.iter().filter_map(|status| {
                let id = status.service.id;
                let key = key_of_id(&id).or_else(|| marks.get(&id).copied())?;
                let (name, kind) = served.origin(&key)?;
                let port = ServicePort { name: name.clone(), protocol: key.protocol };
                let frontend = (kind, key.port.get());
                Some(Reading { id, port, frontend, stats: status.stats })
            }));
        }
        readings
    }

    fn read_endpoints(&mut self, kernel: &mut Counters) -> io::Result<()> {
        let wanted = self.wanted();
        let mut order: Vec<_> = wanted.iter().map(|(id, _)| *id).collect();
        order.sort_by_key(|id| self.endpoints.get(id).map_or(0, |endpoints| endpoints.read));
        let begin = Instant::now();
        let mut known: HashMap<_, _> = std::mem::take(&mut self.endpoints);
        let mut outcome = Ok(());
        for id in order {
            let endpoints = known.remove(&id).unwrap_or_default();
            let endpoints = match &outcome {
                Ok(()) if begin.elapsed() < BUDGET => match kernel.ipvs.destinations(&id) {
                    Ok(found) => Endpoints {
                        read: self.reading,
                        found: found.iter().map(EndpointReading::from).collect(),
                    },
                    Err(error) => {
                        outcome = Err(error);
                        endpoints
                    }
                },
                _ => endpoints,
            };
            self.endpoints.insert(id, endpoints);
        }
        self.forget_beyond(&wanted);
        let Self { endpoints, totals, .. } = self;
        totals.read_endpoints(wanted.into_iter().filter_map(|(id, port)| {
            endpoints.get(&id).map(|endpoints| (id, port, &*endpoints.found))
        }));
        outcome
    }

    /// The virtual servers of Service ports that are shown, from the one with the most connections.
    fn wanted(&self) -> Vec<(ServiceId, ServicePort)> {
        let mut ports: Vec<_> = self.totals.ports.iter().filter(|(_, it)| it.is_shown).collect();
        ports.sort_by_key(|(_, total)| std::cmp::Reverse(total.passed.connections));
        ports
            .into_iter()
            .flat_map(|(port, total)| total.servers.iter().map(move |id| (*id, port.clone())))
            .collect()
    }

    /// Endpoints in great numbers are not held on to, only that they were read.
    fn forget_beyond(&mut self, wanted: &[(ServiceId, ServicePort)]) {
        let mut room = 4 * self.limits.endpoints;
        for (id, _) in wanted {
            let Some(endpoints) = self.endpoints.get_mut(id) else { continue };
            match room.checked_sub(endpoints.found.len()) {
                Some(rest) => room = rest,
                None => endpoints.found = Vec::new(),
            }
        }
    }
}

impl Counters {
    /// Opens sockets of its own.
    ///
    /// # Errors
    /// The kernel lacks IPVS or ipset, or the process may not speak to it.
    pub(crate) fn open() -> anyhow::Result<Self> {
        let traffic = Arc::new(Traffic::default());
        Ok(Self { ipvs: Ipvs::open(traffic.clone())?, ipset: Ipset::open(traffic)? })
    }

    /// Whose inside clients each service that is keyed by a mark has.
    ///
    /// # Errors
    /// The sets cannot be read.
    pub(crate) fn marks(
        &mut self,
        statuses: &[ServiceStatus],
    ) -> io::Result<HashMap<ServiceId, VirtualServerKey>> {
        let mut marks = HashMap::new();
        for family in Family::ALL {
            let is_marked = |status: &ServiceStatus| matches!(status.service.id, ServiceId::Fwmark { family: its, .. } if its == family);
            if !statuses.iter().any(is_marked) {
                continue;
            }
            let set = SetId { purpose: Purpose::InternalMark, family };
            let members = self.ipset.set(set.name())?.map_or_else(Vec::new, |set| set.members);
            marks.extend(members.iter().filter_map(|member| {
                let id = ServiceId::Fwmark { family, mark: member.mark?.value };
                Some((id, key_of_entry(&member.entry)?))
            }));
        }
        Ok(marks)
    }
}

/// The virtual server of a service that is keyed by its address.
pub(crate) fn key_of_id(id: &ServiceId) -> Option<VirtualServerKey> {
    let ServiceId::Address { protocol, address, port } = *id else { return None };
    Some(VirtualServerKey { address, protocol, port: NonZeroU16::new(port)? })
}
