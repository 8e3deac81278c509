//! A kernel in memory that answers like the real one.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipvs_backend::ROUTE_PROTOCOL;
use ipvs_backend::kernel::Kernel;
use ipvs_backend::netlink::ipset::{self, SetError};
use ipvs_backend::netlink::ipvs::{self, DestinationStatus, ServiceId, Stats64};
use ipvs_backend::netlink::{Errno, conntrack, route};
use ipvs_backend::observe::{
    Destinations, Observed, ObservedDevice, ObservedService, ObservedSet, sets_by_name,
};
use ipvs_backend::set::LEGACY_SETS;
use proxy_core::{Family, Scheduler};

use crate::state::State;

/// A handle to it: the test keeps one, the backend has another.
#[derive(Clone, Debug)]
pub(crate) struct FakeKernel {
    state: Arc<Mutex<State>>,
    /// How often somebody looked at the rules of a family.
    looks: Arc<AtomicUsize>,
}

const LOOPBACK: u32 = 1;
const DEVICE: u32 = 9;

/// The addresses that the node has by itself.
pub(crate) const NODE_ADDRESSES: [&str; 2] = ["192.0.2.100", "2001:db8:1::100"];

/// The one that the kernel has no module for.
pub(crate) const ABSENT_SCHEDULER: Scheduler = Scheduler::PowerOfTwoChoices;

impl FakeKernel {
    pub(crate) fn new(state: State) -> Self {
        Self { state: Arc::new(Mutex::new(state)), looks: Arc::default() }
    }

    pub(crate) fn state(&self) -> State {
        self.open().clone()
    }

    /// How often somebody looked at the rules of a family.
    pub(crate) fn looks(&self) -> usize {
        self.looks.load(Ordering::Relaxed)
    }

    /// Somebody else changes something.
    pub(crate) fn tamper(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.open());
    }

    fn open(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, read: impl FnOnce(&State) -> T) -> io::Result<T> {
        Ok(read(&self.open()))
    }

    fn run<R, E>(
        &self,
        requests: &[R],
        change: impl Fn(&mut State, &R) -> Result<(), E>,
    ) -> io::Result<Vec<Result<(), E>>> {
        let mut state = self.open();
        Ok(requests.iter().map(|request| change(&mut state, request)).collect())
    }

    fn run_one(&self, change: impl FnOnce(&mut State) -> Result<(), Errno>) -> io::Result<()> {
        Ok(change(&mut self.open())?)
    }
}

impl Kernel for FakeKernel {
    fn another(&self) -> io::Result<Self> {
        Ok(self.clone())
    }

    fn observe(&mut self) -> io::Result<Observed> {
        self.read(|state| {
            let mut observed = network(state);
            let ids = sets_by_name();
            for (name, (spec, members)) in &state.sets {
                if LEGACY_SETS.contains(&name.as_str()) {
                    observed.legacy_sets.insert(*name);
                } else if let Some(id) = ids.get(name) {
                    let set = ObservedSet { spec: *spec, members: members.clone() };
                    observed.sets.insert(*id, set);
                }
            }
            observed.legacy_tables.clone_from(&state.legacy_tables);
            for (id, (service, _)) in &state.services {
                let service =
                    ObservedService { service: *service, destinations: Destinations::new() };
                observed.services.insert(*id, service);
            }
            observed
        })
    }

    fn observe_network(&mut self) -> io::Result<Observed> {
        self.read(network)
    }

    fn has_service(&mut self, service: &ServiceId) -> io::Result<bool> {
        self.read(|state| state.services.contains_key(service))
    }

    fn destinations(&mut self, service: &ServiceId) -> io::Result<Vec<DestinationStatus>> {
        self.read(|state| {
            let found = state.services.get(service).into_iter().flat_map(|(_, found)| found);
            let status = |(id, destination): (_, &ipvs::Destination)| DestinationStatus {
                destination: *destination,
                active: u32::from(state.connections.contains(&(*service, id))),
                inactive: 0,
                persistent: 0,
                stats: Stats64::default(),
            };
            found.map(|(id, destination)| status((*id, destination))).collect()
        })
    }

    fn ipvs(&mut self, requests: &[ipvs::Request]) -> io::Result<Vec<Result<(), Errno>>> {
        self.run(requests, change_ipvs)
    }

