//! Which objects in the kernel are ours. IPVS services carry no owner's mark, so it is said here
//! in one place:
//!
//! - every set with one of our names, and its members;
//! - every route with our protocol number;
//! - the device `kube-ipvs0` with its addresses;
//! - an IPVS service whose address, protocol and port are in one of our frontend sets, or whose
//!   port is in one of our node-port sets on an address of this node, or whose address has a
//!   route of ours or is on `kube-ipvs0`. The sets outlive the process, so they tell it what an earlier one left, and
//!   kube-proxy's sets have the same names and meaning;
//! - an IPVS service keyed by a firewall mark of our range ([`crate::marks::MarkRange`]);
//! - the chains of [`crate::rules`] and the jumps into them;
//! - tracked UDP flows that were sent to one of our frontends ([`crate::stale`]).
//!
//! The members of sets that tell whose a service is go only after it, so that a process that dies
//! in between leaves a sign. A process also takes for ours what was ours when it last looked, should
//! somebody have removed the sign.
//!
//! Everything else is somebody else's and is never touched: other IPVS services, other sets, chains, rules, routes and addresses.

use ipnet::IpNet;
use proxy_core::{Family, Protocol};

use crate::marks::MarkRange;
use crate::netlink::ipset::Entry;
use crate::netlink::ipvs::ServiceId;
use crate::object::Shared;
use crate::observe::Observed;
use crate::set::{Purpose, SetId};

/// Sets whose members are the address, protocol and port of a virtual server.
const FRONTENDS: [Purpose; 6] = [
    Purpose::ClusterIp,
    Purpose::ExternalIp,
    Purpose::ExternalIpLocal,
    Purpose::LoadBalancer,
    Purpose::NodePortSctp,
    Purpose::NodePortLocalSctp,
];

/// What ownership depends on besides the kernel's state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ownership {
    /// Marks of services for inside clients.
    pub marks: MarkRange,
    /// Services with an address in one of these are never ours, whatever else they look like.
    pub excluded: Vec<IpNet>,
}

impl Ownership {
    /// Whether an IPVS service is ours.
    #[must_use]
    pub fn owns(&self, id: &ServiceId, observed: &Observed) -> bool {
        let (protocol, address, port) = match *id {
            ServiceId::Address { protocol, address, port } => (protocol, address, port),
            ServiceId::Fwmark { mark, .. } => return self.marks.contains(mark),
        };
        if self.excluded.iter().any(|network| network.contains(&address)) {
            return false;
        }
        let family = Family::of(address);
        let frontend = Entry::IpPort { address, protocol, port };
        let in_set = |purpose, entry: &Entry| observed.has_member(SetId { purpose, family }, entry);
        let device = observed.device.as_ref();
        observed.routes.contains_key(&address)
            || device.is_some_and(|device| device.addresses.contains(&address))
            || FRONTENDS.iter().any(|&purpose| in_set(purpose, &frontend))
            || (is_node_port(protocol)
                && observed.node_addresses.contains(&address)
                && in_set(Purpose::node_port(protocol), &Entry::Port(port)))
    }
}

/// Whether a member of one of our sets tells that a service is ours.
#[must_use]
pub fn is_sign(set: SetId, entry: &Entry, id: &ServiceId) -> bool {
    let ServiceId::Address { protocol, address, port } = *id else { return false };
    match *entry {
        Entry::Port(number) => {
            number == port
                && set.purpose == Purpose::node_port(protocol)
                && set.family == id.family()
        }
        entry => entry == Entry::IpPort { address, protocol, port },
    }
}

const fn is_node_port(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Tcp | Protocol::Udp)
}

/// The shared object that a member of one of our sets belongs to.
#[must_use]
pub const fn shared_of_member(set: SetId, entry: Entry) -> Shared {
    match (set.purpose, entry) {
        (Purpose::IpvsIps, Entry::Ip(address)) => Shared::Vip(address),
        _ => Shared::Member(set, entry),
    }
}
