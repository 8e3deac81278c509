//! What the kernel holds of ours, read from dumps and kept up to date by acknowledged ops.

mod destinations;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use proxy_core::{Family, repack};

use crate::ledger::Ledger;
use crate::netlink::ipset::{Entry, Member, SetName, SetSpec};
use crate::netlink::ipvs::{Service, ServiceId};
use crate::netlink::route::LocalRoute;
use crate::op::Op;
use crate::rules::LegacyRules;
use crate::set::SetId;

pub use destinations::Destinations;

/// The kernel's state, as far as it is ours or stands in our way.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// IPVS services, ours and others'.
    pub services: BTreeMap<ServiceId, ObservedService>,
    /// Our sets that exist, with their members.
    pub sets: BTreeMap<SetId, ObservedSet>,
    /// Sets that only an earlier proxy had.
    pub legacy_sets: BTreeSet<SetName>,
    /// Rules that only an earlier proxy had.
    pub legacy_rules: BTreeMap<Family, Arc<LegacyRules>>,
    /// The families in which `nf_tables` has a table that only an earlier proxy had.
    pub legacy_tables: BTreeSet<Family>,
    /// The set that is being built to replace one of them.
    pub scratch: Option<ObservedSet>,
    /// Routes that carry our protocol number.
    pub routes: BTreeMap<IpAddr, LocalRoute>,
    /// The device for virtual servers, if it is there.
    pub device: Option<ObservedDevice>,
    /// Addresses that the other interfaces of this node have.
    pub node_addresses: BTreeSet<IpAddr>,
    /// Index of the loopback device.
    pub loopback: u32,
}

/// An IPVS service and its destinations.
#[derive(Clone, Debug)]
pub struct ObservedService {
    /// Its settings.
    pub service: Service,
    /// Its destinations.
    pub destinations: Destinations,
}

/// The device for virtual servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedDevice {
    /// Its index; 0 when it was created since the kernel was read.
    pub index: u32,
    /// Its addresses.
    pub addresses: BTreeSet<IpAddr>,
}

/// A set and its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedSet {
    /// Its parameters.
    pub spec: SetSpec,
    /// Its members, with the marks that packets get from them.
    pub members: BTreeMap<Entry, Option<u32>>,
}

impl Observed {
    /// Whether a set has this member.
    #[must_use]
    pub fn has_member(&self, set: SetId, entry: &Entry) -> bool {
        self.sets.get(&set).is_some_and(|set| set.members.contains_key(entry))
    }

    /// Whether both hold the same, destinations and rules left aside.
    pub(crate) fn agrees_with(&self, other: &Self) -> bool {
        let services = |observed: &Self| observed.services.len();
        let pairs = self.services.iter().zip(&other.services);
        services(self) == services(other)
            && pairs.into_iter().all(|((id, one), (other_id, other))| {
                (id, &one.service) == (other_id, &other.service)
            })
            && self.sets == other.sets
            && self.legacy_sets == other.legacy_sets
            && self.legacy_tables == other.legacy_tables
            && self.scratch == other.scratch
            && self.routes == other.routes
            && self.device == other.device
            && self.node_addresses == other.node_addresses
            && self.loopback == other.loopback
    }

    /// Holds, of what `op` changes, what `newer` does. False if `op` changes more than a single
    /// object, or one that is not there to be changed.
    pub(crate) fn take_over(&mut self, newer: &Self, op: &Op) -> bool {
        match *op {
            Op::AddMember(id, Member { entry, .. }) | Op::DeleteMember(id, entry) => {
                let Some(set) = self.sets.get_mut(&id) else { return false };
                let mark = newer.sets.get(&id).and_then(|set| set.members.get(&entry));
                put_or_take(&mut set.members, entry, mark);
            }
            Op::AddService(Service { id, .. })
            | Op::SetService(Service { id, .. })
            | Op::DeleteService(id) => {
                put_or_take(&mut self.services, id, newer.services.get(&id));
            }
            // Destinations are not looked at.
            Op::AddDestination(..) | Op::SetDestination(..) | Op::DeleteDestination(..) => {}
            Op::AddRoute(LocalRoute { address, .. })
            | Op::DeleteRoute(LocalRoute { address, .. })
            | Op::ReplaceRoute { new: LocalRoute { address, .. }, .. } => {
                put_or_take(&mut self.routes, address, newer.routes.get(&address));
            }
            Op::AddAddress(address) | Op::DeleteAddress(address) => {
                let (Some(device), Some(newer)) = (&mut self.device, &newer.device) else {
                    return false;
                };
                if newer.addresses.contains(&address) {
                    device.addresses.insert(address);
                } else {
                    device.addresses.remove(&address);
                }
            }
            Op::CreateSet(..)
            | Op::DestroySet(_)
            | Op::DestroyLegacySet(_)
            | Op::CreateScratch(..)
            | Op::FillScratch(..)
            | Op::SwapScratch(_)
            | Op::DestroyScratch(_)
            | Op::CreateDevice
            | Op::RemoveDevice
            | Op::RemoveLegacyRules(_)
            | Op::RemoveLegacyTable(_) => return false,
        }
        true
    }

    /// Puts everything close together, after much of it came at once.
    pub(crate) fn repack(&mut self) {
        repack(&mut self.services);
        repack(&mut self.routes);
        self.sets.values_mut().for_each(|set| repack(&mut set.members));
    }

