//! What is wanted of the kernel: the virtual servers, and how many of them ask for each shared
//! object. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;

use proxy_core::{FrontendKind, Priority, Protocol, Vip, VirtualServer, VirtualServerKey, repack};

use crate::marks::{MarkRange, Marks, Usage};
use crate::netlink::ipset::Entry;
use crate::netlink::ipvs::ServiceId;
use crate::object::{
    Shared, WantedService, internal_service_id, key_of_entry, service_id, shared, wanted_service,
};
use crate::set::{Purpose, SetId};

/// The wanted virtual servers and the shared objects they need.
#[derive(Debug)]
pub struct Ledger {
    servers: BTreeMap<VirtualServerKey, Arc<VirtualServer>>,
    holders: BTreeMap<Shared, u32>,
    marks: Marks,
}

/// Objects whose wanted and observed states must be compared, each with the virtual server that
/// is told if that fails. Objects of nobody are leftovers.
#[derive(Debug, Default)]
pub struct Touched {
    /// IPVS services.
    pub services: BTreeMap<ServiceId, Option<VirtualServerKey>>,
    /// Shared objects.
    pub shared: BTreeMap<Shared, Option<VirtualServerKey>>,
    /// Virtual servers to be done before the others.
    pub urgent: BTreeSet<VirtualServerKey>,
    /// Whether this is all there is, rather than a change.
    pub everything: bool,
    /// Virtual servers for which no mark was left.
    pub unmarked: BTreeSet<VirtualServerKey>,
}

impl Touched {
    /// Puts everything close together, after much of it came at once.
    pub fn repack(&mut self) {
        repack(&mut self.services);
        repack(&mut self.shared);
    }
}

impl Ledger {
    /// Wants nothing yet.
    #[must_use]
    pub fn new(range: MarkRange) -> Self {
        Self { servers: BTreeMap::new(), holders: BTreeMap::new(), marks: Marks::new(range) }
    }

    /// Puts everything close together, after much of it came at once.
    pub fn repack(&mut self) {
        repack(&mut self.servers);
        repack(&mut self.holders);
    }

    /// Wants `server`, in place of what was wanted under its key. Returns what to compare.
    pub fn set(&mut self, server: &Arc<VirtualServer>, touched: &mut Touched) {
        let key = server.key;
        let previous = self.servers.insert(key, server.clone());
        if server.priority == Priority::Urgent {
            touched.urgent.insert(key);
        }
        for object in shared(server) {
            *self.holders.entry(object).or_default() += 1;
            // What an urgent one needs is done with it.
            let holder = touched.shared.entry(object).or_default();
            if !holder.is_some_and(|holder| touched.urgent.contains(&holder)) {
                *holder = Some(key);
            }
        }
        if let Some(previous) = previous {
            self.release(&previous, touched);
        }
        let usage = match server.kind {
            FrontendKind::NodePort => Usage::NodePort,
            _ => Usage::Other,
        };
        if server.split() && self.marks.assign(key, usage).is_none() {
            touched.unmarked.insert(key);
        }
        self.touch_services(key, touched);
    }

    /// Wants nothing under `key` any more.
    pub fn remove(&mut self, key: &VirtualServerKey, touched: &mut Touched) {
        if let Some(previous) = self.servers.remove(key) {
            self.release(&previous, touched);
        }
        self.touch_services(*key, touched);
    }

    /// Touches everything that is wanted.
    pub fn touch_all(&mut self, touched: &mut Touched) {
        let servers: Vec<_> = self.servers.values().cloned().collect();
        servers.iter().for_each(|server| self.set(server, touched));
    }

    /// Touches the address of every virtual server that binds one.
    pub fn touch_addresses(&self, touched: &mut Touched) {
        for (&key, server) in &self.servers {
            if server.vip == Vip::Bind {
                touched.shared.insert(Shared::Vip(key.address), Some(key));
            }
            if server.priority == Priority::Urgent {
                touched.urgent.insert(key);
            }
        }
    }

