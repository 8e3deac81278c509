//! What somebody else does to things of ours.

use ipvs_backend::ROUTE_PROTOCOL;
use ipvs_backend::netlink::ipset::{Entry, SetName};
use ipvs_backend::netlink::ipvs::{Destination, DestinationId, ServiceId};
use ipvs_backend::netlink::route::LocalRoute;
use ipvs_backend::set::{Purpose, SetId};
use proxy_core::Family;

use crate::state::State;

/// What somebody does. Which of several objects it befalls, a number tells.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Meddling {
    DeleteService,
    DeleteDestinations,
    DeleteDestination,
    ChangeWeight,
    AddDestination,
    ChangeScheduler,
    DeleteMember,
    FlushSet,
    AddMember,
    DeleteRoute,
    ChangeSource,
    AddRoute,
    DeleteDevice,
    AddAddress,
    FlushChain,
    DeleteJump,
}

impl Meddling {
    pub(crate) const ALL: [Self; 16] = [
        Self::DeleteService,
        Self::DeleteDestinations,
        Self::DeleteDestination,
        Self::ChangeWeight,
        Self::AddDestination,
        Self::ChangeScheduler,
        Self::DeleteMember,
        Self::FlushSet,
        Self::AddMember,
        Self::DeleteRoute,
        Self::ChangeSource,
        Self::AddRoute,
        Self::DeleteDevice,
        Self::AddAddress,
        Self::FlushChain,
        Self::DeleteJump,
    ];

    /// Whether it may remove what tells that a service is ours.
    pub(crate) const fn removes_signs(self) -> bool {
        matches!(self, Self::DeleteMember | Self::FlushSet)
    }

    pub(crate) fn befall(self, state: &mut State, number: usize) {
        match self {
            Self::DeleteService => {
                if let Some(id) = a_service(state, number) {
                    state.services.remove(&id);
                }
            }
            Self::DeleteDestinations
            | Self::DeleteDestination
            | Self::ChangeWeight
            | Self::AddDestination
            | Self::ChangeScheduler => self.befall_service(state, number),
            Self::DeleteMember | Self::FlushSet => self.befall_set(state, number),
            Self::AddMember => {
                let id = SetId { purpose: Purpose::IpvsIps, family: Family::Ipv4 };
                if let Some((_, members)) = state.sets.get_mut(&id.name()) {
                    members.insert(Entry::Ip([198, 18, 0, 1].into()), None);
                }
            }
            Self::DeleteRoute | Self::ChangeSource => self.befall_route(state, number),
            Self::AddRoute => {
                let address = [198, 18, 0, 2].into();
                let (preferred_source, protocol) = (None, ROUTE_PROTOCOL);
                state.routes.insert(LocalRoute { address, device: 1, preferred_source, protocol });
            }
            Self::DeleteDevice => state.device = None,
            Self::AddAddress => {
                if let Some(held) = &mut state.device {
                    held.insert([198, 18, 0, 3].into());
                }
            }
            Self::FlushChain => state.rules.values_mut().for_each(|rules| rules.flush(number)),
            Self::DeleteJump => {
                state.rules.values_mut().for_each(|rules| rules.remove_jump(number));
            }
        }
    }

    fn befall_service(self, state: &mut State, number: usize) {
        let id = a_service(state, number);
        let Some((service, destinations)) = id.and_then(|id| state.services.get_mut(&id)) else {
            return;
        };
        match self {
            Self::DeleteDestinations => destinations.clear(),
            Self::AddDestination => {
                let bogus = DestinationId { address: [10, 244, 9, 9].into(), port: 9 };
                destinations.insert(bogus, Destination::new(bogus, 1));
            }
            Self::ChangeScheduler => service.scheduler = "lc".try_into().unwrap(),
            Self::ChangeWeight => {
                if let Some(mut first) = destinations.first_entry() {
                    first.get_mut().weight = u32::try_from(number % 3).unwrap();
                }
            }
            _ => {
                destinations.pop_first();
            }
        }
    }

    fn befall_set(self, state: &mut State, number: usize) {
        let is_strangers = |name: &SetName| name.as_str() == "STRANGERS";
        let ours = state.sets.iter_mut().filter(|(name, _)| !is_strangers(name));
        let mut filled: Vec<_> =
            ours.filter(|(_, (_, members))| !members.is_empty()).map(|(_, set)| set).collect();
        let count = filled.len().max(1);
        let Some((_, members)) = filled.get_mut(number % count) else { return };
        match self {
            Self::FlushSet => members.clear(),
            _ => {
                members.pop_first();
            }
        }
    }

    fn befall_route(self, state: &mut State, number: usize) {
        let ours = state.routes.iter().filter(|route| route.protocol == ROUTE_PROTOCOL);
        let ours: Vec<_> = ours.copied().collect();
        let Some(&route) = ours.get(number % ours.len().max(1)) else { return };
        state.routes.remove(&route);
        if matches!(self, Self::ChangeSource) {
            let preferred_source = Some([192, 0, 2, 99].into());
            state.routes.insert(LocalRoute { preferred_source, ..route });
        }
    }
}

fn a_service(state: &State, number: usize) -> Option<ServiceId> {
    let strangers = State::of_strangers();
    let ours = state.services.keys().filter(|id| !strangers.services.contains_key(id));
    let ours: Vec<_> = ours.copied().collect();
    ours.get(number % ours.len().max(1)).copied()
}
