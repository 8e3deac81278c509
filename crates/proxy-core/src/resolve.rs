//! One Service and its endpoints into its virtual servers. Pure.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;

use crate::foreign::is_api_server;
use crate::policy::{Candidate, Demand, List, Selection, select};
use crate::{
    Admission, Conditions, EndpointSlice, Family, ForeignAddresses, FrontendKind, Locality,
    ObjectRef, Pool, Priority, RealServer, Scheduler, SchedulerFlags, Service, ServiceKey,
    ServicePort, ServicePortName, SourceAddress, ThisNode, TrafficPolicy, Vip, VipChoice,
    VirtualServer, VirtualServerKey, Warning, WeightRule, WeightSelector, WhenEmpty,
};

/// What a node serves for one Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolution {
    /// Sorted by key; no key twice.
    pub servers: Vec<Arc<VirtualServer>>,
    /// What the health-check node port answers, an entry for each family of the Service.
    pub health_checks: Vec<HealthCheck>,
    /// What depends on more than the Service itself.
    pub warnings: Vec<Warning>,
    /// `metadata.creationTimestamp` of the Service; the older one keeps a contested frontend.
    pub created: Option<crate::Name>,
}

/// A health-check node port of a `LoadBalancer` Service with a Local external policy: load
/// balancers ask it which nodes have endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// The Service.
    pub service: ServiceKey,
    /// The family that is counted.
    pub family: Family,
    /// The port to answer on.
    pub port: NonZeroU16,
    /// Distinct addresses of ready endpoints on this node.
    pub local_endpoints: usize,
}

/// Everything outside a Service that its resolution depends on.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The node that decides.
    pub node: ThisNode<'a>,
    /// The node's addresses on which node ports are served.
    pub node_port_addresses: &'a [IpAddr],
    /// Addresses of the cluster's other nodes and of API servers.
    pub foreign_addresses: &'a ForeignAddresses,
    /// For Services that do not choose a scheduler themselves.
    pub scheduler: (Scheduler, SchedulerFlags),
}

/// The virtual servers of `service`, whose slices are `slices`, on the node of `context`.
///
/// For each family in which it has a cluster IP, and each port:
/// - cluster IP: the local list under an internal Local policy, else the cluster list;
/// - external IPs, load-balancer IPs, node ports: the cluster list; under an external Local
///   policy, outside clients get the local list and inside clients keep the cluster list.
#[must_use]
pub fn resolve<'a>(
    service: &Service,
    slices: impl Iterator<Item = &'a EndpointSlice> + Clone,
    context: &Context<'_>,
) -> Resolution {
    let mut resolution = Resolution { created: service.created.clone(), ..Resolution::default() };
    for family in Family::ALL {
        let Some(cluster_ip) = service.cluster_ips.of(family) else { continue };
        let slices = slices.clone().filter(|slice| slice.family == family);
        for port in &service.ports {
            let candidates = candidates(port, slices.clone());
            let pools = Pools::new(service, port, family, &candidates, context);
            let frontends = frontends(service, port, family, cluster_ip, context);
            resolution.servers.extend(
                frontends.map(|frontend| virtual_server(service, port, frontend, &pools, context)),
            );
        }
        resolution.health_checks.extend(health_check(service, family, slices, context.node));
    }
    resolution.servers.sort_by_key(|server| (server.key, server.kind));
    resolution.servers.dedup_by_key(|server| server.key);
    resolution.warnings = foreign_address_warnings(service, context);
    resolution
}

/// The endpoints of one port: from every slice port of its name and protocol, one for each address
/// and port. Of several, the one kept is: not terminating before terminating, then ready, then
/// serving, then from the slice with the greater name, then the later in its slice.
pub(crate) fn candidates<'a>(
    port: &ServicePort,
    slices: impl Iterator<Item = &'a EndpointSlice>,
) -> Vec<Candidate<'a>> {
    let mut offers = offers(port, slices);
    offers.dedup_by_key(|offer| offer.identity());
    offers.into_iter().map(|offer| offer.candidate).collect()
}

/// An entry of a slice for one Service port.
pub(crate) struct Offer<'a> {
    pub(crate) candidate: Candidate<'a>,
    pub(crate) slice: &'a EndpointSlice,
    index: usize,
}

impl Offer<'_> {
    /// Of several with the same one, the first is kept.
    pub(crate) const fn identity(&self) -> (IpAddr, NonZeroU16) {
        (self.candidate.endpoint.address, self.candidate.port)
    }

    fn preference(&self) -> impl Ord {
        let conditions = self.candidate.endpoint.conditions;
        let Conditions { ready, serving, terminating } = conditions;
        (!terminating, ready, serving, &self.slice.key.name, self.index)
    }
}

