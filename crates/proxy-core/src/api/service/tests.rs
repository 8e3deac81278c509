use std::num::NonZeroU16;

use crate::api::testing::{Outcome, ingress, outcome, service, shown};
use crate::api::{self, ClientIpConfig, NotOurs, SessionAffinityConfig};
use crate::{Admission, Family, Interner, Service, ServiceKind, TrafficPolicy};

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

fn texts(values: &[&str]) -> Vec<String> {
    values.iter().map(|&value| value.to_owned()).collect()
}

#[track_caller]
fn parsed(edit: impl FnOnce(&mut api::Service)) -> (Service, Outcome) {
    let (value, outcome) = outcome(service(edit));
    (value.expect("the Service is served"), outcome)
}

#[track_caller]
fn not_served(edit: impl FnOnce(&mut api::Service)) -> Outcome {
    let (value, outcome) = outcome(service(edit));
    assert_eq!(value, None);
    outcome
}

#[test]
fn some_services_are_not_for_a_proxy() {
    not_served(|service| service.spec.cluster_ip = text("None")).silent();
    not_served(|service| {
        service.spec.cluster_ip = None;
        service.spec.cluster_ips = texts(&["None"]);
    })
    .silent();
    not_served(|service| service.spec.kind = text("ExternalName")).silent();
    not_served(|service| {
        let label = ("service.kubernetes.io/service-proxy-name".to_owned(), String::new());
        service.metadata.labels.extend([label]);
    })
    .silent();
    not_served(|service| service.spec.cluster_ip = None).warned("there is no cluster IP");
    not_served(|service| service.spec.cluster_ip = text("")).warned("there is no cluster IP");
}

#[test]
fn a_service_that_is_not_ours_is_told_with_the_reason() {
    #[track_caller]
    fn check(edit: fn(&mut api::Service), expected: Option<NotOurs>) {
        assert_eq!(service(edit).parse(&mut Interner::new()).not_ours, expected);
    }
    check(|_| {}, None);
    check(|service| service.spec.cluster_ip = text("None"), Some(NotOurs::Headless));
    check(|service| service.spec.kind = text("ExternalName"), Some(NotOurs::ExternalName));
    check(|service| service.spec.cluster_ip = None, Some(NotOurs::NoClusterIp));
    check(
        |service| {
            let label = "service.kubernetes.io/service-proxy-name".to_owned();
            service.metadata.labels.insert(label, "other".to_owned());
        },
        Some(NotOurs::OtherProxy("other".to_owned())),
    );
}

#[test]
fn the_headless_label_on_a_service_means_nothing() {
    let label = ("service.kubernetes.io/headless".to_owned(), String::new());
    parsed(|service| service.metadata.labels.extend([label])).1.silent();
}

#[test]
fn identity_has_the_defaults_of_the_api() {
    let (value, outcome) = parsed(|service| service.metadata.namespace = None);
    outcome.silent();
    assert_eq!(value.key.to_string(), "default/web");
    assert_eq!(parsed(|_| {}).0.key.to_string(), "prod/web");
    not_served(|service| service.metadata.name = None).rejected("metadata.name", "");
}

#[test]
fn age_is_kept_only_where_text_order_is_age() {
    let created = |value: &'static str| {
        move |service: &mut api::Service| {
            service.metadata.creation_timestamp = text(value);
        }
    };
    let (value, outcome) = parsed(created("2026-01-31T12:00:00Z"));
    outcome.silent();
    assert_eq!(value.created.as_deref(), Some("2026-01-31T12:00:00Z"));
    for value in ["2026-01-31T12:00:00+02:00", "2026-01-31", "2026-01-31T12:00:00.5Z"] {
        let (service, outcome) = parsed(created(value));
        outcome.rejected("metadata.creationTimestamp", value);
        assert_eq!(service.created, None);
    }
}