    /// Lets the destinations of a service be the real servers of the pool that is wanted for it, if
    /// they are.
    pub(crate) fn share(&mut self, id: &ServiceId, ledger: &Ledger) {
        if let Some(service) = self.services.get_mut(id) {
            service.share(ledger);
        }
    }

    /// Takes devices, addresses and routes from another reading. Returns what they were.
    pub(crate) fn replace_network(&mut self, seen: Self) -> Self {
        Self {
            routes: std::mem::replace(&mut self.routes, seen.routes),
            device: std::mem::replace(&mut self.device, seen.device),
            node_addresses: std::mem::replace(&mut self.node_addresses, seen.node_addresses),
            loopback: std::mem::replace(&mut self.loopback, seen.loopback),
            ..Self::default()
        }
    }

    /// Addresses that are bound, by routes or on the device for virtual servers.
    pub(crate) fn bound(&self) -> impl Iterator<Item = IpAddr> {
        let held = self.device.iter().flat_map(|device| &device.addresses);
        self.routes.keys().chain(held).copied()
    }

    /// Takes in that the kernel acknowledged `op`.
    pub fn record(&mut self, op: &Op) {
        match *op {
            Op::CreateSet(id, spec) => {
                self.sets.insert(id, ObservedSet { spec, members: BTreeMap::new() });
            }
            Op::CreateScratch(_, spec) => {
                self.scratch = Some(ObservedSet { spec, members: BTreeMap::new() });
            }
            Op::FillScratch(_, member) => {
                if let Some(set) = &mut self.scratch {
                    set.put(member);
                }
            }
            Op::SwapScratch(id) => {
                if let Some(built) = self.scratch.take() {
                    let spec = SetSpec { name: id.name(), ..built.spec };
                    self.scratch = self.sets.insert(id, ObservedSet { spec, ..built });
                }
            }
            Op::DestroyScratch(_) => self.scratch = None,
            Op::DestroyLegacySet(name) => {
                self.legacy_sets.remove(&name);
            }
            Op::DestroySet(id) => {
                self.sets.remove(&id);
            }
            Op::AddMember(id, member) => {
                if let Some(set) = self.sets.get_mut(&id) {
                    set.put(member);
                }
            }
            Op::DeleteMember(id, entry) => {
                if let Some(set) = self.sets.get_mut(&id) {
                    set.members.remove(&entry);
                }
            }
            Op::AddService(service) | Op::SetService(service) => {
                let destinations = Destinations::new();
                self.services
                    .entry(service.id)
                    .and_modify(|observed| observed.service = service)
                    .or_insert(ObservedService { service, destinations });
            }
            Op::DeleteService(id) => {
                self.services.remove(&id);
            }
            Op::AddDestination(id, destination) | Op::SetDestination(id, destination) => {
                if let Some(service) = self.services.get_mut(&id) {
                    service.destinations.put(destination);
                }
            }
            Op::DeleteDestination(id, destination) => {
                if let Some(service) = self.services.get_mut(&id) {
                    service.destinations.take(destination);
                }
            }
            Op::AddRoute(route) | Op::ReplaceRoute { new: route, .. } => {
                self.routes.insert(route.address, route);
            }
            Op::DeleteRoute(route) => {
                self.routes.remove(&route.address);
            }
            Op::AddAddress(address) => {
                self.device.get_or_insert_default().addresses.insert(address);
            }
            Op::DeleteAddress(address) => {
                self.device.get_or_insert_default().addresses.remove(&address);
            }
            Op::CreateDevice => self.device = Some(ObservedDevice::default()),
            Op::RemoveDevice => self.device = None,
            Op::RemoveLegacyRules(ref rules) => {
                self.legacy_rules.remove(&rules.family);
            }
            Op::RemoveLegacyTable(family) => {
                self.legacy_tables.remove(&family);
            }
        }
    }
}

fn put_or_take<K: Ord, V: Clone>(map: &mut BTreeMap<K, V>, key: K, value: Option<&V>) {
    match value {
        Some(value) => map.insert(key, value.clone()),
        None => map.remove(&key),
    };
}

impl ObservedSet {
    fn put(&mut self, Member { entry, mark }: Member) {
        self.members.insert(entry, mark.map(|mark| mark.value));
    }
}

impl ObservedService {
    /// Lets its destinations be the real servers of the pool that is wanted for it, if they are.
    pub(crate) fn share(&mut self, ledger: &Ledger) {
        if let Some(wanted) = ledger.wanted_service(&self.service.id) {
            self.destinations.share(&wanted.servers);
        }
    }
}

/// Our sets by their names in the kernel.
#[must_use]
pub fn sets_by_name() -> HashMap<SetName, SetId> {
    SetId::all().map(|set| (set.name(), set)).collect()
}

/// Whether an address can be of a service on this node by itself: not a loopback or link-local one.
#[must_use]
pub fn is_node_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !address.is_loopback(),
        IpAddr::V6(address) => !address.is_loopback() && !address.is_unicast_link_local(),
    }
}

/// The source address of the node's own connections, a family each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeIps {
    /// For IPv4 virtual servers.
    pub ipv4: Option<IpAddr>,
    /// For IPv6 virtual servers.
    pub ipv6: Option<IpAddr>,
}

impl NodeIps {
    /// The one of `family`.
    #[must_use]
    pub const fn of(&self, family: Family) -> Option<IpAddr> {
        match family {
            Family::Ipv4 => self.ipv4,
            Family::Ipv6 => self.ipv6,
        }
    }
}
