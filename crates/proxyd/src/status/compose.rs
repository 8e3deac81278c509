//! What the driver knows and the kernel counts, as a document. Pure.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Instant, SystemTime};

use ipvs_backend::netlink::ipvs::{DestinationStatus, ServiceId};
use proxy_core::policy::List;
use proxy_core::why::{EndpointRef, Reason};
use proxy_core::{
    DriftKind, EndpointSlice, FrontendKind, ObjectRef, Pool, ServiceKey, SourceAddress,
    TrafficPolicy, VirtualServerKey, WhenEmpty,
};

use super::counts::{Count, Counts};
use super::document::{
    Destination, Drifted, Drifts, Endpoint, Frontend, Moment, Reading, Servers, State, Status,
    Traffic, Trouble, TroubleKind, Waiting,
};
use super::earlier::Before;
use super::inquiry::{Detail, Known, Scope, Served};
use crate::health::{Now, rfc3339};
use crate::source::Severity;

/// What is the same for as long as the process lives.
#[derive(Clone, Debug, Default)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) network_namespace: String,
}

/// The numbers, or why there are none.
pub(crate) struct Counted<'a> {
    pub(crate) counts: Result<&'a Counts, &'a str>,
    pub(crate) before: Option<&'a Before>,
}

/// The document about `scope`.
pub(crate) fn status(
    known: &Known,
    counted: &Counted<'_>,
    scope: &Scope,
    process: &Process,
    now: Now,
) -> Status {
    let moment = |at: Instant| moment(at, now);
    let drift = drifts(known, now);
    let mut problems = problems(known);
    if let Scope::Service(service) = scope {
        let service = service.to_string();
        problems.retain(|problem| problem.service.as_ref() == Some(&service));
    }
    let mut by_service: HashMap<&str, usize> = HashMap::new();
    for service in problems.iter().filter_map(|problem| problem.service.as_deref()) {
        *by_service.entry(service).or_default() += 1;
    }
    let drifted = drifted_keys(&drift);
    let frontends = known.servers.iter().map(|served| {
        let mut frontend = frontend(served, counted, scope);
        frontend.changed = served.changed.map(moment);
        frontend.drift = drifted.get(&*served.server.key.to_string()).copied().unwrap_or(0);
        frontend.problems = by_service.get(&*frontend.service).copied().unwrap_or(0);
        frontend
    });
    let mut frontends: Vec<_> = frontends.collect();
    frontends.sort_by(|one, two| {
        (&one.service, &one.port_name, &one.kind).cmp(&(&two.service, &two.port_name, &two.kind))
    });
    Status {
        node: known.node.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: process.pid,
        network_namespace: process.network_namespace.clone(),
        started: moment(known.started),
        as_of: moment(known.now.steady),
        state: state(known),
        broken: known.broken.clone(),
        last_change: known.last_change.map(moment),
        last_comparison: known.last_comparison.map(moment),
        pending: Waiting {
            services: known.pending.services,
            retries: known.pending.retries,
            parked: known.pending.parked,
        },
        drift,
        connections: reading(known, counted),
        frontends,
        problems,
        endpoints: known.detail.as_ref().map(endpoints),
    }
}

/// A moment, as seen from `now`.
pub(crate) fn moment(at: Instant, now: Now) -> Moment {
    let age = now.steady.saturating_duration_since(at);
    let wall = now.wall.checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
    Moment { at: rfc3339(wall), age_seconds: (age.as_secs_f64() * 1000.0).round() / 1000.0 }
}

fn state(known: &Known) -> State {
    if !known.is_complete {
        State::WaitingForInputs
    } else if known.broken.is_some() || known.last_comparison.is_none() {
        State::KernelUnknown
    } else if known.pending.services > 0 || known.pending.retries > 0 || !known.failing.is_empty() {
        State::Behind
    } else {
        State::InStep
    }
}

