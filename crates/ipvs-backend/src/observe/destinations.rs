//! The destinations of a service without a copy of what is wanted. There are more of them than of
//! anything else, and nearly always they are just the real servers of a pool.

use std::sync::Arc;

use proxy_core::RealServer;

use crate::netlink::ipvs::{Destination, DestinationId};
use crate::object::destination;

/// The destinations of an IPVS service, sorted by id.
#[derive(Clone, Debug)]
pub struct Destinations(Held);

#[derive(Clone, Debug)]
enum Held {
    /// Exactly these.
    Pool(Arc<[RealServer]>),
    Own(Vec<Destination>),
}

impl Destinations {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self(Held::Own(Vec::new()))
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = Destination> {
        let (pool, own) = match &self.0 {
            Held::Pool(pool) => (&pool[..], &[][..]),
            Held::Own(own) => (&[][..], &own[..]),
        };
        pool.iter().map(destination).chain(own.iter().copied())
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Held::Pool(pool) => pool.len(),
            Held::Own(own) => own.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds one, or changes it.
    pub fn put(&mut self, destination: Destination) {
        let own = self.own();
        match own.binary_search_by_key(&destination.id(), Destination::id) {
            Ok(index) => own[index] = destination,
            Err(index) => own.insert(index, destination),
        }
    }

    /// Removes one.
    pub fn take(&mut self, id: DestinationId) {
        let own = self.own();
        if let Ok(index) = own.binary_search_by_key(&id, Destination::id) {
            own.remove(index);
        }
    }

    /// Holds on to `pool` from here on, if they are just its real servers.
    pub fn share(&mut self, pool: &Arc<[RealServer]>) {
        let is_held = matches!(&self.0, Held::Pool(held) if Arc::ptr_eq(held, pool));
        if !is_held && self.iter().eq(pool.iter().map(destination)) {
            self.0 = Held::Pool(pool.clone());
        }
    }

    fn own(&mut self) -> &mut Vec<Destination> {
        if let Held::Pool(_) = self.0 {
            self.0 = Held::Own(self.iter().collect());
        }
        match &mut self.0 {
            Held::Own(own) => own,
            Held::Pool(_) => unreachable!("it was replaced"),
        }
    }
}

impl Default for Destinations {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for Destinations {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl FromIterator<Destination> for Destinations {
    fn from_iter<I: IntoIterator<Item = Destination>>(destinations: I) -> Self {
        let mut own: Vec<_> = destinations.into_iter().collect();
        own.sort_unstable_by_key(Destination::id);
        Self(Held::Own(own))
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use proxy_core::Locality;

    use super::*;

    fn pool(hosts: &[u8]) -> Arc<[RealServer]> {
        let real = |&host: &u8| RealServer {
            address: [10, 244, 0, host].into(),
            port: 80.try_into().unwrap(),
            weight: NonZeroU16::MIN,
            locality: Locality::Remote,
        };
        hosts.iter().map(real).collect()
    }

    #[test]
    fn what_is_shared_is_seen_and_changed_like_a_copy() {
        let wanted = pool(&[1, 3]);
        let mut there: Destinations = wanted.iter().rev().map(destination).collect();
        let before = there.clone();
        there.share(&wanted);
        assert_eq!(Arc::strong_count(&wanted), 2);
        assert_eq!((there.len(), &there), (2, &before));

        there.put(destination(&pool(&[2])[0]));
        assert_eq!(Arc::strong_count(&wanted), 1);
        there.share(&wanted);
        assert_eq!(Arc::strong_count(&wanted), 1, "it has one more");
        let hosts: Vec<_> = there.iter().map(|it| it.address.to_string()).collect();
        assert_eq!(hosts, ["10.244.0.1", "10.244.0.2", "10.244.0.3"]);

        there.take(destination(&pool(&[2])[0]).id());
        there.put(Destination { weight: 0, ..destination(&wanted[0]) });
        there.share(&wanted);
        assert_eq!(Arc::strong_count(&wanted), 1, "one drains");
        there.put(destination(&wanted[0]));
        there.share(&wanted);
        assert_eq!(Arc::strong_count(&wanted), 2);
        assert_eq!(there, before);
    }
}
