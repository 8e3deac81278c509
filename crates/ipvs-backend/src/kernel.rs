//! The kernel as the backend needs it. The one implementation outside of tests is [`Netlink`].

use std::io;
use std::sync::Arc;
use std::time::Instant;

use proxy_core::{BackendError, Family};

use crate::iptables::Iptables;
use crate::netlink::conntrack::{self, Conntrack};
use crate::netlink::ipset::{self, Ipset, SetError};
use crate::netlink::ipvs::{self, DestinationStatus, Ipvs, OpenError, ServiceId};
use crate::netlink::nftables::Nftables;
use crate::netlink::route::{self, Route};
use crate::netlink::{Errno, Traffic};
use crate::observe::{
    Destinations, Observed, ObservedDevice, ObservedService, ObservedSet, is_node_address,
    sets_by_name,
};
use crate::rules::LEGACY_TABLE;
use crate::set::LEGACY_SETS;
use crate::tally::{Meter, Tally};
use crate::{DUMMY_DEVICE, ROUTE_PROTOCOL};

/// Requests to the kernel and readings of it. An outer error means that nothing is known about
/// the single requests.
pub trait Kernel: Send + 'static {
    /// Another value for the same kernel, to look at it from another thread. Call it in the network
    /// namespace that this one is of.
    ///
    /// # Errors
    /// When there is no way to it.
    fn another(&self) -> io::Result<Self>
    where
        Self: Sized,
    {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Reads everything that is ours or stands in our way, save the destinations of services,
    /// which take a dump for each.
    ///
    /// # Errors
    /// When a dump could not be read to its end.
    fn observe(&mut self) -> io::Result<Observed>;

    /// Reads the part of that which is about devices, addresses and routes; the rest is left empty.
    ///
    /// # Errors
    /// When a dump could not be read to its end.
    fn observe_network(&mut self) -> io::Result<Observed>;

    /// Whether there is such a service.
    ///
    /// # Errors
    /// When it could not be read.
    fn has_service(&mut self, service: &ServiceId) -> io::Result<bool>;

    /// The destinations of a service with their connections; none if there is no such service.
    ///
    /// # Errors
    /// When the dump could not be read to its end.
    fn destinations(&mut self, service: &ServiceId) -> io::Result<Vec<DestinationStatus>>;

    /// Carries out IPVS requests, in order; one that fails does not stop the next.
    ///
    /// # Errors
    /// When answers were lost.
    fn ipvs(&mut self, requests: &[ipvs::Request]) -> io::Result<Vec<Result<(), Errno>>>;

    /// Carries out ipset requests, in order; one that fails does not stop the next.
    ///
    /// # Errors
    /// When answers were lost.
    fn ipset(&mut self, requests: &[ipset::Request]) -> io::Result<Vec<Result<(), SetError>>>;

    /// Carries out route requests, in order; one that fails does not stop the next.
    ///
    /// # Errors
    /// When answers were lost.
    fn route(&mut self, requests: &[route::Request]) -> io::Result<Vec<Result<(), Errno>>>;

    /// Creates the device for virtual servers, down and without addresses.
    ///
    /// # Errors
    /// When the kernel refuses: it may have no dummy devices.
    fn create_device(&mut self) -> io::Result<()>;

    /// Removes that device with its addresses.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn remove_device(&mut self) -> io::Result<()>;

    /// The index of that device, if it is there.
    ///
    /// # Errors
    /// When it cannot be asked for.
    fn device_index(&mut self) -> io::Result<Option<u32>>;

    /// The UDP flows in `scope` that the connection tracker holds and `pick` picks.
    ///
    /// # Errors
    /// When they cannot be read; of kind `Unsupported` or `PermissionDenied` if they never can.
    fn udp_flows(
        &mut self,
        scope: conntrack::Scope<'_>,
        pick: &mut dyn FnMut(&conntrack::Flow) -> bool,
    ) -> io::Result<Vec<conntrack::Flow>>;

    /// Makes the connection tracker forget flows; one that fails does not stop the next.
    ///
    /// # Errors
    /// When answers were lost.
    fn forget_flows(&mut self, flows: &[conntrack::Flow]) -> io::Result<Vec<Result<(), Errno>>>;

    /// The packet filter's rules of all tables, as `iptables-save` shows them.
    ///
    /// # Errors
    /// When they cannot be read.
    fn saved_rules(&mut self, family: Family) -> io::Result<String>;

    /// A number that every change of the packet filter's rules makes another, whoever makes it;
    /// `None` if there is no such number, or nobody knows yet.
    ///
    /// # Errors
    /// When it cannot be read.
    fn rules_generation(&mut self) -> io::Result<Option<u32>> {
        Ok(None)
    }

    /// Makes the packet filter's rules what they should be: `input` gives, for the rules that are
    /// there, what `iptables-restore --noflush` must be told, if anything. `saved` is what
    /// [`Self::saved_rules`] said, if it was asked a moment ago.
    ///
    /// # Errors
    /// When they cannot be read or loaded.
    fn change_rules(
        &mut self,
        family: Family,
        saved: Option<String>,
        input: &mut dyn FnMut(&str) -> Option<String>,
    ) -> io::Result<()>;

    /// Removes a table of the packet filter `nf_tables` with everything in it, if it is there.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn remove_table(&mut self, family: Family, name: &str) -> io::Result<()>;

    /// What was counted here since it was last taken; nothing, if nothing is.
    fn take_tally(&mut self) -> Tally {
        Tally::default()
    }
}

