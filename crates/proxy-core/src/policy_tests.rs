use super::*;
use crate::Family;
use crate::resolve::has_external_frontend;
use crate::test_support::{endpoints, number, service};

/// A row of a table: a Service and its endpoints in the notation of `test_support`, the two lists
/// as letters (`-` where a list is not used), and whether any endpoint is usable. On n1 in za.
#[track_caller]
fn check(service: &str, endpoints: &str, cluster: &str, local: &str, any: bool) {
    check_on("n1/za", service, endpoints, cluster, local, any);
}

#[track_caller]
fn check_on(node: &str, service: &str, text: &str, cluster: &str, local: &str, any: bool) {
    let service = self::service(service);
    let endpoints = endpoints(text, Family::Ipv4);
    let candidates: Vec<_> =
        endpoints.iter().map(|endpoint| Candidate { endpoint, port: number(8080) }).collect();
    let external = has_external_frontend(&service, &service.ports[0], Family::Ipv4);
    let demand = Demand::of(&service, external);
    let (name, zone) = node.split_once('/').unwrap_or((node, ""));
    let zone = Some(zone).filter(|zone| !zone.is_empty());
    let selection = select(&candidates, demand, ThisNode { name, zone });
    let found = (
        letters(&selection.cluster, demand.cluster),
        letters(&selection.local, demand.local),
        selection.any_usable,
    );
    assert_eq!(found, (cluster.to_owned(), local.to_owned(), any), "cluster, local, any: {text}");
}

fn letters(list: &[Candidate<'_>], is_used: bool) -> String {
    if !is_used {
        assert!(list.is_empty(), "a list that is not used is empty");
        return "-".to_owned();
    }
    let letter = |candidate: &Candidate<'_>| {
        crate::test_support::letter(candidate.endpoint.address).expect("tests use letters")
    };
    let letters: Vec<_> = list.iter().map(|one| letter(one).to_string()).collect();
    letters.join(",")
}

/// Conditions alone. The numbers are those of the worked examples.
#[test]
fn ready_endpoints_are_used_and_terminating_ones_while_none_is_ready() {
    check("int", "", "", "-", false); // 1
    check("int", "A@n1 R, B@n2 R", "A,B", "-", true); // 2
    check("int", "A@n1 U, B@n2 U", "", "-", false); // 3
    check("int", "A@n1 U, B@n2 R", "B", "-", true); // 4
    check("int", "A@n1 T+, B@n2 T+", "A,B", "-", true); // 5
    check("int", "A@n1 T+, B@n2 R", "B", "-", true); // 6
    check("int", "A@n1 T-, B@n2 U", "", "-", false); // 7
    check("int", "A@n1 T-, B@n2 T+", "B", "-", true); // 8
}

#[test]
fn absent_conditions_have_the_values_of_the_api() {
    check("int", "A", "A", "-", true); // 9
    check("int", "A serving=false terminating=true", "A", "-", true); // 10
    check("int", "A ready=false terminating=true", "A", "-", true); // 11
    check("int", "A ready=false serving=true", "", "-", false); // 12
    // 13: publishNotReadyAddresses writes ready, whatever the pod does
    check("int", "A ready=true serving=false terminating=true, B R", "A,B", "-", true);
}

#[test]
fn an_internal_local_policy_uses_this_node_only() {
    check("int iTP=Local", "", "-", "", false); // 20
    check("int iTP=Local", "A@n2 R, B@n3 R", "-", "", true); // 21
    check("int iTP=Local", "A@n1 R, B@n1 R", "-", "A,B", true); // 22
    check("int iTP=Local", "A@n1 R, B@n2 R", "-", "A", true); // 23
    check("int iTP=Local", "A@n1 T+, B@n2 R", "-", "A", true); // 24
    check("int iTP=Local", "A@n1 U, B@n2 R", "-", "", true); // 25
}

#[test]
fn an_external_local_policy_needs_both_lists() {
    check("np iTP=Local", "A@n1 R, B@n2 R", "A,B", "A", true); // 26
    check("np eTP=Local", "A@n1 R, B@n2 R", "A,B", "A", true); // 27
    check("np iTP=Local eTP=Local", "A@n1 R, B@n2 R", "A,B", "A", true); // 28
    check("np iTP=Local eTP=Local", "A@n2 R, B@n3 R", "A,B", "", true); // 29
    check("np iTP=Local eTP=Local", "A@n2 T+, B@n3 T+", "A,B", "", true); // 30
    check("np eTP=Local", "A@n2 R, B@n1 U, C@n1 T+, D@n2 T+", "A", "C", true); // 31
    check("np eTP=Local", "A R", "A", "", true); // 35: no node name is never local
    check("lb p eTP=Local", "A@n1 R, B@n2 R", "A,B", "A", true); // 36: ingress is ipMode Proxy
}

