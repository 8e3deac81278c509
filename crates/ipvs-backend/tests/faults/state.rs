//! What the kernel in memory holds.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipvs_backend::marks::MarkRange;
use ipvs_backend::netlink::ipset::{Entry, SetKind, SetName, SetSpec};
use ipvs_backend::netlink::ipvs::{Destination, DestinationId, Service, ServiceId};
use ipvs_backend::netlink::route::LocalRoute;
use proxy_core::Family;

use crate::packet_filter::PacketFilter;

/// All of it, as values that can be compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) services: BTreeMap<ServiceId, (Service, BTreeMap<DestinationId, Destination>)>,
    /// Connections that go on, by service and destination.
    pub(crate) connections: BTreeSet<(ServiceId, DestinationId)>,
    pub(crate) sets: BTreeMap<SetName, (SetSpec, BTreeMap<Entry, Option<u32>>)>,
    pub(crate) routes: BTreeSet<LocalRoute>,
    /// Addresses on the device for virtual servers, if it is there.
    pub(crate) device: Option<BTreeSet<IpAddr>>,
    pub(crate) rules: BTreeMap<Family, PacketFilter>,
    /// The families with a table of kube-proxy's mode for `nf_tables`.
    pub(crate) legacy_tables: BTreeSet<Family>,
}

impl State {
    /// A kernel with other software's objects.
    pub(crate) fn of_strangers() -> Self {
        let mut state = Self::default();
        let scheduler = "wlc".try_into().unwrap();
        let address = "192.0.2.1".parse().unwrap();
        let protocol = proxy_core::Protocol::Tcp;
        for id in [
            ServiceId::Address { protocol, address, port: 80 },
            ServiceId::Fwmark { family: Family::Ipv4, mark: 7 },
        ] {
            let server = DestinationId { address: "198.51.100.7".parse().unwrap(), port: 8080 };
            let destinations = BTreeMap::from([(server, Destination::new(server, 3))]);
            state.services.insert(id, (Service::new(id, scheduler), destinations));
        }
        let name: SetName = "STRANGERS".parse().unwrap();
        let spec = SetSpec::new(name, SetKind::HashIp(Family::Ipv4));
        let member = Entry::Ip("198.51.100.9".parse().unwrap());
        state.sets.insert(name, (spec, BTreeMap::from([(member, None)])));
        let address = "192.0.2.77".parse().unwrap();
        let route = LocalRoute { address, device: 1, preferred_source: None, protocol: 99 };
        state.routes.insert(route);
        let rules = "*filter\n-A INPUT -s 198.51.100.66/32 -j DROP\nCOMMIT\n\
                     *nat\n:STRANGER-S - [0:0]\n-A STRANGER-S -j RETURN\n-A PREROUTING -j STRANGER-S\nCOMMIT\n";
        for family in Family::ALL {
            let mut filter = PacketFilter::default();
            filter.restore(rules).unwrap();
            state.rules.insert(family, filter);
        }
        state
    }

    /// What kube-proxy's modes for iptables and `nf_tables` leave, and an older one of its IPVS mode.
    pub(crate) fn add_leftovers(&mut self) {
        let rules = "*filter\n:KUBE-SERVICES - [0:0]\n-A INPUT -j KUBE-SERVICES\nCOMMIT\n\
                     *nat\n:KUBE-SERVICES - [0:0]\n:KUBE-SVC-A - [0:0]\n:KUBE-SEP-A - [0:0]\n\
                     -A KUBE-SERVICES -j KUBE-SVC-A\n-A KUBE-SVC-A -j KUBE-SEP-A\n\
                     -A KUBE-SVC-A -m set --match-set KUBE-NODE-PORT-SCTP dst -j RETURN\nCOMMIT\n";
        for family in Family::ALL {
            self.rules.entry(family).or_default().restore(rules).unwrap();
            self.legacy_tables.insert(family);
        }
        let name: SetName = "KUBE-NODE-PORT-SCTP".parse().unwrap();
        self.sets.insert(name, (SetSpec::new(name, SetKind::BitmapPort), BTreeMap::new()));
    }

    /// The addresses that are local, in whatever way.
    pub(crate) fn bound(&self) -> BTreeSet<IpAddr> {
        let routed = self.routes.iter().map(|route| route.address);
        routed.chain(self.device.iter().flatten().copied()).collect()
    }

    /// The same with each mark of ours replaced by whom it is for, and with what does not matter
    /// left out: two histories may give out marks in another order.
    pub(crate) fn by_meaning(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (id, (service, destinations)) in &self.services {
            let name = self.name(id);
            let Service { scheduler, flags, timeout, persistence_prefix, .. } = service;
            lines.push(format!("{name} {scheduler} {flags:?} {timeout} {persistence_prefix}"));
            lines.extend(destinations.values().map(|it| format!("{name} -> {it:?}")));
        }
        for (name, (spec, members)) in &self.sets {
            lines.push(format!("{name} {spec:?}"));
            let is_marked = |mark: &Option<u32>| if mark.is_some() { " marked" } else { "" };
            lines
                .extend(members.iter().map(|(it, mark)| format!("{name} {it}{}", is_marked(mark))));
        }
        lines.extend(self.routes.iter().map(|route| format!("{route:?}")));
        lines.push(format!("device {:?}", self.device));
        lines.extend(self.legacy_tables.iter().map(|family| format!("{family} table")));
        for (family, rules) in &self.rules {
            lines.extend(rules.by_meaning().map(|rule| format!("{family} {rule}")));
        }
        lines.sort_unstable();
        lines
    }

    fn name(&self, id: &ServiceId) -> String {
        let ServiceId::Fwmark { family, mark } = *id else { return id.to_string() };
        if !MarkRange::default().contains(mark) {
            return id.to_string();
        }
        let members = self.sets.iter().filter(|(name, _)| name.as_str().ends_with("INTERNAL-MARK"));
        let members = members.filter(|(_, (spec, _))| spec.kind.family() == Some(family));
        let mut members = members.flat_map(|(_, (_, members))| members);
        let entry = members.find(|(_, of)| **of == Some(mark)).map(|(entry, _)| entry.to_string());
        entry.map_or_else(|| format!("{id} of nobody"), |entry| format!("inside of {entry}"))
    }
}
