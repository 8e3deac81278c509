//! A Service, checked field by field.

use std::num::{NonZeroU16, NonZeroU32};

use super::findings::{Findings, given};
use super::{
    Metadata, NotOurs, Parsed, ServiceSpec, addresses, cluster_ips, ports, ranges, text, tuning,
};
use crate::policy::is_externally_accessible;
use crate::{
    Interner, Name, ObjectRef, Service, ServiceKey, ServiceKind, SessionAffinity, TrafficPolicy,
};

/// Another proxy serves a Service with this label, whatever its value.
pub(super) const OTHER_PROXY: &str = "service.kubernetes.io/service-proxy-name";

/// Seconds that `ClientIP` affinity lasts unless the Service says otherwise.
const AFFINITY_SECONDS: NonZeroU32 = NonZeroU32::new(10_800).expect("it is not zero");

impl super::Service {
    /// Namespace and name, shared through `names`. The name is empty where it is missing.
    pub fn key(&self, names: &mut Interner) -> ServiceKey {
        self.metadata.key(names)
    }

    /// The Service in the model's types.
    ///
    /// There is no value and no rejection for a Service that is not for this proxy: headless,
    /// `ExternalName`, without a cluster IP, or labelled for another proxy. Rejected as a whole is
    /// one with a bad cluster IP or a bad port; a bad value elsewhere costs what it says.
    pub fn parse(&self, names: &mut Interner) -> Parsed<Service> {
        let key = self.metadata.key(names);
        let mut findings = Findings::new(ObjectRef::Service(key.clone()));
        let value = service(self, key, names, &mut findings);
        findings.into_parsed(value)
    }
}

fn service(
    object: &super::Service,
    key: ServiceKey,
    names: &mut Interner,
    findings: &mut Findings,
) -> Option<Service> {
    findings.require_name(&object.metadata)?;
    let spec = &object.spec;
    if let Some(reason) = not_ours(object) {
        if reason == NotOurs::NoClusterIp {
            findings.warn("there is no cluster IP, so nothing is served; set spec.clusterIP");
        }
        findings.disown(reason);
        return None;
    }
    let ports = ports::ports(spec, names, findings);
    let cluster_ips = cluster_ips::cluster_ips(spec, findings);
    let (ports, cluster_ips) = (ports?, cluster_ips?);
    let kind = kind(spec, findings);
    if kind == ServiceKind::ClusterIp && ports.iter().any(|port| port.node_port.is_some()) {
        findings.warn(
            "spec.type is ClusterIP, yet its node ports are served; set NodePort, or remove them",
        );
    }
    let load_balancer_ips =
        addresses::load_balancer_ips(&object.status.load_balancer, cluster_ips, findings);
    let external_traffic_policy = external_traffic_policy(spec, kind, findings);
    Some(Service {
        created: created(&object.metadata, findings),
        external_ips: addresses::external_ips(spec, cluster_ips, findings),
        source_ranges: ranges::source_ranges(spec, cluster_ips, &load_balancer_ips, findings),
        load_balancer_ips,
        external_traffic_policy,
        internal_traffic_policy: policy(
            "spec.internalTrafficPolicy",
            spec.internal_traffic_policy.as_deref(),
            findings,
        ),
        session_affinity: session_affinity(spec, findings),
        health_check_node_port: health_check_node_port(
            spec,
            kind,
            external_traffic_policy,
            findings,
        ),
        tuning: tuning::tuning(&object.metadata, names, findings),
        key,
        kind,
        cluster_ips,
        ports,
    })
}

/// Why it has no frontends, or they are not ours.
fn not_ours(object: &super::Service) -> Option<NotOurs> {
    let spec = &object.spec;
    if let Some(name) = object.metadata.labels.get(OTHER_PROXY) {
        return Some(NotOurs::OtherProxy(name.clone()));
    }
    if spec.kind.as_deref() == Some("ExternalName") {
        return Some(NotOurs::ExternalName);
    }
    match (given(spec.cluster_ip.as_deref()), spec.cluster_ips.first().map(String::as_str)) {
        (Some("None"), _) | (None, Some("None")) => Some(NotOurs::Headless),
        (None, _) => Some(NotOurs::NoClusterIp),
        (Some(_), _) => None,
    }
}