fn reading(known: &Known, counted: &Counted<'_>) -> Reading {
    let keys = known.servers.iter().map(|served| &served.server.key);
    match counted.counts {
        Ok(counts) => Reading {
            seconds: counted.before.map(|before| before.seconds(counts)),
            left_out: keys.filter(|key| counts.left_out.contains(key)).count(),
            error: None,
        },
        Err(error) => Reading { error: Some(error.to_owned()), ..Reading::default() },
    }
}

fn drifts(known: &Known, now: Now) -> Drifts {
    let recent = known.drift.iter().map(|(found, drift)| Drifted {
        found: moment(*found, now),
        object: drift.object.clone(),
        kind: match drift.kind {
            DriftKind::Missing => "missing",
            DriftKind::Changed => "changed",
            DriftKind::Unexpected => "unexpected",
        }
        .to_owned(),
    });
    Drifts { total: known.drift_total, recent: recent.collect() }
}

/// How often the objects of a virtual server drifted, by its key as it is written. A member of a
/// set names it as `address,protocol:port`, all others as `PROTOCOL address:port`.
fn drifted_keys(drifts: &Drifts) -> HashMap<String, usize> {
    let mut keys = HashMap::new();
    for Drifted { object, .. } in &drifts.recent {
        let words: Vec<_> = object.split(' ').collect();
        let key = match words.as_slice() {
            ["service" | "server", protocol, address, ..] => format!("{protocol} {address}"),
            ["set", _, "member", entry, ..] => match key_of_entry(entry) {
                Some(key) => key,
                None => continue,
            },
            _ => continue,
        };
        *keys.entry(key).or_default() += 1;
    }
    keys
}

fn key_of_entry(entry: &str) -> Option<String> {
    let mut parts = entry.split(',');
    let address: IpAddr = parts.next()?.parse().ok()?;
    let (protocol, port) = parts.next()?.split_once(':')?;
    let socket = SocketAddr::new(address, port.parse().ok()?);
    Some(format!("{} {socket}", protocol.to_uppercase()))
}

fn frontend(served: &Served, counted: &Counted<'_>, scope: &Scope) -> Frontend {
    let server = &served.server;
    let count = counted.counts.ok().map(|counts| counts.of.get(&server.key));
    let count = count.map(|count| count.cloned().unwrap_or_default());
    let (outside_when_empty, inside_when_empty) =
        (when_empty(&server.external), when_empty(&server.internal));
    Frontend {
        service: server.origin.service.to_string(),
        port_name: server.origin.port.to_string(),
        kind: server.kind.to_string(),
        protocol: server.key.protocol.to_string(),
        address: SocketAddr::new(server.key.address, server.key.port.get()).to_string(),
        scheduler: server.scheduler.to_string(),
        affinity_seconds: server.session_affinity.map(|affinity| affinity.timeout_seconds.get()),
        policy: policy(served).to_owned(),
        servers: Servers {
            outside: server.external.servers.len(),
            inside: server.internal.servers.len(),
            ready: server.real_servers().count(),
            draining: count.as_ref().and_then(Count::draining),
            unused: server.unchosen.len(),
            outside_when_empty,
            inside_when_empty,
        },
        destinations: match scope {
            Scope::Service(_) => count.as_ref().and_then(|count| destinations(&server.key, count)),
            Scope::Everything | Scope::Inputs => None,
        },
        traffic: count.map(|count| traffic(&count, &server.key, counted)),
        changed: None,
        drift: 0,
        problems: 0,
    }
}

fn when_empty(pool: &Pool) -> Option<String> {
    let what = match pool.when_empty {
        WhenEmpty::Reject => "reject",
        WhenEmpty::Drop => "drop",
    };
    pool.servers.is_empty().then(|| what.to_owned())
}