#[test]
fn an_external_local_policy_without_an_external_frontend_has_no_effect() {
    check("int eTP=Local", "A@n2 R, B@n1 R", "A,B", "-", true); // 32
    check("lb eTP=Local", "A@n2 R, B@n1 R", "A,B", "-", true); // 33: no ingress yet
    check("int x eTP=Local", "A@n2 R, B@n1 R", "A,B", "B", true); // 34
    check("int x=2001:db8::5 eTP=Local", "A@n2 R, B@n1 R", "A,B", "-", true); // the other family
}

#[test]
fn only_services_reachable_from_outside_have_an_external_policy() {
    assert!(!is_externally_accessible(ServiceKind::ClusterIp, 0));
    assert!(is_externally_accessible(ServiceKind::ClusterIp, 1));
    assert!(is_externally_accessible(ServiceKind::NodePort, 0));
    assert!(is_externally_accessible(ServiceKind::LoadBalancer, 0));
}

#[test]
fn zone_hints_narrow_the_cluster_list() {
    let four = "A R z:za, B R z:zb, C R z:zc, D R z:za";
    check("int", four, "A,D", "-", true); // 40
    let some_unready = "A R z:za, B R z:zb, C R z:zc, D U z:za";
    check("int", some_unready, "A", "-", true); // 44
    let several = "A R z:za,zb,zc, B R z:zb,zc, C R z:zb,zd, D R z:zc";
    check_on("n1/zc", "int", several, "A,B,D", "-", true); // 47
    check("int", "A R z:za, B U, C R z:zb", "A", "-", true); // 54: an unready one needs no hint
}

#[test]
fn zone_hints_are_ignored_unless_they_serve_this_node() {
    check_on("n1", "int", "A R z:za", "A", "-", true); // 41: no zone label
    check_on("n1/", "int", "A R z:za", "A", "-", true); // 42: an empty one is none
    check_on("n1/zb", "int", "A R z:za", "A", "-", true); // 43
    check("int", "A U z:za, B R z:zb, C R z:zc, D U z:za", "B,C", "-", true); // 45
    check("int", "A R z:za, B R z:zb, C R, D R z:za", "A,B,C,D", "-", true); // 46
    check("int", "A R z:", "A", "-", true); // 60: a list that is present but empty
    check("int", "A@n2 R, B@n1 R", "A,B", "-", true); // 61: no hints, whatever the Service says
}

#[test]
fn node_hints_go_before_zone_hints() {
    let four = "A R z:za n:n1, B R z:zb n:n2, C R z:zc n:n3, D R z:za n:n4";
    check("int", four, "A", "-", true); // 48
    check_on("n0/za", "int", four, "A,D", "-", true); // 49
    check_on("n0/zx", "int", four, "A,B,C,D", "-", true); // 52
    check("int", "A R z:za n:n1, B R, C R z:zc n:n3", "A,B,C", "-", true); // 50
    check("int", "A R z:za n:n1, B R z:za, C R z:zb n:n3", "A,B", "-", true); // 51
    check("int", "A U n:n1 z:za, B R n:n2 z:za, C R n:n3 z:zb", "B", "-", true); // 53
}

#[test]
fn terminating_endpoints_are_taken_without_regard_to_hints() {
    check("int", "A T+ z:za, B T+ z:zb", "A,B", "-", true); // 55
    check("int", "A T+ z:za, B R z:zb", "B", "-", true); // 56
}

#[test]
fn hints_never_narrow_the_local_list() {
    let spread = "A@n1 R z:za, B@n1 R z:zb, C@n2 R z:zc, D@n3 R z:za";
    check("np eTP=Local", spread, "A,D", "A,B", true); // 57
    check("np iTP=Local", spread, "A,D", "A,B", true); // 58
    let two_nodes = "A@n1 R z:za, B@n1 R z:zb, C@n2 R z:za, D@n2 R z:zb";
    check("np eTP=Local", two_nodes, "A,C", "A,B", true); // 59
}