#[test]
fn a_type_is_read_with_its_default() {
    let kind = |value: &'static str| {
        move |service: &mut api::Service| {
            service.spec.kind = text(value);
        }
    };
    assert_eq!(parsed(|_| {}).0.kind, ServiceKind::ClusterIp);
    assert_eq!(parsed(kind("")).0.kind, ServiceKind::ClusterIp);
    assert_eq!(parsed(kind("ClusterIP")).0.kind, ServiceKind::ClusterIp);
    assert_eq!(parsed(kind("NodePort")).0.kind, ServiceKind::NodePort);
    assert_eq!(parsed(kind("LoadBalancer")).0.kind, ServiceKind::LoadBalancer);
    let (value, outcome) = parsed(kind("Nodeport"));
    outcome.rejected("spec.type", "Nodeport");
    assert_eq!(value.kind, ServiceKind::ClusterIp);
}

#[test]
fn a_node_port_of_a_cluster_ip_service_is_served_with_a_warning() {
    let (value, outcome) = parsed(|service| service.spec.ports[0].node_port = Some(30_080));
    outcome.warned("spec.type is ClusterIP");
    assert_eq!(value.ports[0].node_port, NonZeroU16::new(30_080));
}

#[test]
fn a_service_without_ports_is_a_warning() {
    parsed(|service| service.spec.ports.clear()).1.warned("spec.ports is empty");
}

/// Type, external IPs, external policy; then the policy in effect.
#[track_caller]
fn external(kind: &str, external_ips: &[&str], policy: &str, expected: TrafficPolicy) -> Outcome {
    let (value, outcome) = parsed(|service| {
        service.spec.kind = text(kind);
        service.spec.external_ips = texts(external_ips);
        service.spec.external_traffic_policy = text(policy);
        service.spec.health_check_node_port = (kind == "LoadBalancer").then_some(32_000);
    });
    assert_eq!(value.external_traffic_policy, expected);
    outcome
}

#[test]
fn an_external_policy_has_effect_where_outside_clients_can_come() {
    use TrafficPolicy::{Cluster, Local};
    external("NodePort", &[], "Local", Local).silent();
    external("LoadBalancer", &[], "Local", Local).silent();
    external("ClusterIP", &["203.0.113.5"], "Local", Local).silent();
    external("ClusterIP", &[], "Local", Cluster)
        .warned("spec.externalTrafficPolicy Local has no effect");
    external("ClusterIP", &[], "Cluster", Cluster).silent();
    external("NodePort", &[], "", Cluster).silent();
    external("NodePort", &[], "local", Cluster).rejected("spec.externalTrafficPolicy", "local");
}

#[test]
fn an_unknown_internal_policy_is_read_as_cluster() {
    let internal = |value: &'static str| {
        move |service: &mut api::Service| {
            service.spec.internal_traffic_policy = text(value);
        }
    };
    assert_eq!(parsed(|_| {}).0.internal_traffic_policy, TrafficPolicy::Cluster);
    assert_eq!(parsed(internal("Local")).0.internal_traffic_policy, TrafficPolicy::Local);
    let (value, outcome) = parsed(internal("Node"));
    outcome.rejected("spec.internalTrafficPolicy", "Node");
    assert_eq!(value.internal_traffic_policy, TrafficPolicy::Cluster);
}

#[track_caller]
fn affinity(kind: &str, timeout: Option<i64>, expected: Option<u32>) -> Outcome {
    let (value, outcome) = parsed(|service| {
        service.spec.session_affinity = text(kind);
        service.spec.session_affinity_config = timeout.map(|seconds| SessionAffinityConfig {
            client_ip: Some(ClientIpConfig { timeout_seconds: Some(seconds) }),
        });
    });
    assert_eq!(value.session_affinity.map(|affinity| affinity.timeout_seconds.get()), expected);
    outcome
}

