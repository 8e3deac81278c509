//! The network changed under the backend: what may be concerned is compared with what is there, and
//! nothing else.

use proxy_core::{BackendError, Drift, Family, Report};

use super::survey::Saved;
use super::{IpvsBackend, attempting, drift_of};
use crate::kernel::Kernel;
use crate::ledger::Touched;
use crate::netlink::route::LocalRoute;
use crate::object::Shared;
use crate::observe::{NodeIps, Observed};
use crate::op::Op;
use crate::rules::Detector;

/// What may not be as it was left, to be compared in the next maintenance.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Doubts {
    /// About the addresses that are bound.
    bindings: bool,
    /// About the static rules.
    rules: bool,
    /// Whether the static rules are to be others.
    new_rules: bool,
}

impl Doubts {
    pub(super) const fn about_rules(self) -> bool {
        self.rules || self.new_rules
    }
}

impl<K: Kernel> IpvsBackend<K> {
    /// Addresses or devices of this node changed, and its own connections come from `node_ips`. In
    /// the next [`proxy_core::Backend::maintain`] every bound address gets its source, one that an
    /// interface has now is left to that, and what is gone is bound again.
    pub const fn follow_network(&mut self, node_ips: NodeIps) {
        self.config.node.ips = node_ips;
        self.doubts.bindings = true;
    }

    /// Pods are told from other clients in another way, and those of this node from others. In the
    /// next [`proxy_core::Backend::maintain`] the static rules follow.
    pub fn follow_pods(&mut self, detector: Detector, own_pods: Detector) {
        let rules = &mut self.config.rules;
        if rules.detector != detector || rules.own_pods != own_pods {
            (rules.detector, rules.own_pods) = (detector, own_pods);
            self.doubts.new_rules = true;
        }
    }

    /// Routes that carry our mark were removed, by us or by somebody else. What should be there is
    /// put back in the next [`proxy_core::Backend::maintain`].
    pub fn routes_removed(&mut self, routes: &[LocalRoute]) {
        if routes.iter().any(|route| is_missed(route, &self.observed)) {
            self.doubts.bindings = true;
        }
    }

    /// Rules of the packet filter were removed that may have been ours. Ours are put back in the next
    /// [`proxy_core::Backend::maintain`].
    pub const fn rules_removed(&mut self) {
        self.doubts.rules = true;
    }

    /// Compares what there is reason to.
    pub(super) fn settle_doubts(&mut self) -> Result<Report, BackendError> {
        let doubts = std::mem::take(&mut self.doubts);
        let Doubts { bindings, new_rules, .. } = doubts;
        let mut report = Report::default();
        if bindings || doubts.about_rules() {
            self.give_up_look();
        }
        if doubts.about_rules() {
            let differences = self.ensure_rules(Saved::default())?;
            let changes = differences.len();
            let drift = if new_rules { Vec::new() } else { differences };
            report.merge(Report { changes, drift, ..Report::default() });
        }
        if bindings {
            report.merge(self.compare_bindings()?);
        }
        Ok(report)
    }

    /// Compares bound addresses. What was there and is gone is drift; the rest follows from changes
    /// of the node.
    fn compare_bindings(&mut self) -> Result<Report, BackendError> {
        let attempt = "read the node's addresses and routes";
        let seen = self.kernel.observe_network().map_err(attempting(attempt))?;
        let known = self.observed.replace_network(seen);
        let mut touched = Touched { everything: true, ..Touched::default() };
        self.ledger.touch_addresses(&mut touched);
        for address in self.observed.bound() {
            touched.shared.entry(Shared::Vip(address)).or_insert(None);
        }
        let mut drift: Vec<Drift> = Vec::new();
        let report = self.change(&touched, &mut |steps| {
            let lost = steps.iter().filter(|step| was_there(&step.op, &known));
            drift.extend(lost.map(|step| drift_of(&step.op)));
        })?;
        Ok(Report { drift, ..report })
    }
}

/// Whether a route that was removed is one that was left there. When we replace one in IPv4, the
/// old one, with another source, is announced as removed; in IPv6 nothing is.
fn is_missed(removed: &LocalRoute, observed: &Observed) -> bool {
    let is_same = |there: &LocalRoute| match Family::of(removed.address) {
        Family::Ipv4 => there == removed,
        Family::Ipv6 => true,
    };
    observed.routes.get(&removed.address).is_some_and(is_same)
}

/// Whether an op makes anew what `known` had.
fn was_there(op: &Op, known: &Observed) -> bool {
    let device = known.device.as_ref();
    match op {
        Op::AddRoute(route) => known.routes.contains_key(&route.address),
        Op::AddAddress(address) => device.is_some_and(|it| it.addresses.contains(address)),
        Op::CreateDevice => device.is_some(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(address: &str, source: &str) -> LocalRoute {
        LocalRoute {
            address: address.parse().unwrap(),
            device: 1,
            preferred_source: source.parse().ok(),
            protocol: crate::ROUTE_PROTOCOL,
        }
    }

    /// With `left` in place, `removed` is announced.
    #[track_caller]
    fn check(left: &[LocalRoute], removed: LocalRoute, expected: bool) {
        let routes = left.iter().map(|route| (route.address, *route)).collect();
        let observed = Observed { routes, ..Observed::default() };
        assert_eq!(is_missed(&removed, &observed), expected, "{removed:?}");
    }

    #[test]
    fn a_removed_route_is_missed_unless_we_removed_or_replaced_it() {
        let left = [route("10.96.0.1", "192.168.10.5"), route("fd96::1", "fd10::5")];
        check(&left, left[0], true);
        check(&left, left[1], true);
        check(&left, route("fd96::1", ""), true);
        check(&left, route("10.96.0.1", "192.168.10.4"), false);
        check(&left, route("10.96.0.2", "192.168.10.5"), false);
        check(&[], left[0], false);
    }
}