/// Every entry of slices for one port, by identity, the one to keep first.
pub(crate) fn offers<'a>(
    port: &ServicePort,
    slices: impl Iterator<Item = &'a EndpointSlice>,
) -> Vec<Offer<'a>> {
    let mut offers = Vec::new();
    for slice in slices {
        let matching = |slice_port: &&crate::SlicePort| serves(slice_port, port);
        for slice_port in slice.ports.iter().filter(matching) {
            offers.extend(slice.endpoints.iter().enumerate().map(|(index, endpoint)| {
                let candidate = Candidate { endpoint, port: slice_port.port };
                Offer { candidate, slice, index }
            }));
        }
    }
    offers.sort_unstable_by(|one, two| {
        one.identity().cmp(&two.identity()).then_with(|| two.preference().cmp(&one.preference()))
    });
    offers
}

/// Whether a port of a slice is for a port of the Service.
pub(crate) fn serves(slice_port: &crate::SlicePort, port: &ServicePort) -> bool {
    slice_port.name == port.name && slice_port.protocol == port.protocol
}

/// What the frontends of one port in one family share.
struct Pools {
    cluster: Pool,
    local: Pool,
    /// For frontends with the cluster pool alone, the local one alone, and one for each audience.
    unchosen: [Arc<[(IpAddr, NonZeroU16)]>; 3],
}

impl Pools {
    fn new(
        service: &Service,
        port: &ServicePort,
        family: Family,
        candidates: &[Candidate<'_>],
        context: &Context<'_>,
    ) -> Self {
        let demand = Demand::of(service, has_external_frontend(service, port, family));
        let selection = select(candidates, demand, context.node);
        let Selection { cluster, local, any_usable } = &selection;
        let pool = |chosen: &[Candidate<'_>], when_empty| Pool {
            servers: chosen.iter().map(|one| real_server(one, service, context.node)).collect(),
            when_empty,
        };
        let cluster = pool(cluster, when_empty(List::Cluster, *any_usable));
        let local = pool(local, when_empty(List::Local, *any_usable));
        let unchosen = [[&cluster, &cluster], [&local, &local], [&local, &cluster]]
            .map(|pools| unchosen(candidates, pools));
        Self { cluster, local, unchosen }
    }

    const fn of(&self, list: List) -> &Pool {
        match list {
            List::Cluster => &self.cluster,
            List::Local => &self.local,
        }
    }
}

/// What a client gets whose list is empty: no answer if only a Local policy keeps it from one.
pub(crate) const fn when_empty(list: List, any_usable: bool) -> WhenEmpty {
    match list {
        List::Local if any_usable => WhenEmpty::Drop,
        List::Local | List::Cluster => WhenEmpty::Reject,
    }
}

/// The endpoints that are in neither pool. All are sorted, so one walk finds them.
fn unchosen(candidates: &[Candidate<'_>], pools: [&Pool; 2]) -> Arc<[(IpAddr, NonZeroU16)]> {
    let mut chosen = pools.map(|pool| pool.servers.iter().map(RealServer::key).peekable());
    let keys = candidates.iter().map(|candidate| (candidate.endpoint.address, candidate.port));
    let unchosen: Vec<_> = keys
        .filter(|key| {
            let [one, two] = chosen.each_mut().map(|pool| pool.next_if_eq(key).is_some());
            !one && !two
        })
        .collect();
    // Nearly always there are none, and those of all share one place.
    if unchosen.is_empty() { Arc::default() } else { unchosen.into() }
}

pub(crate) fn has_external_frontend(service: &Service, port: &ServicePort, family: Family) -> bool {
    let of_family = |address: &IpAddr| Family::of(*address) == family;
    port.node_port.is_some()
        || service.load_balancer_ips.iter().any(of_family)
        || service.external_ips.iter().any(of_family)
}

fn real_server(candidate: &Candidate<'_>, service: &Service, node: ThisNode<'_>) -> RealServer {
    let endpoint = candidate.endpoint;
    let is_local = endpoint.node.as_deref() == Some(node.name);
    let matches = |rule: &&WeightRule| match &rule.selector {
        WeightSelector::Any => true,
        WeightSelector::Local => is_local,
        WeightSelector::Node(name) => endpoint.node.as_ref() == Some(name),
        WeightSelector::Zone(name) => endpoint.zone.as_ref() == Some(name),
        WeightSelector::Address(address) => endpoint.address == *address,
    };
    RealServer {
        address: endpoint.address,
        port: candidate.port,
        weight: service.tuning.weights.iter().find(matches).map_or(NonZeroU16::MIN, |r| r.weight),
        locality: if is_local { Locality::Local } else { Locality::Remote },
    }
}

/// Where a port is reachable.
pub(crate) struct Frontend {
    pub(crate) address: IpAddr,
    pub(crate) port: NonZeroU16,
    pub(crate) kind: FrontendKind,
}

/// The lists of outside and of inside clients of a frontend.
pub(crate) const fn lists(service: &Service, kind: FrontendKind) -> [List; 2] {
    match (policy(service, kind), kind) {
        (TrafficPolicy::Cluster, _) => [List::Cluster, List::Cluster],
        (TrafficPolicy::Local, FrontendKind::ClusterIp) => [List::Local, List::Local],
        (TrafficPolicy::Local, _) => [List::Local, List::Cluster],
    }
}

const fn policy(service: &Service, kind: FrontendKind) -> TrafficPolicy {
    match kind {
        FrontendKind::ClusterIp => service.internal_traffic_policy,
        _ => service.external_traffic_policy,
    }
}

pub(crate) fn frontends<'a>(
    service: &'a Service,
    port: &'a ServicePort,
    family: Family,
    cluster_ip: IpAddr,
    context: &'a Context<'_>,
) -> impl Iterator<Item = Frontend> + 'a {
    let at = |kind, number| move |address| Frontend { address, port: number, kind };
    let of_family = move |addresses: &'a [IpAddr]| {
        addresses.iter().copied().filter(move |address| Family::of(*address) == family)
    };
    let node_ports = port.node_port.into_iter().flat_map(move |number| {
        of_family(context.node_port_addresses).map(at(FrontendKind::NodePort, number))
    });
    std::iter::once(cluster_ip)
        .map(at(FrontendKind::ClusterIp, port.port))
        .chain(of_family(&service.load_balancer_ips).map(at(FrontendKind::LoadBalancer, port.port)))
        .chain(of_family(&service.external_ips).map(at(FrontendKind::ExternalIp, port.port)))
        .chain(node_ports)
}