    fn ipset(&mut self, requests: &[ipset::Request]) -> io::Result<Vec<Result<(), SetError>>> {
        self.run(requests, change_set)
    }

    fn route(&mut self, requests: &[route::Request]) -> io::Result<Vec<Result<(), Errno>>> {
        self.run(requests, change_route)
    }

    fn create_device(&mut self) -> io::Result<()> {
        self.run_one(|state| match state.device {
            Some(_) => Err(Errno::EXIST),
            None => {
                state.device = Some(BTreeSet::new());
                Ok(())
            }
        })
    }

    fn remove_device(&mut self) -> io::Result<()> {
        self.run_one(|state| {
            state.device = None;
            Ok(())
        })
    }

    fn device_index(&mut self) -> io::Result<Option<u32>> {
        self.read(|state| state.device.as_ref().map(|_| DEVICE))
    }

    fn udp_flows(
        &mut self,
        _: conntrack::Scope<'_>,
        _: &mut dyn FnMut(&conntrack::Flow) -> bool,
    ) -> io::Result<Vec<conntrack::Flow>> {
        self.read(|_| Vec::new())
    }

    fn forget_flows(&mut self, flows: &[conntrack::Flow]) -> io::Result<Vec<Result<(), Errno>>> {
        self.run(flows, |_, _| Ok(()))
    }

    fn saved_rules(&mut self, family: Family) -> io::Result<String> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        self.read(|state| saved(state, family))
    }

    fn rules_generation(&mut self) -> io::Result<Option<u32>> {
        self.read(|state| {
            let mut hasher = DefaultHasher::new();
            Family::ALL.map(|family| saved(state, family)).hash(&mut hasher);
            u32::try_from(hasher.finish() >> 32).ok()
        })
    }

    fn change_rules(
        &mut self,
        family: Family,
        saved: Option<String>,
        input: &mut dyn FnMut(&str) -> Option<String>,
    ) -> io::Result<()> {
        let saved = saved.map_or_else(|| self.saved_rules(family), Ok)?;
        let Some(input) = input(&saved) else { return Ok(()) };
        self.run_one(|state| {
            let rules = state.rules.entry(family).or_default();
            let mut changed = rules.clone();
            changed.restore(&input).unwrap_or_else(|line| panic!("{line} cannot be loaded"));
            let is_there = |set: &str| state.sets.keys().any(|name| name.as_str() == set);
            if !changed.sets().all(is_there) {
                return Err(Errno::INVAL);
            }
            *rules = changed;
            Ok(())
        })
    }

    fn remove_table(&mut self, family: Family, _: &str) -> io::Result<()> {
        self.run_one(|state| {
            state.legacy_tables.remove(&family);
            Ok(())
        })
    }
}

fn saved(state: &State, family: Family) -> String {
    state.rules.get(&family).map_or_else(String::new, |rules| rules.saved())
}

fn network(state: &State) -> Observed {
    let ours = state.routes.iter().filter(|route| route.protocol == ROUTE_PROTOCOL);
    let device =
        |addresses: &BTreeSet<_>| ObservedDevice { index: DEVICE, addresses: addresses.clone() };
    Observed {
        routes: ours.map(|route| (route.address, *route)).collect::<BTreeMap<_, _>>(),
        device: state.device.as_ref().map(device),
        node_addresses: NODE_ADDRESSES.map(|text| text.parse().unwrap()).into(),
        loopback: LOOPBACK,
        ..Observed::default()
    }
}

fn change_ipvs(state: &mut State, request: &ipvs::Request) -> Result<(), Errno> {
    use ipvs::Request;
    let services = &mut state.services;
    match request {
        Request::AddService(service) if services.contains_key(&service.id) => {
            return Err(Errno::EXIST);
        }
        Request::AddService(service) | Request::SetService(service)
            if service.scheduler.as_str() == ABSENT_SCHEDULER.name() =>
        {
            return Err(Errno::NOENT);
        }
        Request::AddService(service) => {
            services.insert(service.id, (*service, BTreeMap::new()));
        }
        Request::SetService(service) => {
            services.get_mut(&service.id).ok_or(Errno::SRCH)?.0 = *service
        }
        Request::DeleteService(id) => {
            services.remove(id).ok_or(Errno::SRCH)?;
            state.connections.retain(|(service, _)| service != id);
        }
        Request::AddDestination(id, destination) => {
            let (_, destinations) = services.get_mut(id).ok_or(Errno::SRCH)?;
            if destinations.contains_key(&destination.id()) {
                return Err(Errno::EXIST);
            }
            destinations.insert(destination.id(), *destination);
        }
        Request::SetDestination(id, destination) => {
            let (_, destinations) = services.get_mut(id).ok_or(Errno::SRCH)?;
            *destinations.get_mut(&destination.id()).ok_or(Errno::NOENT)? = *destination;
        }
        Request::DeleteDestination(id, destination) => {
            let (_, destinations) = services.get_mut(id).ok_or(Errno::SRCH)?;
            destinations.remove(destination).ok_or(Errno::NOENT)?;
            state.connections.remove(&(*id, *destination));
        }
        Request::Zero(_) | Request::SetConfig(_) => {}
    }
    Ok(())
}