/// The kernel of the network namespace in which this was opened, over netlink.
#[derive(Debug)]
pub struct Netlink {
    conntrack: Conntrack,
    iptables: Iptables,
    ipvs: Ipvs,
    ipset: Ipset,
    nftables: Nftables,
    route: Route,
    meter: Meter,
    traffic: Arc<Traffic>,
}

impl Netlink {
    /// Opens a socket for each netlink family. Whatever crosses them is counted in `traffic`.
    ///
    /// # Errors
    /// When IPVS is not there, or may not be used, with the remedy.
    pub fn open(traffic: &Arc<Traffic>) -> Result<Self, BackendError> {
        Self::with_rules(Iptables::detect, traffic)
    }

    fn with_rules(
        iptables: impl FnOnce() -> Result<Iptables, BackendError>,
        traffic: &Arc<Traffic>,
    ) -> Result<Self, BackendError> {
        let attempt = |what: &str, source| BackendError::Io {
            attempt: format!("open a netlink socket for {what}"),
            source,
        };
        Ok(Self {
            conntrack: Conntrack::open(traffic.clone())
                .map_err(|error| attempt("tracked flows", error))?,
            iptables: iptables()?,
            ipvs: Ipvs::open(traffic.clone()).map_err(missing)?,
            ipset: Ipset::open(traffic.clone()).map_err(|error| attempt("ipset", error))?,
            nftables: Nftables::open(traffic.clone())
                .map_err(|error| attempt("tables of the packet filter", error))?,
            route: Route::open(traffic.clone()).map_err(|error| attempt("routes", error))?,
            meter: Meter::default(),
            traffic: Arc::clone(traffic),
        })
    }

    /// From now on, time what is worth it ([`Tally`], which somebody must take).
    pub(crate) const fn time_with(&mut self, clock: fn() -> Instant) {
        self.meter.clock = Some(clock);
    }
}

fn missing(error: OpenError) -> BackendError {
    match error {
        OpenError::Unavailable => BackendError::Missing {
            what: "kernel module ip_vs".to_owned(),
            remedy: "load it with `modprobe ip_vs`; if there is no such module, install the \
                     package with your kernel's modules or use a kernel built with CONFIG_IP_VS"
                .to_owned(),
        },
        OpenError::Denied => BackendError::Missing {
            what: "capability CAP_NET_ADMIN".to_owned(),
            remedy: "run as root, or add NET_ADMIN to the container's capabilities".to_owned(),
        },
        OpenError::Socket(source) => {
            BackendError::Io { attempt: "open a netlink socket for IPVS".to_owned(), source }
        }
    }
}

impl Kernel for Netlink {
    fn another(&self) -> io::Result<Self> {
        Self::with_rules(|| Ok(self.iptables.clone()), &self.traffic).map_err(io::Error::other)
    }

    fn observe(&mut self) -> io::Result<Observed> {
        let mut observed = self.observe_network()?;
        self.observe_sets(&mut observed)?;
        self.observe_services(&mut observed)?;
        self.observe_tables(&mut observed)?;
        Ok(observed)
    }

    fn observe_network(&mut self) -> io::Result<Observed> {
        let mut observed = Observed::default();
        self.observe_links(&mut observed)?;
        Ok(observed)
    }

    fn has_service(&mut self, service: &ServiceId) -> io::Result<bool> {
        Ok(self.ipvs.service(service)?.is_some())
    }

