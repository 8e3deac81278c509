//! Holds the inputs. One event in, the Services that must be resolved anew out.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use crate::foreign::{API_SERVER, ForeignAddresses, Owner, is_api_server};
use crate::repack::repack;
use crate::resolve::{Context, resolve};
use crate::sorted::add;
use crate::why::Account;
use crate::{
    EndpointSlice, Name, Node, Resolution, Scheduler, SchedulerFlags, Service, ServiceKey,
    SliceKey, ThisNode,
};

/// One thing that became known. Delivering the same twice changes nothing.
#[derive(Clone, Debug)]
pub enum Event {
    /// A Service was created or changed.
    Service(Arc<Service>),
    /// A Service is gone, or became one that no proxy serves.
    ServiceRemoved(ServiceKey),
    /// A slice was created or changed, possibly to another Service.
    Slice(Arc<EndpointSlice>),
    /// A slice is gone.
    SliceRemoved(SliceKey),
    /// A node was created or changed; also the node that decides.
    Node(Arc<Node>),
    /// A node is gone. The node that decides keeps its last known zone.
    NodeRemoved(Name),
    /// The complete list of addresses on which this node serves node ports.
    NodePortAddresses(Vec<IpAddr>),
}

/// Everything known about Services, their endpoints and the nodes, from one node's point of view.
#[derive(Debug)]
pub struct Model {
    node_name: Name,
    scheduler: (Scheduler, SchedulerFlags),
    services: BTreeMap<ServiceKey, Arc<Service>>,
    slices: BTreeMap<SliceKey, Arc<EndpointSlice>>,
    /// Names of the slices of each Service, sorted, also of Services not known yet.
    slices_of: BTreeMap<ServiceKey, Vec<Name>>,
    nodes: HashMap<Name, Arc<Node>>,
    foreign_addresses: ForeignAddresses,
    /// Addresses of API servers that were given.
    given_api_servers: BTreeSet<IpAddr>,
    /// Services by external and load-balancer IP, to find those that a node's address concerns.
    claimants: BTreeMap<IpAddr, Vec<ServiceKey>>,
    node_port_addresses: Vec<IpAddr>,
    visits: Cell<u64>,
}

impl Model {
    /// An empty model for the node of this name.
    #[must_use]
    pub fn new(node_name: impl Into<Name>) -> Self {
        Self {
            node_name: node_name.into(),
            scheduler: (Scheduler::RoundRobin, SchedulerFlags::default()),
            services: BTreeMap::new(),
            slices: BTreeMap::new(),
            slices_of: BTreeMap::new(),
            nodes: HashMap::new(),
            foreign_addresses: ForeignAddresses::default(),
            given_api_servers: BTreeSet::new(),
            claimants: BTreeMap::new(),
            node_port_addresses: Vec::new(),
            visits: Cell::new(0),
        }
    }

    /// The same model with another scheduler for Services that do not choose one.
    #[must_use]
    pub fn with_scheduler(mut self, scheduler: Scheduler, flags: SchedulerFlags) -> Self {
        self.scheduler = (scheduler, flags);
        self
    }

    /// The same model, where API servers answer at these addresses, whatever the endpoints of Service
    /// `default/kubernetes` are: as a kubeconfig says, a load balancer's, say.
    #[must_use]
    pub fn with_api_servers(mut self, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        let before = self.api_servers();
        self.given_api_servers = addresses.into_iter().collect();
        self.follow_api_servers(&before);
        self
    }

    /// Takes in one event. Returns the Services whose resolution may have changed, sorted.
    /// Its cost follows the change: a Service is looked at only if the event concerns it.
    pub fn apply(&mut self, event: Event) -> Vec<ServiceKey> {
        match event {
            Event::Service(service) => self.set_service(service),
            Event::ServiceRemoved(key) => self.remove_service(&key),
            Event::Slice(slice) => self.set_slice(slice),
            Event::SliceRemoved(key) => self.remove_slice(&key),
            Event::Node(node) => self.set_node(node),
            Event::NodeRemoved(name) => self.remove_node(&name),
            Event::NodePortAddresses(addresses) => self.set_node_port_addresses(addresses),
        }
    }

    /// Puts what is known close together, after much of it came at once.
    pub fn repack(&mut self) {
        repack(&mut self.services);
        repack(&mut self.slices);
        repack(&mut self.slices_of);
        repack(&mut self.claimants);
    }

