//! Why a Service has the real servers that it has on this node, and not others. Pure.
//!
//! Of every endpoint of the Service it is said, for every port, family and list, that it is used or
//! the one reason why not. The reasons are those of [`crate::policy`] and [`crate::resolve`]
//! themselves, which decide by them.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU16;

use crate::policy::{Demand, Exclusion, List, Rule};
use crate::resolve::{
    Context, Offer, candidates, frontends, has_external_frontend, lists, offers, serves, when_empty,
};
use crate::{
    EndpointSlice, Family, FrontendKind, Name, Service, ServicePort, SliceKey, VirtualServerKey,
    WhenEmpty,
};

/// What there is to say about a Service that has frontends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// For each port and each family of the Service.
    pub ports: Vec<PortAccount>,
    /// How many slices it has.
    pub slices: usize,
    /// Endpoints of families in which it has no cluster IP, and so no frontends.
    pub of_other_families: Vec<EndpointRef>,
}

/// A port of a Service in one of its families.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortAccount {
    /// The port.
    pub port: ServicePort,
    /// The family.
    pub family: Family,
    /// Where it is reached.
    pub frontends: Vec<FrontendAccount>,
    /// The lists that its frontends take real servers from.
    pub lists: Vec<ListAccount>,
}

/// A frontend, and whom it leads where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrontendAccount {
    /// Address, protocol and port.
    pub key: VirtualServerKey,
    /// What kind of address it is.
    pub kind: FrontendKind,
    /// The list of clients outside the cluster.
    pub outside: List,
    /// The list of pods and nodes.
    pub inside: List,
}

/// A list of real servers, and what became of each endpoint of the family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListAccount {
    /// Which one.
    pub list: List,
    /// What its clients get; `None` while an endpoint is used.
    pub when_empty: Option<WhenEmpty>,
    /// Every endpoint, with why it is not used; `None` if it is.
    pub endpoints: Vec<(EndpointRef, Option<Reason>)>,
}

/// An endpoint in a slice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointRef {
    /// The slice.
    pub slice: SliceKey,
    /// Its address.
    pub address: IpAddr,
    /// The port that it has for the port of the Service, if it has one.
    pub port: Option<NonZeroU16>,
    /// Its node.
    pub node: Option<Name>,
}

/// Why an endpoint is not used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Its slice has no port of this name and protocol. These it has, names and protocols.
    NoSuchPort(Vec<String>),
    /// Another entry has the same address and port, and is the better or newer one.
    GivenTwice(SliceKey),
    /// It was not chosen.
    Excluded(Exclusion),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchPort(ports) if ports.is_empty() => f.write_str("its slice has no ports"),
            Self::NoSuchPort(ports) => {
                write!(
                    f,
                    "its slice has no port of this name and protocol, but {}",
                    ports.join(", ")
                )
            }
            Self::GivenTwice(slice) => write!(f, "EndpointSlice {slice} has it too, and counts"),
            Self::Excluded(exclusion) => exclusion.fmt(f),
        }
    }
}

impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherNode => "it is not on this node",
            Self::NotReady => "it is not ready",
            Self::Terminating => "it terminates and serves no more",
            Self::OthersReady => "it terminates, and others are ready",
            Self::HintedForOtherNodes => "its hints are for other nodes",
            Self::HintedForOtherZones => "its hints are for other zones",
        })
    }
}

impl Account {
    /// What is said of `service`, whose slices are `slices`, on the node of `context`.
    #[must_use]
    pub fn new<'a>(
        service: &Service,
        slices: impl Iterator<Item = &'a EndpointSlice> + Clone,
        context: &Context<'_>,
    ) -> Self {
        let of = |family| slices.clone().filter(move |slice| slice.family == family);
        let (mut ports, mut of_other_families) = (Vec::new(), Vec::new());
        for family in Family::ALL {
            let Some(cluster_ip) = service.cluster_ips.of(family) else {
                of_other_families.extend(of(family).flat_map(|slice| refs(slice, None)));
                continue;
            };
            ports.extend(service.ports.iter().map(|port| {
                PortAccount {
                    port: port.clone(),
                    family,
                    frontends: frontends(service, port, family, cluster_ip, context)
                        .map(|frontend| {
                            let [outside, inside] = lists(service, frontend.kind);
                            let key = VirtualServerKey {
                                address: frontend.address,
                                protocol: port.protocol,
                                port: frontend.port,
                            };
                            FrontendAccount { key, kind: frontend.kind, outside, inside }
                        })
                        .collect(),
                    lists: list_accounts(service, port, family, of(family), context),
                }
            }));
        }
        Self { ports, slices: slices.count(), of_other_families }
    }
}

fn list_accounts<'a>(
    service: &Service,
    port: &ServicePort,
    family: Family,
    slices: impl Iterator<Item = &'a EndpointSlice> + Clone,
    context: &Context<'_>,
) -> Vec<ListAccount> {
    let demand = Demand::of(service, has_external_frontend(service, port, family));
    let candidates = candidates(port, slices.clone());
    let any_usable = candidates.iter().any(|candidate| candidate.endpoint.conditions.usable());
    let offers = offers(port, slices.clone());
    let without_port: Vec<_> = slices.flat_map(|slice| without_port(slice, port)).collect();
    let account = |list| {
        let rule = Rule::new(list, &candidates, context.node);
        let mut endpoints = without_port.clone();
        let mut kept: Option<&Offer<'_>> = None;
        for offer in &offers {
            let reason = match kept.filter(|kept| kept.identity() == offer.identity()) {
                Some(kept) => Some(Reason::GivenTwice(kept.slice.key.clone())),
                None => {
                    kept = Some(offer);
                    rule.excludes(&offer.candidate).map(Reason::Excluded)
                }
            };
            let endpoint = offer.candidate.endpoint;
            let port = Some(offer.candidate.port);
            endpoints.push((reference(offer.slice, endpoint, port), reason));
        }
        let is_empty = endpoints.iter().all(|(_, reason)| reason.is_some());
        let when_empty = is_empty.then(|| when_empty(list, any_usable));
        endpoints.sort();
        ListAccount { list, when_empty, endpoints }
    };
    [List::Cluster, List::Local]
        .into_iter()
        .filter(|list| demand.is_for(*list))
        .map(account)
        .collect()
}

/// The endpoints of a slice that has nothing for `port`.
fn without_port(slice: &EndpointSlice, port: &ServicePort) -> Vec<(EndpointRef, Option<Reason>)> {
    if slice.ports.iter().any(|slice_port| serves(slice_port, port)) {
        return Vec::new();
    }
    let name = |port: &crate::SlicePort| format!("{:?} {}", port.name.as_str(), port.protocol);
    let ports: Vec<_> = slice.ports.iter().map(name).collect();
    refs(slice, None).map(|it| (it, Some(Reason::NoSuchPort(ports.clone())))).collect()
}

fn refs(slice: &EndpointSlice, port: Option<NonZeroU16>) -> impl Iterator<Item = EndpointRef> {
    slice.endpoints.iter().map(move |endpoint| reference(slice, endpoint, port))
}

fn reference(
    slice: &EndpointSlice,
    endpoint: &crate::Endpoint,
    port: Option<NonZeroU16>,
) -> EndpointRef {
    let (slice, node) = (slice.key.clone(), endpoint.node.clone());
    EndpointRef { slice, address: endpoint.address, port, node }
}

#[cfg(test)]
#[path = "why_tests.rs"]
mod tests;
