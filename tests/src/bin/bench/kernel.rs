//! What the kernel of a network namespace has, read often and cheaply.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use ipvs_backend::netlink::Traffic;
use ipvs_backend::netlink::ipset::Ipset;
use ipvs_backend::netlink::ipvs::{Ipvs, ServiceId};
use ipvs_backend::netlink::route::Route;
use proxy_core::Protocol;
use tests::lab::Namespace;

/// Eyes on the kernel.
pub(crate) struct Kernel {
    pub(crate) ipvs: Ipvs,
}

/// How many objects there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Inventory {
    /// Destinations by service.
    pub(crate) services: BTreeMap<ServiceId, usize>,
    pub(crate) members: usize,
    pub(crate) routes: usize,
}

impl Inventory {
    pub(crate) fn destinations(&self) -> usize {
        self.services.values().sum()
    }
}

impl Kernel {
    /// Of a namespace.
    ///
    /// # Errors
    /// When it has no IPVS.
    pub(crate) fn of(namespace: &Namespace) -> anyhow::Result<Self> {
        let ipvs = namespace.enter(|| Ipvs::open(Arc::new(Traffic::default())));
        Ok(Self { ipvs: ipvs.context("look at IPVS")? })
    }

    /// The weight of a server of a service, if it is there.
    pub(crate) fn weight(&mut self, service: &ServiceId, server: SocketAddr) -> Option<u32> {
        let servers = self.ipvs.destinations(service).ok()?;
        let servers = servers.into_iter().map(|status| status.destination);
        let mut found = servers.filter(|it| SocketAddr::new(it.address, it.port) == server);
        found.next().map(|it| it.weight)
    }

    /// The servers of a service that get new connections.
    pub(crate) fn active(&mut self, service: &ServiceId) -> Vec<IpAddr> {
        let servers = self.ipvs.destinations(service).unwrap_or_default();
        let servers = servers.into_iter().map(|status| status.destination);
        let mut active: Vec<_> = servers.filter(|it| it.weight > 0).map(|it| it.address).collect();
        active.sort_unstable();
        active
    }

    /// Makes a change elsewhere, and looks until something is so, letting others go first each time.
    /// How long that took together, if it did not take too long.
    pub(crate) fn after(
        &mut self,
        change: impl FnOnce(),
        limit: Duration,
        mut is_so: impl FnMut(&mut Self) -> bool,
    ) -> Option<Duration> {
        let start = Instant::now();
        change();
        while !is_so(self) {
            if start.elapsed() > limit {
                return None;
            }
            thread::yield_now();
        }
        Some(start.elapsed())
    }
}

/// From here on the calling thread runs when nobody else wants to: one that looks all the time would
/// take half of the one processor that User-mode Linux has from what it looks at.
///
/// # Errors
/// When the kernel refuses.
pub(crate) fn give_way() -> anyhow::Result<()> {
    rustix::process::setpriority_process(None, 19).context("let other threads go first")
}

/// A service with an address.
pub(crate) fn service(protocol: Protocol, address: IpAddr, port: u16) -> ServiceId {
    ServiceId::Address { protocol, address, port }
}

/// All that there is in a namespace: one dump for each service.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn inventory(namespace: &Namespace) -> anyhow::Result<Inventory> {
    namespace.enter(|| {
        let traffic = Arc::new(Traffic::default());
        let mut ipvs = Ipvs::open(Arc::clone(&traffic))?;
        let mut services = BTreeMap::new();
        for status in ipvs.services()? {
            let id = status.service.id;
            services.insert(id, ipvs.destinations(&id)?.len());
        }
        let sets = Ipset::open(Arc::clone(&traffic))?.list()?;
        let members = sets.iter().map(|set| set.members.len()).sum();
        let routes = Route::open(traffic)?.local_routes(ipvs_backend::ROUTE_PROTOCOL)?.len();
        Ok(Inventory { services, members, routes })
    })
}

/// When a service was usable: its address is one of this node, and it has a server. Looks every few
/// milliseconds, from now on, until it is or `limit` is over.
pub(crate) fn watch_for(
    namespace: &Namespace,
    service: ServiceId,
    limit: Duration,
) -> thread::JoinHandle<Option<SystemTime>> {
    namespace.spawn(move || {
        let ServiceId::Address { address, .. } = service else { return None };
        let mut ipvs = Ipvs::open(Arc::new(Traffic::default())).ok()?;
        let deadline = Instant::now() + limit;
        let is_local = || UdpSocket::bind((address, 0)).is_ok();
        while !(is_local() && ipvs.destinations(&service).is_ok_and(|found| !found.is_empty())) {
            if Instant::now() > deadline {
                return None;
            }
            thread::sleep(Duration::from_millis(4));
        }
        Some(SystemTime::now())
    })
}
