//! Which endpoints this node uses for a Service port. Pure: endpoints, policies and the node in,
//! the two lists out. It knows nothing of frontends; [`crate::resolve`] gives each its list.

use std::num::NonZeroU16;

use crate::{Endpoint, Service, ServiceKind, ThisNode, TrafficPolicy};

/// An endpoint with the port it has for one Service port.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The endpoint.
    pub endpoint: &'a Endpoint,
    /// Its port.
    pub port: NonZeroU16,
}

impl Candidate<'_> {
    fn is_local(&self, node: ThisNode<'_>) -> bool {
        self.endpoint.node.as_deref() == Some(node.name)
    }
}

/// Which of the two lists a Service port has a use for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Some frontend takes endpoints of the whole cluster.
    pub cluster: bool,
    /// Some frontend takes endpoints of this node only.
    pub local: bool,
}

impl Demand {
    /// Whether it is for `list`.
    #[must_use]
    pub const fn is_for(self, list: List) -> bool {
        match list {
            List::Cluster => self.cluster,
            List::Local => self.local,
        }
    }

    /// What `port` of `service` needs in a family where it has external frontends or not:
    /// - the cluster list unless the internal policy is Local and nothing is external;
    /// - the local list if the internal policy is Local, or the external one is and something is.
    #[must_use]
    pub fn of(service: &Service, has_external_frontend: bool) -> Self {
        let internal_local = service.internal_traffic_policy == TrafficPolicy::Local;
        let external_local = service.external_traffic_policy == TrafficPolicy::Local;
        Self {
            cluster: !internal_local || has_external_frontend,
            local: internal_local || (external_local && has_external_frontend),
        }
    }
}

/// The endpoints chosen for one Service port.
#[derive(Clone, Debug, Default)]
pub struct Selection<'a> {
    /// From the whole cluster; empty when not needed.
    pub cluster: Vec<Candidate<'a>>,
    /// On this node; empty when not needed.
    pub local: Vec<Candidate<'a>>,
    /// Whether any endpoint in the cluster is usable. While false, clients are refused; when
    /// true and a list is empty, a Local policy is the reason and outside clients get no answer.
    pub any_usable: bool,
}

/// Chooses among `candidates`.
///
/// Cluster list:
/// 1. ready endpoints that fit the topology mode (see below); else
/// 2. endpoints that still serve while terminating, hints ignored; else none.
///
/// Local list:
/// 1. ready endpoints on this node; else
/// 2. endpoints on this node that still serve while terminating; else none.
///
/// Topology mode, from the ready endpoints alone (KEP-2433, KEP-3015):
/// 1. every one has a node hint and one names this node: those that name this node;
/// 2. else every one has a zone hint and one names this node's zone: those that name the zone;
/// 3. else all.
#[must_use]
pub fn select<'a>(
    candidates: &[Candidate<'a>],
    demand: Demand,
    node: ThisNode<'_>,
) -> Selection<'a> {
    let usable = |candidate: &Candidate<'_>| candidate.endpoint.conditions.usable();
    let list = |list, is_needed: bool| {
        let rule = is_needed.then(|| Rule::new(list, candidates, node));
        let is_chosen = |candidate: &Candidate<'_>| {
            rule.as_ref().is_some_and(|rule| rule.excludes(candidate).is_none())
        };
        candidates.iter().copied().filter(is_chosen).collect()
    };
    Selection {
        cluster: list(List::Cluster, demand.cluster),
        local: list(List::Local, demand.local),
        any_usable: candidates.iter().any(usable),
    }
}

/// One of the two lists of a Service port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum List {
    /// From the whole cluster.
    Cluster,
    /// On this node.
    Local,
}

/// Why an endpoint is not in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exclusion {
    /// The list is of this node, and it is not there.
    OtherNode,
    /// It is not ready.
    NotReady,
    /// It terminates and serves no more.
    Terminating,
    /// It still serves while it terminates, but there are others in the list's reach that are
    /// ready.
    OthersReady,
    /// All hints name nodes, one names this node, and the endpoint's do not.
    HintedForOtherNodes,
    /// All hints name zones, one names this node's, and the endpoint's do not.
    HintedForOtherZones,
}