fn kind(spec: &ServiceSpec, findings: &mut Findings) -> ServiceKind {
    match given(spec.kind.as_deref()) {
        None | Some("ClusterIP") => ServiceKind::ClusterIp,
        Some("NodePort") => ServiceKind::NodePort,
        Some("LoadBalancer") => ServiceKind::LoadBalancer,
        Some(other) => {
            let reason = "is no type of a Service and is read as ClusterIP; \
                          use ClusterIP, NodePort, LoadBalancer or ExternalName";
            findings.reject("spec.type", other, reason);
            ServiceKind::ClusterIp
        }
    }
}

/// `metadata.creationTimestamp`, if its text order is its age.
fn created(metadata: &Metadata, findings: &mut Findings) -> Option<Name> {
    let value = given(metadata.creation_timestamp.as_deref())?;
    let shape = |(index, byte): (usize, u8)| match index {
        4 | 7 => byte == b'-',
        10 => byte == b'T',
        13 | 16 => byte == b':',
        19 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    };
    if value.len() == 20 && value.bytes().enumerate().all(shape) {
        return Some(Name::from(value));
    }
    let reason = "is no time as the API writes it, so the Service counts as the youngest where two \
                  claim one address; write it as 2026-01-31T12:00:00Z";
    findings.reject("metadata.creationTimestamp", value, reason);
    None
}

fn policy(field: &str, value: Option<&str>, findings: &mut Findings) -> TrafficPolicy {
    match given(value) {
        None | Some("Cluster") => TrafficPolicy::Cluster,
        Some("Local") => TrafficPolicy::Local,
        Some(other) => {
            findings.reject(
                field,
                other,
                "is no policy and is read as Cluster; use Cluster or Local",
            );
            TrafficPolicy::Cluster
        }
    }
}

/// `Local` only where it has an effect: on a Service that can be reached from outside.
fn external_traffic_policy(
    spec: &ServiceSpec,
    kind: ServiceKind,
    findings: &mut Findings,
) -> TrafficPolicy {
    let field = "spec.externalTrafficPolicy";
    let policy = policy(field, spec.external_traffic_policy.as_deref(), findings);
    let reachable = is_externally_accessible(kind, spec.external_ips.len());
    if policy == TrafficPolicy::Local && !reachable {
        findings.warn(format!(
            "{field} Local has no effect: the Service is not reachable from outside"
        ));
        return TrafficPolicy::Cluster;
    }
    policy
}

fn session_affinity(spec: &ServiceSpec, findings: &mut Findings) -> Option<SessionAffinity> {
    match given(spec.session_affinity.as_deref()) {
        None | Some("None") => return None,
        Some("ClientIP") => {}
        Some(other) => {
            let reason = "is no session affinity and is read as None; use None or ClientIP";
            findings.reject("spec.sessionAffinity", other, reason);
            return None;
        }
    }
    let config = spec.session_affinity_config.as_ref().and_then(|config| config.client_ip.as_ref());
    let timeout_seconds =
        config.and_then(|config| config.timeout_seconds).map_or(AFFINITY_SECONDS, |seconds| {
            let in_range = u32::try_from(seconds).ok().filter(|seconds| *seconds <= 86_400);
            in_range.and_then(NonZeroU32::new).unwrap_or_else(|| {
                findings.reject(
                    "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
                    seconds,
                    "is out of range, 10800 is used; use 1 to 86400",
                );
                AFFINITY_SECONDS
            })
        });
    Some(SessionAffinity { timeout_seconds })
}

/// `spec.healthCheckNodePort`, where it has an effect: a load balancer asks at it which nodes
/// have endpoints of their own.
fn health_check_node_port(
    spec: &ServiceSpec,
    kind: ServiceKind,
    policy: TrafficPolicy,
    findings: &mut Findings,
) -> Option<NonZeroU16> {
    let field = "spec.healthCheckNodePort";
    let number = spec.health_check_node_port.filter(|number| *number != 0);
    let needed = kind == ServiceKind::LoadBalancer && policy == TrafficPolicy::Local;
    match (number, needed) {
        (None, false) => None,
        (None, true) => {
            findings.warn(format!(
                "{field} is missing: a load balancer cannot ask which nodes have endpoints"
            ));
            None
        }
        (Some(number), false) => {
            findings.warn(format!(
                "{field} {number} has no effect: it needs type LoadBalancer and \
                 externalTrafficPolicy Local"
            ));
            None
        }
        (Some(number), true) => {
            let port = text::port(number);
            if port.is_none() {
                let reason = "is not a port, so health is not answered; use 1 to 65535";
                findings.reject(field, number, reason);
            }
            port
        }
    }
}

#[cfg(test)]
mod tests;