    /// The marks that virtual servers have.
    pub const fn marks_mut(&mut self) -> &mut Marks {
        &mut self.marks
    }

    /// A service with this mark is gone: it may be given out again.
    pub fn free_mark(&mut self, mark: u32) {
        let servers = &self.servers;
        self.marks.free(mark, |key| servers.get(key).is_some_and(|server| server.split()));
    }

    /// The virtual server with this key.
    #[must_use]
    pub fn server(&self, key: &VirtualServerKey) -> Option<&Arc<VirtualServer>> {
        self.servers.get(key)
    }

    /// The keys of all virtual servers.
    pub fn keys(&self) -> impl Iterator<Item = VirtualServerKey> {
        self.servers.keys().copied()
    }

    /// The UDP virtual servers at this address.
    pub fn udp_frontends(&self, address: IpAddr) -> impl Iterator<Item = VirtualServerKey> {
        let at = |port| VirtualServerKey { address, protocol: Protocol::Udp, port };
        let range = self.servers.range(at(NonZeroU16::MIN)..=at(NonZeroU16::MAX));
        range.map(|(key, _)| *key)
    }

    /// The virtual servers that ask for this address to be bound.
    pub fn bound_by(&self, address: IpAddr) -> impl Iterator<Item = VirtualServerKey> {
        let first = VirtualServerKey { address, protocol: Protocol::Tcp, port: NonZeroU16::MIN };
        let of_address =
            self.servers.range(first..).take_while(move |(key, _)| key.address == address);
        of_address.filter(|(_, server)| server.vip == Vip::Bind).map(|(key, _)| *key)
    }

    /// The virtual server that an IPVS service belongs to, whether or not it wants it now.
    #[must_use]
    pub fn owner(&self, id: &ServiceId) -> Option<&Arc<VirtualServer>> {
        let key = match *id {
            ServiceId::Address { protocol, address, port } => {
                VirtualServerKey { address, protocol, port: port.try_into().ok()? }
            }
            ServiceId::Fwmark { mark, .. } => *self.marks.owner(mark)?,
        };
        self.servers.get(&key)
    }

    /// The IPVS service that is wanted under this key.
    #[must_use]
    pub fn wanted_service(&self, id: &ServiceId) -> Option<WantedService> {
        let server = self.owner(id)?;
        let is_wanted = matches!(id, ServiceId::Address { .. }) || server.split();
        is_wanted.then(|| wanted_service(server, *id))
    }

    /// Whether some virtual server asks for `object`.
    #[must_use]
    pub fn wants(&self, object: &Shared) -> bool {
        self.holders.contains_key(object)
    }

    /// The mark that packets get from a member; `None` for members of sets without marks.
    #[must_use]
    pub fn mark_of(&self, set: SetId, entry: &Entry) -> Option<u32> {
        match set.purpose {
            Purpose::InternalMark => self.marks.get(&key_of_entry(entry)?),
            _ => None,
        }
    }

    /// How many members a set should have.
    #[must_use]
    pub fn members_of(&self, set: SetId) -> usize {
        let is_member = |object: &&Shared| match object {
            Shared::Member(of, _) => *of == set,
            Shared::Vip(address) => {
                set.purpose == Purpose::IpvsIps && set.family == proxy_core::Family::of(*address)
            }
        };
        self.holders.keys().filter(is_member).count()
    }

    fn touch_services(&self, key: VirtualServerKey, touched: &mut Touched) {
        touched.services.insert(service_id(&key), Some(key));
        if let Some(mark) = self.marks.get(&key) {
            touched.services.insert(internal_service_id(&key, mark), Some(key));
        }
    }

    fn release(&mut self, server: &VirtualServer, touched: &mut Touched) {
        for object in shared(server) {
            if let Some(holders) = self.holders.get_mut(&object) {
                *holders -= 1;
                if *holders == 0 {
                    self.holders.remove(&object);
                }
            }
            touched.shared.entry(object).or_insert(Some(server.key));
        }
    }
}