    /// What this node serves for a Service; nothing if the Service is unknown.
    #[must_use]
    pub fn resolve(&self, key: &ServiceKey) -> Resolution {
        self.visits.set(self.visits.get() + 1);
        let Some(service) = self.services.get(key) else { return Resolution::default() };
        resolve(service, self.slices(key), &self.context())
    }

    /// Why a Service has the real servers that it has here, and not others; `None` if it is unknown.
    #[must_use]
    pub fn why(&self, key: &ServiceKey) -> Option<Account> {
        let service = self.services.get(key)?;
        Some(Account::new(service, self.slices(key), &self.context()))
    }

    fn context(&self) -> Context<'_> {
        Context {
            node: ThisNode { name: &self.node_name, zone: self.zone() },
            node_port_addresses: &self.node_port_addresses,
            foreign_addresses: &self.foreign_addresses,
            scheduler: self.scheduler,
        }
    }

    /// Name of the node that decides.
    #[must_use]
    pub const fn node_name(&self) -> &Name {
        &self.node_name
    }

    /// The Service with this key.
    #[must_use]
    pub fn service(&self, key: &ServiceKey) -> Option<&Arc<Service>> {
        self.services.get(key)
    }

    /// All Services, by key.
    pub fn services(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.services.values()
    }

    /// Keys of all Services, sorted.
    pub fn service_keys(&self) -> impl Iterator<Item = &ServiceKey> {
        self.services.keys()
    }

    /// The slice with this key.
    #[must_use]
    pub fn slice(&self, key: &SliceKey) -> Option<&Arc<EndpointSlice>> {
        self.slices.get(key)
    }

    /// The slices of all Services, also of those that are not known, by key.
    pub fn all_slices(&self) -> impl Iterator<Item = &Arc<EndpointSlice>> {
        self.slices.values()
    }

    /// All nodes, in no particular order.
    pub fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.values()
    }

    /// Addresses of API servers that [`Self::with_api_servers`] gave, sorted.
    pub fn given_api_servers(&self) -> impl Iterator<Item = IpAddr> {
        self.given_api_servers.iter().copied()
    }

    /// The slices of a Service, by name.
    pub fn slices(&self, key: &ServiceKey) -> impl Iterator<Item = &EndpointSlice> + Clone {
        let namespace = key.namespace.clone();
        self.slices_of.get(key).into_iter().flatten().filter_map(move |name| {
            let key = SliceKey { namespace: namespace.clone(), name: name.clone() };
            self.slices.get(&key).map(|slice| &**slice)
        })
    }

    /// How many Services were looked at since the model was made: the measure of work done.
    #[must_use]
    pub const fn visits(&self) -> u64 {
        self.visits.get()
    }

    fn zone(&self) -> Option<&str> {
        self.nodes.get(&self.node_name).and_then(|node| node.zone.as_deref())
    }

    fn set_service(&mut self, service: Arc<Service>) -> Vec<ServiceKey> {
        let key = service.key.clone();
        let previous = self.services.get(&key);
        if previous == Some(&service) {
            return Vec::new();
        }
        self.forget_claims(&key);
        for address in external_addresses(&service) {
            add(self.claimants.entry(address).or_default(), &key);
        }
        self.services.insert(key.clone(), service);
        vec![key]
    }

    fn remove_service(&mut self, key: &ServiceKey) -> Vec<ServiceKey> {
        self.forget_claims(key);
        self.services.remove(key).map(|_| key.clone()).into_iter().collect()
    }

    fn forget_claims(&mut self, key: &ServiceKey) {
        let Some(service) = self.services.get(key) else { return };
        for address in external_addresses(service) {
            if let Some(keys) = self.claimants.get_mut(&address) {
                keys.retain(|other| other != key);
                if keys.is_empty() {
                    self.claimants.remove(&address);
                }
            }
        }
    }

    fn set_slice(&mut self, slice: Arc<EndpointSlice>) -> Vec<ServiceKey> {
        let key = slice.key.clone();
        let owner = slice.service_key();
        let previous = self.slices.get(&key);
        if previous == Some(&slice) {
            return Vec::new();
        }
        let former = previous.map(|slice| slice.service_key()).filter(|it| *it != owner);
        let concerns_api_servers =
            [Some(&owner), former.as_ref()].into_iter().flatten().any(is_api_server);
        let api_servers = concerns_api_servers.then(|| self.api_servers());
        let mut dirty = BTreeSet::from([owner.clone()]);
        if let Some(former) = former {
            self.disown(&former, &key.name);
            dirty.insert(former);
        }
        add(self.slices_of.entry(owner).or_default(), &key.name);
        self.slices.insert(key, slice);
        if let Some(before) = api_servers {
            dirty.extend(self.follow_api_servers(&before));
        }
        self.known(dirty)
    }

    fn remove_slice(&mut self, key: &SliceKey) -> Vec<ServiceKey> {
        let Some(owner) = self.slices.get(key).map(|slice| slice.service_key()) else {
            return Vec::new();
        };
        let api_servers = is_api_server(&owner).then(|| self.api_servers());
        self.slices.remove(key);
        self.disown(&owner, &key.name);
        let mut dirty = BTreeSet::from([owner]);
        if let Some(before) = api_servers {
            dirty.extend(self.follow_api_servers(&before));
        }
        self.known(dirty)
    }

    /// Where API servers answer.
    fn api_servers(&self) -> BTreeSet<IpAddr> {
        let service = ServiceKey::new(API_SERVER.0, API_SERVER.1);
        let endpoints = self.slices(&service).flat_map(|slice| &slice.endpoints);
        let endpoints = endpoints.map(|endpoint| endpoint.address);
        endpoints.chain(self.given_api_servers.iter().copied()).collect()
    }

    /// Takes in where API servers answer, who answered at the addresses `before`.
    fn follow_api_servers(&mut self, before: &BTreeSet<IpAddr>) -> Vec<ServiceKey> {
        let after = self.api_servers();
        let changed = self.foreign_addresses.readdress(&Owner::ApiServer, before, &after);
        self.claimants_of(&changed)
    }

    fn claimants_of(&self, addresses: &[IpAddr]) -> Vec<ServiceKey> {
        let claimants = addresses.iter().filter_map(|address| self.claimants.get(address));
        let distinct: BTreeSet<_> = claimants.flatten().cloned().collect();
        distinct.into_iter().collect()
    }

    fn disown(&mut self, owner: &ServiceKey, slice: &Name) {
        if let Some(names) = self.slices_of.get_mut(owner) {
            names.retain(|name| name != slice);
            if names.is_empty() {
                self.slices_of.remove(owner);
            }
        }
    }

    /// Slices of a Service that is not known change nothing yet.
    fn known(&self, keys: BTreeSet<ServiceKey>) -> Vec<ServiceKey> {
        keys.into_iter().filter(|key| self.services.contains_key(key)).collect()
    }

    fn set_node(&mut self, node: Arc<Node>) -> Vec<ServiceKey> {
        let name = node.name.clone();
        let previous = self.nodes.insert(name.clone(), node.clone());
        if name == self.node_name {
            let zone_before = previous.and_then(|node| node.zone.clone());
            return if zone_before == node.zone { Vec::new() } else { self.all() };
        }
        let before = previous.map(|node| node.addresses.clone()).unwrap_or_default();
        if before == node.addresses {
            return Vec::new();
        }
        self.readdress(&name, &before, &node.addresses)
    }

    fn remove_node(&mut self, name: &Name) -> Vec<ServiceKey> {
        if *name == self.node_name {
            return Vec::new();
        }
        match self.nodes.remove(name) {
            Some(node) => self.readdress(name, &node.addresses, &[]),
            None => Vec::new(),
        }
    }

    /// Moves another node from its addresses `before` to `after`.
    fn readdress(&mut self, name: &Name, before: &[IpAddr], after: &[IpAddr]) -> Vec<ServiceKey> {
        let set = |addresses: &[IpAddr]| addresses.iter().copied().collect();
        let owner = Owner::Node(name.clone());
        let changed = self.foreign_addresses.readdress(&owner, &set(before), &set(after));
        self.claimants_of(&changed)
    }

    fn set_node_port_addresses(&mut self, mut addresses: Vec<IpAddr>) -> Vec<ServiceKey> {
        addresses.sort_unstable();
        addresses.dedup();
        if addresses == self.node_port_addresses {
            return Vec::new();
        }
        self.node_port_addresses = addresses;
        let with_node_port = self
            .services
            .values()
            .filter(|service| service.ports.iter().any(|port| port.node_port.is_some()));
        with_node_port.map(|service| service.key.clone()).collect()
    }

    fn all(&self) -> Vec<ServiceKey> {
        self.services.keys().cloned().collect()
    }
}

fn external_addresses(service: &Service) -> impl Iterator<Item = IpAddr> {
    service.external_ips.iter().chain(&service.load_balancer_ips).copied()
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
