use super::*;
use crate::test_support::{letter, model, service_event, slice_event};
use crate::{Event, Model};

/// What is said of `default/web`, in a line for each list:
/// `PORT FAMILY LIST: A, B not ready; answer`.
fn lines(model: &Model) -> Vec<String> {
    let account = model.why(&crate::test_support::key("web")).expect("it is known");
    let mut lines = Vec::new();
    for PortAccount { port, family, lists, .. } in &account.ports {
        for ListAccount { list, when_empty, endpoints } in lists {
            let told: Vec<_> = endpoints
                .iter()
                .map(|(endpoint, reason)| {
                    let letter = letter(endpoint.address).expect("tests use letters");
                    match reason {
                        None => letter.to_string(),
                        Some(Reason::Excluded(exclusion)) => format!("{letter} {exclusion:?}"),
                        Some(Reason::GivenTwice(slice)) => format!("{letter} in {}", slice.name),
                        Some(Reason::NoSuchPort(ports)) => format!("{letter} has {ports:?}"),
                    }
                })
                .collect();
            let answer = when_empty.map(|it| format!("; {it:?}")).unwrap_or_default();
            let name = port.name.as_str();
            lines.push(format!("{name} {family} {list:?}: {}{answer}", told.join(", ")));
        }
    }
    lines
}

#[track_caller]
fn check(service: &str, slices: &[(&str, &str)], expected: &[&str]) {
    let events = slices.iter().map(|(header, text)| slice_event(header, text));
    let events: Vec<Event> = events.chain([service_event(service)]).collect();
    assert_eq!(lines(&model(events)), expected);
}

/// A Service with one slice. The node is n1 in zone za.
#[track_caller]
fn check_one(service: &str, endpoints: &str, expected: &[&str]) {
    check(service, &[("web-1", endpoints)], expected);
}

#[test]
fn conditions_are_reasons() {
    check_one(
        "int",
        "A R, B U, C T+, D T-",
        &[" IPv4 Cluster: A, B NotReady, C OthersReady, D Terminating"],
    );
    check_one("int", "A T+, B U", &[" IPv4 Cluster: A, B NotReady"]);
    check_one("int", "A U", &[" IPv4 Cluster: A NotReady; Reject"]);
    check_one("int", "", &[" IPv4 Cluster: ; Reject"]);
}

#[test]
fn a_local_policy_is_a_reason_and_its_answer_is_told() {
    check_one(
        "np eTP=Local",
        "A@n1 R, B@n2 R, C R",
        &[" IPv4 Cluster: A, B, C", " IPv4 Local: A, B OtherNode, C OtherNode"],
    );
    check_one("np eTP=Local", "B@n2 R", &[" IPv4 Cluster: B", " IPv4 Local: B OtherNode; Drop"]);
    check_one("int iTP=Local", "A@n1 T+, B@n2 R", &[" IPv4 Local: A, B OtherNode"]);
    check_one("int iTP=Local", "A@n1 U, B@n2 U", &[" IPv4 Local: A NotReady, B OtherNode; Reject"]);
}

#[test]
fn hints_are_reasons_where_they_count() {
    check_one("int", "A R z:za, B R z:zb", &[" IPv4 Cluster: A, B HintedForOtherZones"]);
    check_one("int", "A R z:za, B R", &[" IPv4 Cluster: A, B"]);
    check_one(
        "int",
        "A R n:n1, B R n:n2, C U n:n1",
        &[" IPv4 Cluster: A, B HintedForOtherNodes, C NotReady"],
    );
}

#[test]
fn a_port_that_no_slice_has_is_told_with_those_that_it_has() {
    let slices = [("web-1 port=http:TCP:8080 port=dns:UDP:53", "A R, B U")];
    check(
        "int port=web:TCP:80 port=dns:UDP:53",
        &slices,
        &[
            "web IPv4 Cluster: A has [\"\\\"http\\\" TCP\", \"\\\"dns\\\" UDP\"], \
         B has [\"\\\"http\\\" TCP\", \"\\\"dns\\\" UDP\"]; Reject",
            "dns IPv4 Cluster: A, B NotReady",
        ],
    );
}

#[test]
fn an_endpoint_that_is_given_twice_counts_once() {
    let slices = [("web-1", "A U, B R"), ("web-2", "A R")];
    check("int", &slices, &[" IPv4 Cluster: A in web-2, B, A"]);
}

#[test]
fn endpoints_of_a_family_without_cluster_ip_are_told_apart() {
    let events =
        [service_event("int"), slice_event("web-6 v6", "A R"), slice_event("web-4", "B R")];
    let model = model(events);
    assert_eq!(lines(&model), [" IPv4 Cluster: B"]);
    let account = model.why(&crate::test_support::key("web")).expect("it is known");
    assert_eq!(account.slices, 2);
    let [other] = &account.of_other_families[..] else { panic!("{account:?}") };
    assert_eq!(other.slice.name.as_str(), "web-6");
}

#[test]
fn frontends_are_told_with_their_lists() {
    let model = model([service_event("np x iTP=Local eTP=Local"), slice_event("web-1", "A R")]);
    let account = model.why(&crate::test_support::key("web")).expect("it is known");
    let told: Vec<_> = account.ports[0]
        .frontends
        .iter()
        .map(|it| format!("{} {:?} {:?}", it.kind, it.outside, it.inside))
        .collect();
    assert_eq!(
        told,
        ["ClusterIP Local Local", "ExternalIP Local Cluster", "NodePort Local Cluster"]
    );
    assert_eq!(model.why(&crate::test_support::key("other")), None);
}

#[test]
fn reasons_are_sentences() {
    let reason = Reason::NoSuchPort(vec!["\"http\" TCP".into()]);
    assert_eq!(
        reason.to_string(),
        "its slice has no port of this name and protocol, but \"http\" TCP"
    );
    assert_eq!(Reason::NoSuchPort(vec![]).to_string(), "its slice has no ports");
    assert_eq!(
        Reason::Excluded(Exclusion::OthersReady).to_string(),
        "it terminates, and others are ready"
    );
}
