//! What is wanted of the kernel: the virtual servers, and how many of them ask for each shared
//! object. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use proxy_core::{Priority, VirtualServer, VirtualServerKey};

use crate::netlink::ipvs::ServiceId;
use crate::object::{Shared, service_id, shared};

/// The wanted virtual servers and the shared objects they need.
#[derive(Debug, Default)]
pub struct Ledger {
    servers: BTreeMap<VirtualServerKey, Arc<VirtualServer>>,
    holders: HashMap<Shared, u32>,
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
}

impl Ledger {
    /// Wants `server`, in place of what was wanted under its key. Returns what to compare.
    pub fn set(&mut self, server: &Arc<VirtualServer>, touched: &mut Touched) {
        let key = server.key;
        let previous = self.servers.insert(key, server.clone());
        for object in shared(server) {
            *self.holders.entry(object).or_default() += 1;
            touched.shared.insert(object, Some(key));
        }
        if let Some(previous) = previous {
            self.release(&previous, touched);
        }
        touched.services.insert(service_id(&key), Some(key));
        if server.priority == Priority::Urgent {
            touched.urgent.insert(key);
        }
    }

    /// Wants nothing under `key` any more.
    pub fn remove(&mut self, key: &VirtualServerKey, touched: &mut Touched) {
        if let Some(previous) = self.servers.remove(key) {
            self.release(&previous, touched);
        }
        touched.services.insert(service_id(key), Some(*key));
    }

    /// The virtual server that wants this IPVS service.
    #[must_use]
    pub fn server(&self, id: &ServiceId) -> Option<&Arc<VirtualServer>> {
        let ServiceId::Address { protocol, address, port } = *id else { return None };
        let port = port.try_into().ok()?;
        self.servers.get(&VirtualServerKey { address, protocol, port })
    }

    /// Whether some virtual server asks for `object`.
    #[must_use]
    pub fn wants(&self, object: &Shared) -> bool {
        self.holders.contains_key(object)
    }

    /// Every wanted virtual server.
    pub fn servers(&self) -> impl Iterator<Item = &Arc<VirtualServer>> {
        self.servers.values()
    }

    /// Every wanted shared object.
    pub fn shared(&self) -> impl Iterator<Item = &Shared> {
        self.holders.keys()
    }

    /// Every address that must be local to this node.
    pub fn vips(&self) -> impl Iterator<Item = IpAddr> {
        self.shared().filter_map(|object| match object {
            Shared::Vip(address) => Some(*address),
            Shared::Member(..) => None,
        })
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