    fn destinations(&mut self, service: &ServiceId) -> io::Result<Vec<DestinationStatus>> {
        match self.ipvs.destinations(service) {
            Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw()) => Ok(Vec::new()),
            result => result,
        }
    }

    fn ipvs(&mut self, requests: &[ipvs::Request]) -> io::Result<Vec<Result<(), Errno>>> {
        self.ipvs.run(requests)
    }

    fn ipset(&mut self, requests: &[ipset::Request]) -> io::Result<Vec<Result<(), SetError>>> {
        self.ipset.run(requests)
    }

    fn route(&mut self, requests: &[route::Request]) -> io::Result<Vec<Result<(), Errno>>> {
        self.route.run(requests)
    }

    fn create_device(&mut self) -> io::Result<()> {
        self.route.add_dummy_link(DUMMY_DEVICE)
    }

    fn remove_device(&mut self) -> io::Result<()> {
        match self.device_index()? {
            Some(index) => self.route.delete_link(index),
            None => Ok(()),
        }
    }

    fn device_index(&mut self) -> io::Result<Option<u32>> {
        let links = self.route.links()?;
        let device = links.into_iter().find(|link| link.name == DUMMY_DEVICE);
        Ok(device.map(|link| link.index))
    }

    fn udp_flows(
        &mut self,
        scope: conntrack::Scope<'_>,
        pick: &mut dyn FnMut(&conntrack::Flow) -> bool,
    ) -> io::Result<Vec<conntrack::Flow>> {
        let begin = self.meter.now();
        let flows = self.conntrack.udp_flows(scope, pick)?;
        self.meter.looked_for_flows(scope, begin);
        Ok(flows)
    }

    fn forget_flows(&mut self, flows: &[conntrack::Flow]) -> io::Result<Vec<Result<(), Errno>>> {
        let begin = self.meter.now();
        let answers = self.conntrack.delete(flows)?;
        self.meter.forgot_flows(flows, &answers, begin);
        Ok(answers)
    }

    fn saved_rules(&mut self, family: Family) -> io::Result<String> {
        self.iptables.save(family)
    }

    fn rules_generation(&mut self) -> io::Result<Option<u32>> {
        if self.iptables.speaks_to_nftables() { self.nftables.generation() } else { Ok(None) }
    }

    fn change_rules(
        &mut self,
        family: Family,
        saved: Option<String>,
        input: &mut dyn FnMut(&str) -> Option<String>,
    ) -> io::Result<()> {
        let outcome = self.try_change_rules(family, saved, input);
        self.meter.tally.family(family).rule_failures += u64::from(outcome.is_err());
        outcome
    }

    fn remove_table(&mut self, family: Family, name: &str) -> io::Result<()> {
        self.nftables.remove_table(family, name)
    }

    fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.meter.tally)
    }
}

impl Netlink {
    fn try_change_rules(
        &mut self,
        family: Family,
        mut saved: Option<String>,
        input: &mut dyn FnMut(&str) -> Option<String>,
    ) -> io::Result<()> {
        loop {
            let may_be_old = saved.is_some();
            let text = saved.take().map_or_else(|| self.iptables.save(family), Ok)?;
            let Some(input) = input(&text) else { break };
            // A flavour that somebody holds the lock of, or that shows chains of Kubernetes, is the
            // one that is used here.
            let is_used = |error: &io::Error| {
                error.kind() == io::ErrorKind::ResourceBusy || text.contains("\n:KUBE-")
            };
            match self.iptables.restore(family, &input) {
                Ok(()) => break,
                Err(ref error) if !is_used(error) && self.iptables.try_next() => {}
                Err(ref error) if may_be_old && error.kind() != io::ErrorKind::ResourceBusy => {}
                Err(error) => return Err(error),
            }
        }
        self.iptables.prove();
        Ok(())
    }

    fn observe_links(&mut self, observed: &mut Observed) -> io::Result<()> {
        let links = self.route.links()?;
        let no_loopback = || io::Error::new(io::ErrorKind::NotFound, "no device named lo");
        let loopback = links.iter().find(|link| link.name == "lo").ok_or_else(no_loopback)?;
        observed.loopback = loopback.index;
        let device = links.iter().find(|link| link.name == DUMMY_DEVICE);
        observed.device =
            device.map(|link| ObservedDevice { index: link.index, ..ObservedDevice::default() });
        for held in self.route.addresses()? {
            match &mut observed.device {
                _ if !is_node_address(held.address) => {}
                Some(device) if device.index == held.index => {
                    device.addresses.insert(held.address);
                }
                _ => {
                    observed.node_addresses.insert(held.address);
                }
            }
        }
        let routes = self.route.local_routes(ROUTE_PROTOCOL)?;
        observed.routes = routes.into_iter().map(|route| (route.address, route)).collect();
        Ok(())
    }

    fn observe_sets(&mut self, observed: &mut Observed) -> io::Result<()> {
        let names = sets_by_name();
        for state in self.ipset.list()? {
            if LEGACY_SETS.contains(&state.spec.name.as_str()) {
                observed.legacy_sets.insert(state.spec.name);
            } else if let Some(&id) = names.get(&state.spec.name) {
                let members = state.members.into_iter();
                let members = members
                    .map(|member| (member.entry, member.mark.map(|mark| mark.value)))
                    .collect();
                observed.sets.insert(id, ObservedSet { spec: state.spec, members });
            }
        }
        Ok(())
    }

    fn observe_tables(&mut self, observed: &mut Observed) -> io::Result<()> {
        for family in Family::ALL {
            if self.nftables.has_table(family, LEGACY_TABLE)? {
                observed.legacy_tables.insert(family);
            }
        }
        Ok(())
    }

    fn observe_services(&mut self, observed: &mut Observed) -> io::Result<()> {
        for status in self.ipvs.services()? {
            let service =
                ObservedService { service: status.service, destinations: Destinations::new() };
            observed.services.insert(status.service.id, service);
        }
        Ok(())
    }
}