fn virtual_server(
    service: &Service,
    port: &ServicePort,
    frontend: Frontend,
    pools: &Pools,
    context: &Context<'_>,
) -> Arc<VirtualServer> {
    let Frontend { address, port: number, kind } = frontend;
    let (scheduler, scheduler_flags) = service.tuning.scheduler.unwrap_or(context.scheduler);
    let [by_cluster, by_local, by_both] = &pools.unchosen;
    let [outside, inside] = lists(service, kind);
    let (external, internal) = (pools.of(outside), pools.of(inside));
    let unchosen = match (outside, inside) {
        (List::Cluster, List::Cluster) => by_cluster,
        (List::Local, List::Local) => by_local,
        _ => by_both,
    };
    Arc::new(VirtualServer {
        key: VirtualServerKey { address, protocol: port.protocol, port: number },
        origin: ServicePortName { service: service.key.clone(), port: port.name.clone() },
        kind,
        scheduler,
        scheduler_flags,
        session_affinity: service.session_affinity,
        admission: match kind {
            FrontendKind::LoadBalancer => service.source_ranges.of(Family::of(address)).clone(),
            _ => Admission::Anyone,
        },
        external: external.clone(),
        internal: internal.clone(),
        unchosen: unchosen.clone(),
        vip: vip(service, kind, address, context),
        source_address: match (kind, policy(service, kind)) {
            (FrontendKind::ClusterIp, _) => SourceAddress::MasqueradeOffCluster,
            (_, TrafficPolicy::Cluster) => SourceAddress::Masquerade,
            (_, TrafficPolicy::Local) => SourceAddress::Keep,
        },
        health_check_port: service.health_check_node_port,
        drain_limit: service.tuning.drain_limit,
        priority: priority(service),
    })
}

/// A node's own address needs no binding; another node's, or an API server's, must never get one:
/// packets to that host would end here. A Service can opt out.
fn vip(service: &Service, kind: FrontendKind, address: IpAddr, context: &Context<'_>) -> Vip {
    let leave = kind == FrontendKind::NodePort
        || service.tuning.vip == VipChoice::Leave
        || (kind != FrontendKind::ClusterIp && context.foreign_addresses.owner(address).is_some());
    if leave { Vip::Leave } else { Vip::Bind }
}

/// The API server's own Service, and whatever answers on port 53 in `kube-system`.
fn priority(service: &Service) -> Priority {
    let is_dns = &*service.key.namespace == "kube-system"
        && service.ports.iter().any(|port| port.port.get() == 53);
    if is_api_server(&service.key) || is_dns { Priority::Urgent } else { Priority::Normal }
}

/// Counts addresses, not ports: a pod with two ports is one endpoint.
fn health_check<'a>(
    service: &Service,
    family: Family,
    slices: impl Iterator<Item = &'a EndpointSlice> + Clone,
    node: ThisNode<'_>,
) -> Option<HealthCheck> {
    let port = service.health_check_node_port?;
    let mut addresses: Vec<IpAddr> = service
        .ports
        .iter()
        .flat_map(|port| candidates(port, slices.clone()))
        .map(|candidate| candidate.endpoint)
        .filter(|endpoint| endpoint.conditions.ready && endpoint.node.as_deref() == Some(node.name))
        .map(|endpoint| endpoint.address)
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    let local_endpoints = addresses.len();
    Some(HealthCheck { service: service.key.clone(), family, port, local_endpoints })
}

fn foreign_address_warnings(service: &Service, context: &Context<'_>) -> Vec<Warning> {
    let addresses: BTreeSet<_> =
        service.external_ips.iter().chain(&service.load_balancer_ips).collect();
    let warning = |address: &IpAddr| {
        let owner = context.foreign_addresses.owner(*address)?;
        Some(Warning {
            object: ObjectRef::Service(service.key.clone()),
            reason: format!(
                "{address} is an address of {owner} and stays there: a node that took it for its \
                 own could not reach {owner} any more"
            ),
        })
    };
    addresses.into_iter().filter_map(warning).collect()
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
