//! Which tracked UDP flows lead to where they should not, and which changes leave such flows
//! behind. Pure.
//!
//! A packet of a tracked flow is not translated anew, so a flow that began before its frontend was
//! there, or whose real server is gone, fails for as long as its client keeps sending. TCP and
//! SCTP connections are never touched: they end, and their clients notice.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::Arc;

use proxy_core::{Pool, Protocol, RealServer, VirtualServer, VirtualServerKey};

use crate::ledger::Ledger;
use crate::netlink::conntrack::Flow;
use crate::netlink::ipvs::{Destination, ServiceId};
use crate::netlink::route::LocalRoute;
use crate::observe::Observed;
use crate::op::{Op, Step};

/// Frontends whose flows are judged, each with the virtual server that is wanted there now, if
/// any.
#[derive(Debug)]
pub struct Frontends(HashMap<SocketAddr, Option<Arc<VirtualServer>>>);

impl Frontends {
    /// The UDP ones of `keys`.
    pub fn new(keys: impl IntoIterator<Item = VirtualServerKey>, ledger: &Ledger) -> Self {
        let udp = keys.into_iter().filter(|key| key.protocol == Protocol::Udp);
        let at = |key: &VirtualServerKey| SocketAddr::new(key.address, key.port.get());
        Self(udp.map(|key| (at(&key), ledger.server(&key).cloned())).collect())
    }

    /// Where they are.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.0.keys().copied()
    }

    /// Whether a flow must be forgotten:
    /// 1. one that was not sent to one of these frontends is none of our business: not even if it
    ///    passes through with the same port, as a node port's number says nothing without the
    ///    node's address;
    /// 2. one to a frontend that is gone must;
    /// 3. one that is answered by a real server of either audience must not;
    /// 4. all others must: an earlier real server answers, or one that never did, or the flow was
    ///    not translated at all.
    #[must_use]
    pub fn is_stale(&self, flow: &Flow) -> bool {
        match self.0.get(&flow.destination) {
            None => false,
            Some(None) => true,
            Some(Some(server)) => !serves(server, flow.reply_source),
        }
    }
}

/// Whether `address` is a real server of one of the two audiences.
fn serves(server: &VirtualServer, address: SocketAddr) -> bool {
    let Some(port) = NonZeroU16::new(address.port()) else { return false };
    let key: (IpAddr, NonZeroU16) = (address.ip(), port);
    let has = |pool: &Pool| pool.servers.binary_search_by_key(&key, RealServer::key).is_ok();
    has(&server.external) || has(&server.internal)
}

/// The UDP frontends of which `steps` may leave stale flows behind:
/// - it is new or gone, or its address begins to attract packets;
/// - it gets its first real server that takes packets;
/// - it loses one.
#[must_use]
pub fn suspects(
    steps: &[Step],
    ledger: &Ledger,
    observed: &Observed,
) -> BTreeSet<VirtualServerKey> {
    let mut suspects = BTreeSet::new();
    for Step { op, server, .. } in steps {
        match op {
            Op::AddService(service) => suspects.extend(frontend(&service.id, *server)),
            Op::DeleteService(id) | Op::DeleteDestination(id, _) => {
                suspects.extend(frontend(id, *server));
            }
            Op::AddDestination(id, Destination { weight: 1.., .. })
            | Op::SetDestination(id, Destination { weight: 1.., .. })
                if takes_no_packets(id, observed) =>
            {
                suspects.extend(frontend(id, *server));
            }
            Op::AddRoute(LocalRoute { address, .. }) | Op::AddAddress(address) => {
                suspects.extend(ledger.udp_frontends(*address));
            }
            _ => {}
        }
    }
    suspects.retain(|key| key.protocol == Protocol::Udp);
    suspects
}

/// The virtual server of an IPVS service. One that a mark leads to shows only in whose it is.
fn frontend(id: &ServiceId, server: Option<VirtualServerKey>) -> Option<VirtualServerKey> {
    match *id {
        ServiceId::Address { protocol, address, port } => {
            Some(VirtualServerKey { address, protocol, port: port.try_into().ok()? })
        }
        ServiceId::Fwmark { .. } => server,
    }
}

fn takes_no_packets(id: &ServiceId, observed: &Observed) -> bool {
    let service = observed.services.get(id);
    service.is_none_or(|service| service.destinations.iter().all(|there| there.weight == 0))
}

#[cfg(test)]
#[path = "stale_tests.rs"]
mod tests;
