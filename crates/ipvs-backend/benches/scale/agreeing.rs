//! A kernel that agrees to everything and remembers nothing.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use ipvs_backend::ROUTE_PROTOCOL;
use ipvs_backend::kernel::Kernel;
use ipvs_backend::netlink::ipset::{self, SetError};
use ipvs_backend::netlink::ipvs::{self, DestinationStatus, ServiceId, Stats64};
use ipvs_backend::netlink::{Errno, conntrack, route};
use ipvs_backend::object::{Shared, service_id, shared, wanted_service};
use ipvs_backend::observe::{Destinations, Observed, ObservedDevice, ObservedService, ObservedSet};
use ipvs_backend::set::{Purpose, SetId};
use proxy_core::{DesiredState, Family, Model, VirtualServer};

use crate::stage::Cluster;

/// It may hold what an earlier process programmed for some virtual servers.
#[derive(Debug, Default)]
pub(crate) struct Agreeing(BTreeMap<ServiceId, Arc<VirtualServer>>);

impl Agreeing {
    /// One that holds everything for a cluster.
    pub(crate) fn serving(cluster: &mut Cluster, services: u32) -> Self {
        let mut model = Model::new("n1");
        let mut desired = DesiredState::new();
        for number in 0..services {
            for event in [cluster.service(number), cluster.slice(number, 0)] {
                for service in model.apply(event) {
                    let resolution = model.resolve(&service);
                    let _ = desired.replace(&service, resolution);
                }
            }
        }
        Self(desired.iter().map(|server| (service_id(&server.key), server.clone())).collect())
    }
}

const LOOPBACK: u32 = 1;

impl Kernel for Agreeing {
    fn observe(&mut self) -> io::Result<Observed> {
        let mut observed = self.observe_network()?;
        for set in SetId::all().filter(|_| !self.0.is_empty()) {
            observed.sets.insert(set, ObservedSet { spec: set.spec(), members: BTreeMap::new() });
        }
        for (&id, server) in &self.0 {
            let service = wanted_service(server, id).service;
            observed
                .services
                .insert(id, ObservedService { service, destinations: Destinations::new() });
            for object in shared(server) {
                let (set, entry) = match object {
                    Shared::Member(set, entry) => (set, entry),
                    Shared::Vip(address) => {
                        let family = Family::of(address);
                        (SetId { purpose: Purpose::IpvsIps, family }, ipset::Entry::Ip(address))
                    }
                };
                if let Some(set) = observed.sets.get_mut(&set) {
                    set.members.insert(entry, None);
                }
            }
        }
        Ok(observed)
    }

    fn has_service(&mut self, service: &ServiceId) -> io::Result<bool> {
        Ok(self.0.contains_key(service))
    }

    fn observe_network(&mut self) -> io::Result<Observed> {
        let route = |server: &Arc<VirtualServer>| {
            let address = server.key.address;
            let (device, protocol) = (LOOPBACK, ROUTE_PROTOCOL);
            (address, route::LocalRoute { address, device, preferred_source: None, protocol })
        };
        Ok(Observed {
            routes: self.0.values().map(route).collect(),
            device: Some(ObservedDevice::default()),
            loopback: LOOPBACK,
            ..Observed::default()
        })
    }

    fn destinations(&mut self, service: &ServiceId) -> io::Result<Vec<DestinationStatus>> {
        let status = |destination| DestinationStatus {
            destination,
            active: 0,
            inactive: 0,
            persistent: 0,
            stats: Stats64::default(),
        };
        let found = self.0.get(service).map(|server| wanted_service(server, *service));
        Ok(found
            .into_iter()
            .flat_map(|it| it.destinations().collect::<Vec<_>>())
            .map(status)
            .collect())
    }

    fn ipvs(&mut self, requests: &[ipvs::Request]) -> io::Result<Vec<Result<(), Errno>>> {
        Ok(vec![Ok(()); requests.len()])
    }

    fn ipset(&mut self, requests: &[ipset::Request]) -> io::Result<Vec<Result<(), SetError>>> {
        Ok(requests.iter().map(|_| Ok(())).collect())
    }

    fn route(&mut self, requests: &[route::Request]) -> io::Result<Vec<Result<(), Errno>>> {
        Ok(vec![Ok(()); requests.len()])
    }

    fn create_device(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn remove_device(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn device_index(&mut self) -> io::Result<Option<u32>> {
        Ok(None)
    }

    fn udp_flows(
        &mut self,
        _: conntrack::Scope<'_>,
        _: &mut dyn FnMut(&conntrack::Flow) -> bool,
    ) -> io::Result<Vec<conntrack::Flow>> {
        Ok(Vec::new())
    }

    fn forget_flows(&mut self, flows: &[conntrack::Flow]) -> io::Result<Vec<Result<(), Errno>>> {
        Ok(vec![Ok(()); flows.len()])
    }

    fn saved_rules(&mut self, _: Family) -> io::Result<String> {
        Ok(String::new())
    }

    fn change_rules(
        &mut self,
        _: Family,
        _: Option<String>,
        _: &mut dyn FnMut(&str) -> Option<String>,
    ) -> io::Result<()> {
        Ok(())
    }

    fn remove_table(&mut self, _: Family, _: &str) -> io::Result<()> {
        Ok(())
    }
}
