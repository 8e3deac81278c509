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
use ipvs_backend::{IpvsBackend, IpvsConfig, NodeIps, Tally};
use proxy_core::reconciler::Reconciler;
use proxy_core::{Backend, Event};
use tracing::{debug, info, warn};

use crate::driver::Input;
use crate::node_facts::{Held, NodeFacts, Pods};
use crate::reload::Live;

/// A burst of changes ends when nothing more was heard for this long.
const SETTLE: Duration = Duration::from_millis(50);
/// It ends after this long, settled or not.
const LIMIT: Duration = Duration::from_millis(500);
/// From the end of one to the end of the next.
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

    /// Pods are told from others in this way. Maintenance does what follows.
    fn follow_pods(&mut self, pods: Pods);

    /// Routes of ours went. Maintenance puts back what should be there.
    fn routes_removed(&mut self, routes: &[LocalRoute]);

    /// Rules went that may have been ours. Maintenance puts back what should be there.
    fn rules_removed(&mut self);

    /// What it is told of the node.
    fn config(&self) -> IpvsConfig;

    /// What was counted since it was last taken.
    fn take_tally(&mut self) -> Tally;
}

impl Networked for IpvsBackend {
    fn follow_network(&mut self, node_ips: NodeIps) {
        Self::follow_network(self, node_ips);
    }

    fn follow_pods(&mut self, pods: Pods) {
        Self::follow_pods(self, pods.detector, pods.own);
    }

    fn routes_removed(&mut self, routes: &[LocalRoute]) {
        Self::routes_removed(self, routes);
    }

    fn rules_removed(&mut self) {
        Self::rules_removed(self);
    }

    fn config(&self) -> IpvsConfig {
        Self::config(self).clone()
    }

    fn take_tally(&mut self) -> Tally {
        Self::take_tally(self)
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
        hand_on(facts, reconciler, now);
    }
    reconciler.request_maintenance(now);
}

/// Tells the backend if what is known of this node's Node object changes its addresses, or the
/// networks of its pods.
pub(crate) fn note_node(
    event: &Event,
    facts: &mut NodeFacts,
    reconciler: &mut Reconciler<impl Networked>,
    now: Instant,
) {
    let Event::Node(node) = event else { return };
    if node.name != *reconciler.model().node_name() {
        return;
    }
    let before = facts.pods();
    if facts.set_node(node.clone()) {
        say_node_ips(facts);
        hand_on(facts, reconciler, now);
        reconciler.request_maintenance(now);
    }
    hand_on_pods(&before, facts, reconciler, now);
}

/// Tells the model and the backend what follows from other settings.
pub(crate) fn reconfigure(
    live: Live,
    facts: &mut NodeFacts,
    reconciler: &mut Reconciler<impl Networked>,
    now: Instant,
) {
    let before = facts.pods();
    facts.reconfigure(live.node_ports, live.detect_local);
    hand_on(facts, reconciler, now);
    hand_on_pods(&before, facts, reconciler, now);
}

/// Tells the backend how pods are told from others, if that is not as it was before.
fn hand_on_pods(
    before: &Pods,
    facts: &NodeFacts,
    reconciler: &mut Reconciler<impl Networked>,
    now: Instant,
) {
    let pods = facts.pods();
    if pods != *before {
        info!("pods are told from others in another way; the rules follow");
        reconciler.backend_mut().follow_pods(pods);
        reconciler.request_maintenance(now);
    }
}

