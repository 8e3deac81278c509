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
    Selection {
        cluster: if demand.cluster { cluster_list(candidates, node) } else { Vec::new() },
        local: if demand.local { local_list(candidates, node) } else { Vec::new() },
        any_usable: candidates.iter().any(usable),
    }
}

/// Whether a Service has frontends for clients outside the cluster, by its type and external IPs.
/// Only then does its external traffic policy have an effect.
#[must_use]
pub fn is_externally_accessible(kind: ServiceKind, external_ips: usize) -> bool {
    kind != ServiceKind::ClusterIp || external_ips > 0
}

fn cluster_list<'a>(candidates: &[Candidate<'a>], node: ThisNode<'_>) -> Vec<Candidate<'a>> {
    let ready: Vec<_> = candidates.iter().copied().filter(is_ready).collect();
    if ready.is_empty() {
        return candidates.iter().copied().filter(is_serving_terminating).collect();
    }
    let mode = TopologyMode::of(&ready, node);
    ready.into_iter().filter(|candidate| mode.fits(candidate)).collect()
}

fn local_list<'a>(candidates: &[Candidate<'a>], node: ThisNode<'_>) -> Vec<Candidate<'a>> {
    let local = || candidates.iter().copied().filter(|candidate| candidate.is_local(node));
    let ready: Vec<_> = local().filter(is_ready).collect();
    if ready.is_empty() { local().filter(is_serving_terminating).collect() } else { ready }
}

fn is_ready(candidate: &Candidate<'_>) -> bool {
    candidate.endpoint.conditions.ready
}

fn is_serving_terminating(candidate: &Candidate<'_>) -> bool {
    candidate.endpoint.conditions.serving_terminating()
}

/// How hints narrow the cluster list.
enum TopologyMode<'n> {
    SameNode(&'n str),
    SameZone(&'n str),
    Off,
}

impl<'n> TopologyMode<'n> {
    fn of(ready: &[Candidate<'_>], node: ThisNode<'n>) -> Self {
        let hinted_for = |names: fn(&Endpoint) -> &[crate::Name], name: &str| {
            ready.iter().all(|candidate| !names(candidate.endpoint).is_empty())
                && ready.iter().any(|candidate| names_it(names(candidate.endpoint), name))
        };
        if hinted_for(node_hints, node.name) {
            return Self::SameNode(node.name);
        }
        match node.zone {
            Some(zone) if hinted_for(zone_hints, zone) => Self::SameZone(zone),
            _ => Self::Off,
        }
    }

    fn fits(&self, candidate: &Candidate<'_>) -> bool {
        match self {
            Self::SameNode(node) => names_it(node_hints(candidate.endpoint), node),
            Self::SameZone(zone) => names_it(zone_hints(candidate.endpoint), zone),
            Self::Off => true,
        }
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
