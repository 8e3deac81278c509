//! Destinations at weight 0 that wait for their connections to end. Pure: counts and the time are
//! arguments, what to remove and when to look again is the answer.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::netlink::ipvs::{DestinationId, DestinationStatus, ServiceId};

/// How draining ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainPolicy {
    /// A destination whose endpoint still exists, terminating, is removed after this long even
    /// with connections.
    pub limit: Duration,
    /// The same for a destination whose endpoint is gone: nobody answers its connections.
    pub grace: Duration,
    /// The first look at the connections comes at once, the next after this; then it doubles.
    pub first_interval: Duration,
    /// The longest time between two looks.
    pub longest_interval: Duration,
}

impl Default for DrainPolicy {
    /// 15 minutes, as long as IPVS keeps an idle TCP connection, and 30 seconds.
    fn default() -> Self {
        Self {
            limit: Duration::from_secs(900),
            grace: Duration::from_secs(30),
            first_interval: Duration::from_millis(250),
            longest_interval: Duration::from_secs(5),
        }
    }
}

/// Why a destination drains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Its endpoint is going away, and still answers.
    Leaving {
        /// What its Service asks for in place of [`DrainPolicy::limit`].
        limit: Option<Duration>,
    },
    /// Its endpoint is gone.
    Gone,
}

/// All destinations that drain, by service.
#[derive(Debug)]
pub struct Drains {
    policy: DrainPolicy,
    services: BTreeMap<ServiceId, Watch>,
}

/// The draining destinations of one service, looked at together.
#[derive(Debug)]
struct Watch {
    /// `None` until the first look.
    next_look: Option<Instant>,
    interval: Duration,
    destinations: BTreeMap<DestinationId, Drain>,
}

#[derive(Clone, Copy, Debug)]
struct Drain {
    cause: Cause,
    /// When it was first looked at with this cause.
    since: Option<Instant>,
}

impl Drains {
    /// Nothing drains yet.
    #[must_use]
    pub const fn new(policy: DrainPolicy) -> Self {
        Self { policy, services: BTreeMap::new() }
    }

    /// Makes `draining` the only destinations of `service` that drain. One that drained before
    /// goes on from where it is; one that is not named was revived, or removed with its service.
    pub fn set(
        &mut self,
        service: ServiceId,
        draining: impl IntoIterator<Item = (DestinationId, Cause)>,
    ) {
        let before = self.services.remove(&service);
        let known = before.as_ref().map(|watch| &watch.destinations);
        let mut is_new = false;
        let mut destinations = BTreeMap::new();
        for (id, cause) in draining {
            let same = known.and_then(|known| known.get(&id)).filter(|drain| drain.cause == cause);
            is_new |= same.is_none();
            destinations.insert(id, same.copied().unwrap_or(Drain { cause, since: None }));
        }
        if destinations.is_empty() {
            return;
        }
        let watch = match before {
            Some(before) if !is_new => Watch { destinations, ..before },
            _ => Watch { next_look: None, interval: self.policy.first_interval, destinations },
        };
        self.services.insert(service, watch);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.services.clear();
    }

    /// Services whose connections should be looked at.
    #[must_use]
    pub fn due(&self, now: Instant) -> Vec<ServiceId> {
        let is_due = |watch: &Watch| watch.next_look.is_none_or(|at| at <= now);
        self.services.iter().filter(|(_, watch)| is_due(watch)).map(|(id, _)| *id).collect()
    }

    /// Takes in a look at a service. Returns the destinations to remove: those without any
    /// connection, and those that were given time enough. They drain on until [`Self::set`] says
    /// they are gone, so one that could not be removed is tried again.
    pub fn look(
        &mut self,
        service: &ServiceId,
        statuses: &[DestinationStatus],
        now: Instant,
    ) -> Vec<DestinationId> {
        let Some(watch) = self.services.get_mut(service) else { return Vec::new() };
        watch.next_look = Some(now + watch.interval);
        watch.interval = (watch.interval * 2).min(self.policy.longest_interval);
        let mut ended = Vec::new();
        for (id, drain) in &mut watch.destinations {
            let since = *drain.since.get_or_insert(now);
            let is_idle = statuses
                .iter()
                .find(|status| status.destination.id() == *id)
                .is_none_or(|status| status.active == 0 && status.inactive == 0);
            if is_idle || now.duration_since(since) >= allowed(drain.cause, &self.policy) {
                ended.push(*id);
            }
        }
        ended
    }

    /// When [`Self::due`] has something next; never earlier than `now`.
    #[must_use]
    pub fn next(&self, now: Instant) -> Option<Instant> {
        self.services.values().map(|watch| watch.next_look.map_or(now, |at| at.max(now))).min()
    }

    /// How many destinations drain.
    #[must_use]
    pub fn len(&self) -> usize {
        self.services.values().map(|watch| watch.destinations.len()).sum()
    }