/// Tells the model and the backend the addresses that follow from what is known of this node.
fn hand_on(facts: &NodeFacts, reconciler: &mut Reconciler<impl Networked>, now: Instant) {
    reconciler.handle(Event::NodePortAddresses(facts.node_port_addresses()), now);
    reconciler.backend_mut().follow_network(facts.node_ips());
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
pub(crate) fn follow(monitor: Monitor, inputs: &Sender<Input>) {
    let mut follower = Follower::new(monitor);
    loop {
        let news = follower.wait();
        debug!(
            addresses = news.held.is_some(),
            routes = news.removed.len(),
            rules = news.rules_removed,
            "network changed"
        );
        if inputs.send(Input::Network(news)).is_err() {
            return;
        }
    }
}

/// Makes news of what a monitor hears.
#[derive(Debug)]
struct Follower {
    monitor: Monitor,
    burst: Burst,
    /// When the burst before this one ended.
    last_burst: Option<Instant>,
    /// What was told last: addresses, and whether they are on the device for virtual servers.
    told: BTreeSet<(IpAddr, bool)>,
    /// Whether it was said that addresses cannot be read, or that nothing can be heard.
    is_failing: bool,
}

impl Follower {
    fn new(monitor: Monitor) -> Self {
        let (burst, told) = (Burst::default(), BTreeSet::new());
        Self { monitor, burst, last_burst: None, told, is_failing: false }
    }

    fn wait(&mut self) -> News {
        loop {
            self.listen();
            let now = Instant::now();
            self.last_burst = Some(now);
            let Burst { look, removed, rules_removed, .. } = std::mem::take(&mut self.burst);
            let removed = removed.into_iter().collect();
            let news = News { held: self.look(look, now), removed, rules_removed };
            if news != News::default() {
                return news;
            }
        }
    }

    /// Reads the addresses of interfaces, if there is reason to. An address that another pod's
    /// interface has too is no news.
    fn look(&mut self, look: Look, now: Instant) -> Option<Vec<Held>> {
        if look == Look::None {
            return None;
        }
        let held = match held_addresses() {
            Ok(held) => held,
            // What was told last holds until it can be read again.
            Err(error) => {
                self.fails("read the addresses of interfaces", &error);
                self.burst.note(Change::Unknown, now);
                return None;
            }
        };
        self.is_failing = false;
        let is_bound = |held: &Held| held.interface == ipvs_backend::DUMMY_DEVICE;
        let mattering = held.iter().filter(|held| is_node_address(held.address));
        let found = mattering.map(|held| (held.address, is_bound(held))).collect();
        let before = std::mem::replace(&mut self.told, found);
        (look == Look::Tell || self.told != before).then_some(held)
    }

    /// Listens until something was heard and its time has come.
    fn listen(&mut self) {
        loop {
            let now = Instant::now();
            let due = self.burst.due(self.last_burst);
            if due.is_some_and(|due| due <= now) {
                return;
            }
            match self.monitor.wait(due.map_or(LONG, |due| due - now)) {
                Ok(changes) => {
                    changes.into_iter().for_each(|it| self.burst.note(it, Instant::now()));
                }
                Err(error) => {
                    self.fails("hear of changes of the network", &error);
                    thread::sleep(INTERVAL);
                    // If it fails, so does the next wait.
                    let _ = self.monitor.reopen();
                    self.burst.note(self.monitor.lost(), Instant::now());
                }
            }
        }
    }

    fn fails(&mut self, attempt: &str, error: &io::Error) {
        if !std::mem::replace(&mut self.is_failing, true) {
            warn!("{attempt}, will be tried again: {error}");
        }
    }
}

/// What is to be done about the addresses of interfaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Look {
    /// Nothing.
    #[default]
    None,
    /// Tell them if they are others than before.
    Compare,
    /// Tell them in any case.
    Tell,
}

/// Changes that are told together. Pure.
#[derive(Debug, Default)]
struct Burst {
    /// When the first and the last were heard.
    heard: Option<(Instant, Instant)>,
    look: Look,
    /// Routes that went.
    removed: BTreeSet<LocalRoute>,
    /// Whether rules went that may have been ours.
    rules_removed: bool,
}

impl Burst {
    fn note(&mut self, change: Change, now: Instant) {
        match change {
            // Every pod has a link-local address on the node, and none of them matters.
            Change::Address(address) if !is_node_address(address) => return,
            Change::RouteRemoved(route) => {
                self.removed.insert(route);
            }
            Change::Address(_) => self.look = self.look.max(Look::Compare),
            Change::Device | Change::Unknown => self.look = Look::Tell,
            Change::Rules => self.rules_removed = true,
        }
        let first = self.heard.map_or(now, |(first, _)| first);
        self.heard = Some((first, now));
    }

    /// When it ends: when nothing more was heard for a while, at the latest some time after the
    /// first, and in no case sooner than an interval after the one before.
    fn due(&self, last_burst: Option<Instant>) -> Option<Instant> {
        let (first, last) = self.heard?;
        let settled = (last + SETTLE).min(first + LIMIT);
        Some(last_burst.map_or(settled, |last| settled.max(last + INTERVAL)))
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

    /// What is made of changes: how addresses are looked at, and the routes that went.
    #[track_caller]
    fn check(changes: &[Change], look: Look, removed: &[LocalRoute]) {
        let mut burst = Burst::default();
        changes.iter().for_each(|&change| burst.note(change, Instant::now()));
        assert_eq!(burst.look, look, "{changes:?}");
        assert_eq!(Vec::from_iter(burst.removed), removed, "{changes:?}");
    }

    #[test]
    fn what_matters_is_told() {
        let (one, two) = (route("10.96.0.1"), route("fd96::1"));
        check(&[Change::Address(ip("192.168.10.5"))], Look::Compare, &[]);
        check(&[Change::Address(ip("fe80::1"))], Look::None, &[]);
        check(&[Change::Device], Look::Tell, &[]);
        check(&[Change::Unknown], Look::Tell, &[]);
        check(&[Change::Device, Change::Address(ip("10.0.0.1"))], Look::Tell, &[]);
        check(&[Change::RouteRemoved(two), Change::RouteRemoved(one)], Look::None, &[one, two]);
    }

    /// Changes heard so many milliseconds after the start, the end of the burst before, and when they are told.
    #[track_caller]
    fn check_due(heard: &[u64], last_burst: Option<u64>, expected: Option<u64>) {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut burst = Burst::default();
        heard.iter().for_each(|&millis| burst.note(Change::Device, at(millis)));
        assert_eq!(burst.due(last_burst.map(at)), expected.map(at), "{heard:?} {last_burst:?}");
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
