//! Follows the network of this node: which addresses its interfaces have, and whether the routes
//! and rules of virtual servers are still there.
//!
//! The kernel tells of each change at once; a change of many steps is told when it has settled, and
//! an interface that flaps is told of once a second.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use ipvs_backend::netlink::Traffic;
use ipvs_backend::netlink::monitor::{Change, Monitor};
use ipvs_backend::netlink::route::{LocalRoute, Route};
use ipvs_backend::observe::is_node_address;
use ipvs_backend::{IpvsBackend, NodeIps};
use proxy_core::reconciler::Reconciler;
use proxy_core::{Backend, Event};
use tracing::{debug, info, warn};

use crate::driver::Input;
use crate::node_facts::{Held, NodeFacts};

/// A change is told when nothing more was heard for this long.
const SETTLE: Duration = Duration::from_millis(50);
/// A change is told after this long, settled or not.
const LIMIT: Duration = Duration::from_millis(500);
/// Between two that are told.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long nothing is waited for. Any time will do.
const LONG: Duration = Duration::from_secs(3600);

/// What is new about the network.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// All addresses of interfaces, if something may have changed about them or their devices.
    pub(crate) held: Option<Vec<Held>>,
    /// Routes with our mark that went, by our doing or others'.
    pub(crate) removed: Vec<LocalRoute>,
    /// Whether rules went that may have been ours.
    pub(crate) rules_removed: bool,
}

/// A backend that depends on the node's network beyond the virtual servers it is given.
pub(crate) trait Networked: Backend {
    /// Addresses or devices changed, and the node's own connections come from `node_ips`.
    /// Maintenance does what follows.
    fn follow_network(&mut self, node_ips: NodeIps);

    /// Routes of ours went. Maintenance puts back what should be there.
    fn routes_removed(&mut self, routes: &[LocalRoute]);

    /// Rules went that may have been ours. Maintenance puts back what should be there.
    fn rules_removed(&mut self);
}

impl Networked for IpvsBackend {
    fn follow_network(&mut self, node_ips: NodeIps) {
        Self::follow_network(self, node_ips);
    }

    fn routes_removed(&mut self, routes: &[LocalRoute]) {
        Self::routes_removed(self, routes);
    }

    fn rules_removed(&mut self) {
        Self::rules_removed(self);
    }
}

/// Tells the model and the backend what news mean for them.
pub(crate) fn take_in(
    news: News,
    facts: &mut NodeFacts,
    reconciler: &mut Reconciler<impl Networked>,
    now: Instant,
) {
    if !news.removed.is_empty() {
        reconciler.backend_mut().routes_removed(&news.removed);
    }
    if news.rules_removed {
        reconciler.backend_mut().rules_removed();
    }
    if let Some(held) = news.held {
        if facts.set_held(held) {
            say_node_ips(facts);
        }
        reconciler.handle(Event::NodePortAddresses(facts.node_port_addresses()), now);
        reconciler.backend_mut().follow_network(facts.node_ips());
    }
    reconciler.request_maintenance(now);
}

/// Tells the backend if what is known of this node's Node object changes its addresses.
pub(crate) fn note_node(
    event: &Event,
    facts: &mut NodeFacts,
    reconciler: &mut Reconciler<impl Networked>,
    now: Instant,
) {
    if let Event::Node(node) = event
        && node.name == *reconciler.model().node_name()
        && facts.set_node(node.clone())
    {
        say_node_ips(facts);
        reconciler.backend_mut().follow_network(facts.node_ips());
        reconciler.request_maintenance(now);
    }
}

fn say_node_ips(facts: &NodeFacts) {
    let NodeIps { ipv4, ipv6 } = facts.node_ips();
    let of = |ip: Option<IpAddr>| ip.map_or_else(|| "none".to_owned(), |ip| ip.to_string());
    info!(
        ipv4 = of(ipv4),
        ipv6 = of(ipv6),
        "this node's own connections come from other addresses"
    );
}

/// Every address that can be used on an interface.
pub(crate) fn held_addresses() -> io::Result<Vec<Held>> {
    let addresses = Route::open(Arc::new(Traffic::default()))?.addresses()?;
    let usable = addresses.into_iter().filter(|held| !held.is_tentative);
    Ok(usable.map(|held| Held { interface: held.name, address: held.address }).collect())
}

/// Hands on what the monitor hears, until nobody wants it.
pub(crate) fn follow(mut monitor: Monitor, inputs: &Sender<Input>) {
    let mut burst = Burst::default();
    let mut last_told = None;
    let mut is_failing = false;
    loop {
        listen(&mut monitor, &mut burst, last_told);
        let now = Instant::now();
        last_told = Some(now);
        let Burst { looks, removed, rules_removed, .. } = std::mem::take(&mut burst);
        let removed = removed.into_iter().collect();
        let mut news = News { held: None, removed, rules_removed };
        if looks {
            match held_addresses() {
                Ok(held) => {
                    is_failing = false;
                    news.held = Some(held);
                }
                // What was read last holds until it can be read again.
                Err(error) => {
                    if !std::mem::replace(&mut is_failing, true) {
                        warn!("read the addresses of interfaces, will be tried again: {error}");
                    }
                    burst.note(Change::Unknown, now);
                }
            }
        }
        debug!(
            addresses = news.held.is_some(),
            routes = news.removed.len(),
            rules = rules_removed,
            "network changed"
        );
        if news != News::default() && inputs.send(Input::Network(news)).is_err() {
            return;
        }
    }
}