/// What an endpoint must be to stand in a list: [`select`] in terms of one endpoint.
pub(crate) struct Rule<'n> {
    list: List,
    node: ThisNode<'n>,
    any_ready: bool,
    mode: TopologyMode<'n>,
}

impl<'n> Rule<'n> {
    pub(crate) fn new(list: List, candidates: &[Candidate<'_>], node: ThisNode<'n>) -> Self {
        let is_in_reach = |candidate: &&Candidate<'_>| match list {
            List::Cluster => true,
            List::Local => candidate.is_local(node),
        };
        let ready = candidates
            .iter()
            .filter(is_in_reach)
            .filter(|candidate| candidate.endpoint.conditions.ready);
        let mode = match list {
            List::Cluster => TopologyMode::of(ready.clone(), node),
            List::Local => TopologyMode::Off,
        };
        Self { list, node, any_ready: ready.count() > 0, mode }
    }

    /// Why `candidate` is not in the list; `None` if it is.
    pub(crate) fn excludes(&self, candidate: &Candidate<'_>) -> Option<Exclusion> {
        let conditions = candidate.endpoint.conditions;
        if self.list == List::Local && !candidate.is_local(self.node) {
            Some(Exclusion::OtherNode)
        } else if conditions.ready {
            self.mode.excludes(candidate)
        } else if conditions.serving_terminating() {
            self.any_ready.then_some(Exclusion::OthersReady)
        } else if conditions.terminating {
            Some(Exclusion::Terminating)
        } else {
            Some(Exclusion::NotReady)
        }
    }
}

/// Whether a Service has frontends for clients outside the cluster, by its type and external IPs.
/// Only then does its external traffic policy have an effect.
#[must_use]
pub fn is_externally_accessible(kind: ServiceKind, external_ips: usize) -> bool {
    kind != ServiceKind::ClusterIp || external_ips > 0
}

/// How hints narrow the cluster list.
enum TopologyMode<'n> {
    SameNode(&'n str),
    SameZone(&'n str),
    Off,
}

impl<'n> TopologyMode<'n> {
    fn of<'a, 'c: 'a>(
        ready: impl Iterator<Item = &'a Candidate<'c>> + Clone,
        node: ThisNode<'n>,
    ) -> Self {
        let hinted_for = |names: fn(&Endpoint) -> &[crate::Name], name: &str| {
            ready.clone().all(|candidate| !names(candidate.endpoint).is_empty())
                && ready.clone().any(|candidate| names_it(names(candidate.endpoint), name))
        };
        if hinted_for(node_hints, node.name) {
            return Self::SameNode(node.name);
        }
        match node.zone {
            Some(zone) if hinted_for(zone_hints, zone) => Self::SameZone(zone),
            _ => Self::Off,
        }
    }

    fn excludes(&self, candidate: &Candidate<'_>) -> Option<Exclusion> {
        let (names, name, exclusion) = match self {
            Self::SameNode(node) => {
                (node_hints(candidate.endpoint), node, Exclusion::HintedForOtherNodes)
            }
            Self::SameZone(zone) => {
                (zone_hints(candidate.endpoint), zone, Exclusion::HintedForOtherZones)
            }
            Self::Off => return None,
        };
        (!names_it(names, name)).then_some(exclusion)
    }
}

fn node_hints(endpoint: &Endpoint) -> &[crate::Name] {
    endpoint.hints.as_deref().map_or(&[], |hints| &hints.nodes)
}

fn zone_hints(endpoint: &Endpoint) -> &[crate::Name] {
    endpoint.hints.as_deref().map_or(&[], |hints| &hints.zones)
}

fn names_it(names: &[crate::Name], name: &str) -> bool {
    names.iter().any(|hint| hint.as_str() == name)
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
