//! The document of `proxyd resolve -o json`. Its names and order are an interface: fields are
//! only ever added. Lists are sorted, addresses by number.

use std::net::IpAddr;

use proxy_core::{
    Admission, Conflict, DesiredState, HealthCheck, Pool, VirtualServer, Warning, WhenEmpty,
};
use serde::Serialize;

use crate::source::{Problem, Severity};

/// What one node would serve.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Document {
    /// Name of the node.
    pub(super) node: String,
    /// By address, protocol and port.
    pub(super) virtual_servers: Vec<Server>,
    /// Health-check node ports, by Service and family.
    pub(super) health_checks: Vec<Health>,
    /// What is not used, and why.
    pub(super) rejected: Vec<Rejected>,
    /// What two Services claim.
    pub(super) conflicts: Vec<Contested>,
    /// What works, but hardly as it was meant.
    pub(super) warnings: Vec<Remark>,
}

/// One address, protocol and port.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Server {
    /// `namespace/name`.
    pub(super) service: String,
    /// Empty for a port without a name.
    pub(super) port_name: String,
    /// `ClusterIP`, `ExternalIP`, `LoadBalancer` or `NodePort`.
    pub(super) kind: String,
    /// `IPv4` or `IPv6`.
    pub(super) family: String,
    /// `*` for a node port while no address of the node is known.
    pub(super) address: String,
    pub(super) port: u16,
    /// `TCP`, `UDP` or `SCTP`.
    pub(super) protocol: String,
    /// As the kernel names it.
    pub(super) scheduler: String,
    /// How long a client keeps its server; null if it need not.
    pub(super) affinity_seconds: Option<u32>,
    /// Clients outside these ranges get no answer. Empty: there is no such limit.
    pub(super) source_ranges: Vec<String>,
    /// For clients outside the cluster.
    pub(super) external: Audience,
    /// For pods and nodes.
    pub(super) internal: Audience,
}

/// What some clients get.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Audience {
    /// `address:port` each.
    pub(super) servers: Vec<String>,
    /// `reject` or `drop`; null while there are servers.
    pub(super) when_empty: Option<&'static str>,
}

/// A health-check node port.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Health {
    pub(super) service: String,
    pub(super) family: String,
    pub(super) port: u16,
    pub(super) local_endpoints: usize,
}

/// A value that is not used.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Rejected {
    /// `Service namespace/name` and the like, or the name of a file.
    pub(super) object: String,
    /// Path in the object, or the place in the file.
    pub(super) field: String,
    pub(super) value: String,
    pub(super) reason: String,
}

/// A frontend that two Services claim.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Contested {
    pub(super) address: String,
    pub(super) port: u16,
    pub(super) protocol: String,
    /// What the loser does not get.
    pub(super) kind: String,
    pub(super) owner: String,
    pub(super) loser: String,
}

/// A warning.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Remark {
    pub(super) object: String,
    pub(super) reason: String,
}

impl Document {
    pub(crate) fn new(node: &str, state: &DesiredState, problems: &[&Problem]) -> Self {
        let of = |severity| problems.iter().filter(move |problem| problem.severity == severity);
        let mut warnings: Vec<_> =
            of(Severity::Warning).map(|problem| Remark::from(*problem)).collect();
        warnings.extend(state.warnings().into_iter().map(Remark::from));
        warnings.sort_unstable();
        Self {
            node: node.to_owned(),
            virtual_servers: state.iter().map(|server| Server::from(&**server)).collect(),
            health_checks: state.health_checks().into_iter().map(Health::from).collect(),
            rejected: of(Severity::Rejected).map(|problem| Rejected::from(*problem)).collect(),
            conflicts: conflicts(state),
            warnings,
        }
    }
}

/// A node port that is contested in both families is one conflict while no address is known.
fn conflicts(state: &DesiredState) -> Vec<Contested> {
    let mut conflicts: Vec<Contested> = Vec::new();
    for conflict in state.conflicts() {
        let conflict = Contested::from(&conflict);
        if !conflicts.contains(&conflict) {
            conflicts.push(conflict);
        }
    }
    conflicts
}

impl From<&VirtualServer> for Server {
    fn from(server: &VirtualServer) -> Self {
        let (source_ranges, external, internal) = match &server.admission {
            Admission::Anyone => (Vec::new(), (&server.external).into(), (&server.internal).into()),
            // No client gets in, so that is what both audiences are shown to get.
            Admission::Only(ranges) if ranges.is_empty() => {
                (Vec::new(), Audience::nobody(), Audience::nobody())
            }
            Admission::Only(ranges) => {
                let ranges = ranges.iter().map(ToString::to_string).collect();
                (ranges, (&server.external).into(), (&server.internal).into())
            }
        };
        Self {
            service: server.origin.service.to_string(),
            port_name: server.origin.port.to_string(),
            kind: server.kind.to_string(),
            family: server.key.family().to_string(),
            address: address(server.key.address),
            port: server.key.port.get(),
            protocol: server.key.protocol.to_string(),
            scheduler: server.scheduler.to_string(),
            affinity_seconds: server
                .session_affinity
                .map(|affinity| affinity.timeout_seconds.get()),
            source_ranges,
            external,
            internal,
        }
    }
}

impl Audience {
    fn nobody() -> Self {
        Self { servers: Vec::new(), when_empty: Some("drop") }
    }
}

impl From<&Pool> for Audience {
    fn from(pool: &Pool) -> Self {
        let when_empty = match pool.when_empty {
            WhenEmpty::Reject => "reject",
            WhenEmpty::Drop => "drop",
        };
        Self {
            servers: pool.servers.iter().map(ToString::to_string).collect(),
            when_empty: pool.servers.is_empty().then_some(when_empty),
        }
    }
}

impl From<&HealthCheck> for Health {
    fn from(check: &HealthCheck) -> Self {
        Self {
            service: check.service.to_string(),
            family: check.family.to_string(),
            port: check.port.get(),
            local_endpoints: check.local_endpoints,
        }
    }
}

impl From<&Problem> for Rejected {
    fn from(problem: &Problem) -> Self {
        let Problem { object, field, value, reason, .. } = problem.clone();
        Self { object, field, value, reason }
    }
}

impl From<&Conflict> for Contested {
    fn from(conflict: &Conflict) -> Self {
        Self {
            address: address(conflict.key.address),
            port: conflict.key.port.get(),
            protocol: conflict.key.protocol.to_string(),
            kind: conflict.kind.to_string(),
            owner: conflict.owner.to_string(),
            loser: conflict.loser.to_string(),
        }
    }
}

impl From<&Problem> for Remark {
    fn from(problem: &Problem) -> Self {
        let Problem { object, field, reason, .. } = problem.clone();
        let reason = if field.is_empty() { reason } else { format!("{field}: {reason}") };
        Self { object, reason }
    }
}

impl From<&Warning> for Remark {
    fn from(warning: &Warning) -> Self {
        Self { object: warning.object.to_string(), reason: warning.reason.clone() }
    }
}

/// The unspecified address stands for addresses that are not known.
fn address(address: IpAddr) -> String {
    if address.is_unspecified() { "*".to_owned() } else { address.to_string() }
}