/// Listens until there is something to tell and its time has come.
fn listen(monitor: &mut Monitor, burst: &mut Burst, last_told: Option<Instant>) {
    loop {
        let now = Instant::now();
        let due = burst.due(last_told);
        if due.is_some_and(|due| due <= now) {
            return;
        }
        let patience = due.map_or(LONG, |due| due - now);
        match monitor.wait(patience) {
            Ok(changes) => changes.into_iter().for_each(|it| burst.note(it, Instant::now())),
            Err(error) => {
                warn!("hear of changes of the network, begun anew: {error}");
                thread::sleep(INTERVAL);
                // If it fails, so does the next wait.
                let _ = monitor.reopen();
                burst.note(monitor.lost(), Instant::now());
            }
        }
    }
}

/// Changes that are told together. Pure.
#[derive(Debug, Default)]
struct Burst {
    /// When the first and the last were heard.
    heard: Option<(Instant, Instant)>,
    /// Whether addresses must be looked at.
    looks: bool,
    /// Routes that went and did not come back.
    removed: BTreeSet<LocalRoute>,
    /// Whether rules went that may have been ours.
    rules_removed: bool,
}

impl Burst {
    fn note(&mut self, change: Change, now: Instant) {
        match change {
            // Every pod has a link-local address on the node, and none of them matters.
            Change::Address(address) if !is_node_address(address) => return,
            Change::RouteAdded(route) => {
                self.removed.remove(&route);
                return;
            }
            Change::RouteRemoved(route) => {
                self.removed.insert(route);
            }
            Change::Address(_) | Change::Device | Change::Unknown => self.looks = true,
            Change::Rules => self.rules_removed = true,
        }
        let first = self.heard.map_or(now, |(first, _)| first);
        self.heard = Some((first, now));
    }

    /// When it is told: when nothing more was heard for a while, at the latest some time after the
    /// first, and in no case sooner than an interval after what was told before.
    fn due(&self, last_told: Option<Instant>) -> Option<Instant> {
        let (first, last) = self.heard?;
        let settled = (last + SETTLE).min(first + LIMIT);
        Some(last_told.map_or(settled, |told| settled.max(told + INTERVAL)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn route(address: &str) -> LocalRoute {
        LocalRoute { address: ip(address), device: 1, preferred_source: None, protocol: 153 }
    }

    /// What is made of changes: whether addresses are looked at, and the routes that went.
    #[track_caller]
    fn check(changes: &[Change], looks: bool, removed: &[LocalRoute]) {
        let mut burst = Burst::default();
        changes.iter().for_each(|&change| burst.note(change, Instant::now()));
        assert_eq!(burst.looks, looks, "{changes:?}");
        assert_eq!(Vec::from_iter(burst.removed), removed, "{changes:?}");
    }

    #[test]
    fn what_matters_is_told() {
        let (one, two) = (route("10.96.0.1"), route("fd96::1"));
        check(&[Change::Address(ip("192.168.10.5"))], true, &[]);
        check(&[Change::Address(ip("fe80::1"))], false, &[]);
        check(&[Change::Device], true, &[]);
        check(&[Change::Unknown], true, &[]);
        check(&[Change::RouteAdded(one)], false, &[]);
        check(&[Change::RouteRemoved(two), Change::RouteRemoved(one)], false, &[one, two]);
        check(&[Change::RouteRemoved(one), Change::RouteAdded(one)], false, &[]);
        check(&[Change::RouteAdded(one), Change::RouteRemoved(one)], false, &[one]);
    }

    /// Changes heard so many milliseconds after the start, the last telling, and when they are told.
    #[track_caller]
    fn check_due(heard: &[u64], last_told: Option<u64>, expected: Option<u64>) {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut burst = Burst::default();
        heard.iter().for_each(|&millis| burst.note(Change::Device, at(millis)));
        assert_eq!(burst.due(last_told.map(at)), expected.map(at), "{heard:?} {last_told:?}");
    }

    #[test]
    fn a_change_is_told_when_it_settled_but_once_a_second() {
        check_due(&[], None, None);
        check_due(&[], Some(0), None);
        check_due(&[100], None, Some(150));
        check_due(&[100, 140, 180], None, Some(230));
        check_due(&[100, 300, 500, 590], None, Some(600));
        check_due(&[1500], Some(1000), Some(2000));
        check_due(&[1980], Some(1000), Some(2030));
        check_due(&[5000], Some(1000), Some(5050));
    }
}