/// What a policy did is seen in the virtual server; what it is called stands in the Service, which
/// may be gone already.
fn policy(Served { server, service, .. }: &Served) -> &'static str {
    let is_internal = server.kind == FrontendKind::ClusterIp;
    let policy = match service {
        Some(service) if is_internal => service.internal_traffic_policy,
        Some(service) => service.external_traffic_policy,
        None if server.source_address == SourceAddress::Keep => TrafficPolicy::Local,
        None => TrafficPolicy::Cluster,
    };
    match policy {
        TrafficPolicy::Cluster => "Cluster",
        TrafficPolicy::Local => "Local",
    }
}

fn traffic(count: &Count, key: &VirtualServerKey, counted: &Counted<'_>) -> Traffic {
    let now = count.connections_now();
    let counts = counted.counts.ok();
    Traffic {
        active: now.map(|(active, _)| active),
        inactive: now.map(|(_, inactive)| inactive),
        per_second: counted.before.zip(counts).map(|(before, after)| before.per_second(key, after)),
        total: count.connections,
        bytes_in: count.bytes_in,
        bytes_out: count.bytes_out,
    }
}

fn destinations(key: &VirtualServerKey, count: &Count) -> Option<Vec<Destination>> {
    let services = count.destinations.as_ref()?;
    let is_split = services.iter().any(|(id, _)| matches!(id, ServiceId::Fwmark { .. }));
    let clients = |id: &ServiceId| match id {
        ServiceId::Fwmark { .. } => "inside",
        ServiceId::Address { .. } if is_split => "outside",
        ServiceId::Address { .. } => "all",
    };
    debug_assert!(services.iter().all(|(id, _)| id.family() == key.family()));
    let destination = |clients: &str, status: &DestinationStatus| Destination {
        address: SocketAddr::new(status.destination.address, status.destination.port),
        clients: clients.to_owned(),
        weight: status.destination.weight,
        active: status.active,
        inactive: status.inactive,
        total: status.stats.connections,
    };
    let all = services.iter().flat_map(|(id, found)| {
        let clients = clients(id);
        found.iter().map(move |status| destination(clients, status))
    });
    let mut all: Vec<_> = all.collect();
    all.sort_by(|one, two| (&two.clients, one.address).cmp(&(&one.clients, two.address)));
    Some(all)
}

fn endpoints(Detail { account, slices }: &Detail) -> Vec<Endpoint> {
    let slices: HashMap<_, _> = slices.iter().map(|slice| (&slice.key, &**slice)).collect();
    let mut found = Vec::new();
    for port in &account.ports {
        let (name, protocol) = (port.port.name.as_str(), port.port.protocol.to_string());
        for list in &port.lists {
            let of_list = match list.list {
                List::Cluster => "cluster",
                List::Local => "local",
            };
            found.extend(list.endpoints.iter().map(|(endpoint, reason)| {
                let slice = slices.get(&endpoint.slice).copied();
                let entry = entry(endpoint, slice, reason.as_ref());
                Endpoint {
                    port_name: name.to_owned(),
                    protocol: protocol.clone(),
                    list: of_list.to_owned(),
                    ..entry
                }
            }));
        }
    }
    found
}

fn entry(
    endpoint: &EndpointRef,
    slice: Option<&EndpointSlice>,
    reason: Option<&Reason>,
) -> Endpoint {
    let of_slice = slice.and_then(|slice| {
        slice.endpoints.iter().find(|candidate| candidate.address == endpoint.address)
    });
    Endpoint {
        port_name: String::new(),
        protocol: String::new(),
        address: endpoint.address,
        port: endpoint.port.map(std::num::NonZeroU16::get),
        node: endpoint.node.as_ref().map(ToString::to_string),
        zone: of_slice.and_then(|it| it.zone.as_ref()).map(ToString::to_string),
        slice: endpoint.slice.to_string(),
        list: String::new(),
        unused: reason.map(ToString::to_string),
    }
}