fn change_set(state: &mut State, request: &ipset::Request) -> Result<(), SetError> {
    use ipset::Request;
    let is_used = |state: &State, name: &ipset::SetName| {
        state.rules.values().any(|rules| rules.refers_to(name.as_str()))
    };
    match request {
        Request::Create(spec) => match state.sets.get(&spec.name) {
            Some((there, _)) if spec.is_met_by(there) => {}
            Some(_) => return Err(SetError::Exists),
            None => {
                state.sets.insert(spec.name, (*spec, BTreeMap::new()));
            }
        },
        Request::Destroy(name) if is_used(state, name) => return Err(SetError::InUse),
        Request::Destroy(name) => {
            state.sets.remove(name).ok_or(SetError::Missing)?;
        }
        Request::Flush(name) => state.sets.get_mut(name).ok_or(SetError::Missing)?.1.clear(),
        Request::Swap(one, two) => {
            let (Some(mut first), Some(mut second)) =
                (state.sets.get(one).cloned(), state.sets.get(two).cloned())
            else {
                return Err(SetError::Missing);
            };
            if first.0.kind != second.0.kind {
                return Err(SetError::TypeMismatch);
            }
            (first.0.name, second.0.name) = (*two, *one);
            state.sets.extend([(*one, second), (*two, first)]);
        }
        Request::Add(name, member) => {
            let (spec, members) = state.sets.get_mut(name).ok_or(SetError::Missing)?;
            if member.mark.is_some() && !spec.skbinfo {
                return Err(SetError::NoSkbinfo);
            }
            let is_full = spec.max_elements > 0 && members.len() >= spec.max_elements as usize;
            if is_full && !members.contains_key(&member.entry) {
                return Err(SetError::Full);
            }
            members.insert(member.entry, member.mark.map(|mark| mark.value));
        }
        Request::Delete(name, entry) => {
            state.sets.get_mut(name).ok_or(SetError::Missing)?.1.remove(entry);
        }
    }
    Ok(())
}

fn change_route(state: &mut State, request: &route::Request) -> Result<(), Errno> {
    use route::Request;
    let same = |one: &route::LocalRoute, two: &route::LocalRoute| {
        (one.address, one.protocol) == (two.address, two.protocol)
            && (one.address.is_ipv6() || one == two)
    };
    let routes = &mut state.routes;
    match request {
        Request::Add(route) if routes.iter().any(|there| same(there, route)) => Err(Errno::EXIST),
        Request::Add(route) => {
            routes.insert(*route);
            Ok(())
        }
        Request::Replace { old, new } => {
            routes.retain(|there| !same(there, old));
            routes.insert(*new);
            Ok(())
        }
        Request::Delete(route) => {
            let before = routes.len();
            routes.retain(|there| !same(there, route));
            if routes.len() == before { Err(Errno::SRCH) } else { Ok(()) }
        }
        Request::AddAddress { device: DEVICE, address } => match &mut state.device {
            None => Err(Errno::NODEV),
            Some(held) => {
                if held.insert(*address) {
                    Ok(())
                } else {
                    Err(Errno::EXIST)
                }
            }
        },
        Request::DeleteAddress { device: DEVICE, address } => match &mut state.device {
            None => Err(Errno::NODEV),
            Some(held) => {
                if held.remove(address) {
                    Ok(())
                } else {
                    Err(Errno::ADDRNOTAVAIL)
                }
            }
        },
        Request::AddAddress { .. } | Request::DeleteAddress { .. } => Err(Errno::NODEV),
    }
}