    /// When the first look at the one that drains longest was.
    #[must_use]
    pub fn oldest(&self) -> Option<Instant> {
        let drains = self.services.values().flat_map(|watch| watch.destinations.values());
        drains.filter_map(|drain| drain.since).min()
    }

    /// Whether nothing drains.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.services.is_empty()
    }
}

fn allowed(cause: Cause, policy: &DrainPolicy) -> Duration {
    match cause {
        Cause::Leaving { limit } => limit.unwrap_or(policy.limit),
        Cause::Gone => policy.grace,
    }
}

#[cfg(test)]
mod tests {
    use proxy_core::Protocol;

    use super::*;
    use crate::netlink::ipvs::{Destination, Stats64};

    const LEAVING: Cause = Cause::Leaving { limit: None };

    fn service() -> ServiceId {
        let address = "10.96.0.1".parse().unwrap();
        ServiceId::Address { protocol: Protocol::Tcp, address, port: 80 }
    }

    fn id(last: u8) -> DestinationId {
        DestinationId { address: [10, 244, 1, last].into(), port: 8080 }
    }

    fn status(id: DestinationId, active: u32, inactive: u32) -> DestinationStatus {
        let destination = Destination::new(id, 0);
        DestinationStatus {
            destination,
            active,
            inactive,
            persistent: 0,
            stats: Stats64::default(),
        }
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_idle_destination_ends_at_the_first_look() {
        let (mut drains, now) = (Drains::new(DrainPolicy::default()), Instant::now());
        drains.set(service(), [(id(1), LEAVING)]);
        assert_eq!(drains.due(now), [service()]);
        assert_eq!(drains.look(&service(), &[status(id(1), 0, 0)], now), [id(1)]);
    }

    #[test]
    fn connections_keep_it_until_the_limit_and_time_wait_counts() {
        let (mut drains, start) = (Drains::new(DrainPolicy::default()), Instant::now());
        drains.set(service(), [(id(1), LEAVING)]);
        let busy = [status(id(1), 0, 1)];
        assert_eq!(drains.oldest(), None);
        assert_eq!(drains.look(&service(), &busy, start), []);
        assert_eq!(drains.look(&service(), &busy, start + seconds(899)), []);
        assert_eq!(drains.oldest(), Some(start));
        assert_eq!(drains.look(&service(), &busy, start + seconds(900)), [id(1)]);
    }

    #[test]
    fn one_whose_endpoint_is_gone_gets_a_short_grace_counted_anew() {
        let (mut drains, start) = (Drains::new(DrainPolicy::default()), Instant::now());
        let busy = [status(id(1), 3, 0)];
        drains.set(service(), [(id(1), LEAVING)]);
        assert_eq!(drains.look(&service(), &busy, start), []);
        drains.set(service(), [(id(1), Cause::Gone)]);
        assert_eq!(drains.look(&service(), &busy, start + seconds(100)), []);
        assert_eq!(drains.look(&service(), &busy, start + seconds(129)), []);
        assert_eq!(drains.look(&service(), &busy, start + seconds(130)), [id(1)]);
    }

    #[test]
    fn a_service_can_ask_for_its_own_limit() {
        let (mut drains, start) = (Drains::new(DrainPolicy::default()), Instant::now());
        drains.set(service(), [(id(1), Cause::Leaving { limit: Some(seconds(5)) })]);
        let busy = [status(id(1), 3, 0)];
        assert_eq!(drains.look(&service(), &busy, start), []);
        assert_eq!(drains.look(&service(), &busy, start + seconds(5)), [id(1)]);
    }

    #[test]
    fn looks_become_rarer_and_a_new_drain_is_looked_at_at_once() {
        let (mut drains, start) = (Drains::new(DrainPolicy::default()), Instant::now());
        drains.set(service(), [(id(1), LEAVING)]);
        let mut now = start;
        let mut gaps = Vec::new();
        for _ in 0..7 {
            drains.look(&service(), &[status(id(1), 1, 0)], now);
            let next = drains.next(now).unwrap();
            gaps.push(next.duration_since(now).as_millis());
            now = next;
        }
        assert_eq!(gaps, [250, 500, 1_000, 2_000, 4_000, 5_000, 5_000]);
        drains.set(service(), [(id(1), LEAVING), (id(2), LEAVING)]);
        assert_eq!(drains.next(now), Some(now));
    }

    #[test]
    fn revived_and_removed_ones_are_forgotten() {
        let (mut drains, now) = (Drains::new(DrainPolicy::default()), Instant::now());
        drains.set(service(), [(id(1), LEAVING), (id(2), LEAVING)]);
        drains.set(service(), [(id(2), LEAVING)]);
        assert_eq!(drains.len(), 1);
        drains.set(service(), []);
        assert!(drains.is_empty());
        assert_eq!(drains.next(now), None);
    }
}