#[test]
fn affinity_has_a_timeout_in_range() {
    affinity("None", Some(60), None).silent();
    affinity("", None, None).silent();
    affinity("ClientIP", None, Some(10_800)).silent();
    affinity("ClientIP", Some(1), Some(1)).silent();
    affinity("ClientIP", Some(86_400), Some(86_400)).silent();
    let field = "spec.sessionAffinityConfig.clientIP.timeoutSeconds";
    affinity("ClientIP", Some(0), Some(10_800)).rejected(field, "0");
    affinity("ClientIP", Some(86_401), Some(10_800)).rejected(field, "86401");
    affinity("ClientIP", Some(-1), Some(10_800)).rejected(field, "-1");
    affinity("clientIP", Some(60), None).rejected("spec.sessionAffinity", "clientIP");
}

#[track_caller]
fn health(kind: &str, policy: &str, port: Option<i64>, expected: Option<u16>) -> Outcome {
    let (value, outcome) = parsed(|service| {
        service.spec.kind = text(kind);
        service.spec.external_traffic_policy = text(policy);
        service.spec.health_check_node_port = port;
    });
    assert_eq!(value.health_check_node_port.map(NonZeroU16::get), expected);
    outcome
}

#[test]
fn a_health_check_port_needs_a_load_balancer_and_a_local_policy() {
    health("LoadBalancer", "Local", Some(32_000), Some(32_000)).silent();
    health("LoadBalancer", "Local", None, None).warned("spec.healthCheckNodePort is missing");
    health("LoadBalancer", "Local", Some(0), None).warned("spec.healthCheckNodePort is missing");
    health("LoadBalancer", "Local", Some(70_000), None)
        .rejected("spec.healthCheckNodePort", "70000");
    health("LoadBalancer", "Cluster", Some(32_000), None).warned("32000 has no effect");
    health("NodePort", "Local", Some(32_000), None).warned("32000 has no effect");
    health("LoadBalancer", "Cluster", Some(0), None).silent();
}

/// The dual-stack Service of the worked examples 90 and 91.
fn dual_stack(service: &mut api::Service) {
    service.spec = api::ServiceSpec {
        kind: text("LoadBalancer"),
        cluster_ip: text("10.96.0.9"),
        cluster_ips: texts(&["10.96.0.9", "fd00:96::9"]),
        ip_families: texts(&["IPv4", "IPv6"]),
        external_ips: texts(&["203.0.113.5", "2001:db8::5"]),
        load_balancer_source_ranges: texts(&["10.0.0.0/8"]),
        ..std::mem::take(&mut service.spec)
    };
    service.spec.ports[0].node_port = Some(30_080);
    service.status.load_balancer.ingress =
        vec![ingress("198.51.100.7", ""), ingress("2001:db8::7", "Proxy")];
}

#[test]
fn a_dual_stack_service_has_frontends_of_both_families() {
    let (value, outcome) = parsed(dual_stack);
    outcome.silent();
    assert_eq!(value.cluster_ips.of(Family::Ipv6), Some("fd00:96::9".parse().unwrap()));
    assert_eq!(shown(&value.external_ips), "203.0.113.5 2001:db8::5");
    assert_eq!(shown(&value.load_balancer_ips), "198.51.100.7");
    assert!(matches!(&value.source_ranges.ipv4, Admission::Only(ranges) if ranges.len() == 1));
    assert_eq!(value.source_ranges.ipv6, Admission::Anyone);
}

#[test]
fn a_single_stack_service_has_no_frontend_of_the_other_family() {
    let (value, outcome) = parsed(|service| {
        dual_stack(service);
        service.spec.ip_families = texts(&["IPv4"]);
        service.spec.cluster_ips = texts(&["10.96.0.9"]);
    });
    outcome.warned("spec.externalIPs[1] 2001:db8::5 is not served");
    assert_eq!(value.cluster_ips.of(Family::Ipv6), None);
    assert_eq!(shown(&value.external_ips), "203.0.113.5");
}