/// Everything that somebody should know, the worst first.
fn problems(known: &Known) -> Vec<Trouble> {
    let of: HashMap<VirtualServerKey, &ServiceKey> = known
        .failing
        .iter()
        .filter_map(|failing| failing.server)
        .filter_map(|key| {
            let index =
                known.servers.binary_search_by_key(&key, |served| served.server.key).ok()?;
            Some((key, &known.servers[index].server.origin.service))
        })
        .collect();
    let failing = known.failing.iter().map(|failing| Trouble {
        kind: TroubleKind::Failing,
        object: failing.object.clone(),
        service: failing.server.and_then(|key| of.get(&key)).map(ToString::to_string),
        reason: failing.words.clone(),
    });
    let parked = known.parked.iter().map(|parked| Trouble {
        kind: TroubleKind::NotServed,
        object: parked.server.to_string(),
        service: Some(parked.service.to_string()),
        reason: format!("this backend does not support {}", parked.feature),
    });
    let contested = known.conflicts.iter().map(|conflict| Trouble {
        kind: TroubleKind::Contested,
        object: conflict.key.to_string(),
        service: Some(conflict.loser.to_string()),
        reason: conflict.to_string(),
    });
    let given = known.problems.iter().map(|problem| Trouble {
        kind: match problem.severity {
            Severity::Unreadable | Severity::Rejected => TroubleKind::Rejected,
            Severity::Warning => TroubleKind::Warning,
        },
        object: problem.object.clone(),
        service: problem.about.as_ref().and_then(|about| service_of(about, known)),
        reason: problem.note(),
    });
    let warnings = known.warnings.iter().map(|warning| Trouble {
        kind: TroubleKind::Warning,
        object: warning.object.to_string(),
        service: service_of(&warning.object, known),
        reason: warning.reason.clone(),
    });
    let mut all: Vec<_> =
        failing.chain(parked).chain(contested).chain(given).chain(warnings).collect();
    all.sort();
    all.dedup();
    all
}

/// The Service that an object is, or is a part of as far as that is known.
fn service_of(object: &ObjectRef, known: &Known) -> Option<String> {
    match object {
        ObjectRef::Service(service) => Some(service.to_string()),
        ObjectRef::EndpointSlice(slice) => {
            let slices = known.detail.iter().flat_map(|detail| &detail.slices);
            let slice = slices.into_iter().find(|candidate| candidate.key == *slice)?;
            Some(slice.service_key().to_string())
        }
        ObjectRef::Node(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drift_is_told_to_its_frontend() {
        let recent = [
            "service TCP 10.96.0.9:80 rr",
            "server TCP 10.96.0.9:80 -> 10.1.0.1:8080 weight 1",
            "set KUBE-CLUSTER-IP member 10.96.0.9,tcp:80",
            "set KUBE-6-CLUSTER-IP member fd00::9,udp:53",
            "set KUBE-LOAD-BALANCER-SOURCE-CIDR member 203.0.113.5,tcp:80,192.0.2.0/24",
            "set KUBE-IPVS-IPS member 10.96.0.9",
            "address 10.96.0.9 src 192.0.2.1",
            "rule -A KUBE-SERVICES",
        ];
        let recent =
            recent.map(|object| Drifted { object: object.to_owned(), ..Drifted::default() });
        let keys = drifted_keys(&Drifts { total: 8, recent: recent.into() });
        let expected =
            [("TCP 10.96.0.9:80", 3), ("TCP 203.0.113.5:80", 1), ("UDP [fd00::9]:53", 1)];
        let mut keys: Vec<_> = keys.iter().map(|(key, count)| (key.as_str(), *count)).collect();
        keys.sort_unstable();
        assert_eq!(keys, expected);
    }

    #[test]
    fn ages_come_from_the_clock_that_nobody_sets() {
        let steady = Instant::now();
        let now = Now {
            steady: steady + std::time::Duration::from_millis(1500),
            wall: SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(1_767_323_045_500),
        };
        let moment = moment(steady, now);
        assert_eq!((&*moment.at, moment.age_seconds), ("2026-01-02T03:04:04Z", 1.5));
    }
}
