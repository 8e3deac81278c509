use super::*;
use crate::Family;
use crate::FrontendKind::{ClusterIp, ExternalIp, LoadBalancer, NodePort};
use crate::test_support::{desired, key, number, resolution, server, show, show_delta};

const AT: &str = "203.0.113.5:80";

/// What `service` claims at [`AT`], as its only frontend.
fn claim(service: &str, kind: FrontendKind, created: Option<&str>) -> (ServiceKey, Resolution) {
    let mut resolution = resolution([server(service, kind, AT, "A")]);
    resolution.created = created.map(Name::from);
    (key(service), resolution)
}

/// Whichever of the two claims comes first, `owner` is served, and the conflict names the other.
#[track_caller]
fn check_owner(one: &(ServiceKey, Resolution), two: &(ServiceKey, Resolution), owner: &str) {
    for claims in [[one, two], [two, one]] {
        let mut state = DesiredState::new();
        for (service, resolution) in claims {
            let _ = state.replace(service, resolution.clone());
        }
        let served: Vec<_> = state.iter().map(|one| one.origin.service.clone()).collect();
        assert_eq!(served, [key(owner)]);
        let conflicts: Vec<_> = state.conflicts().collect();
        let loser = if one.0 == key(owner) { two } else { one };
        let (owner, loser, kind) = (key(owner), loser.0.clone(), loser.1.servers[0].kind);
        let expected = Conflict { key: loser_key(), kind, owner, loser };
        assert_eq!(conflicts, [expected]);
    }
}

fn loser_key() -> VirtualServerKey {
    server("any", ClusterIp, AT, "").key
}

#[test]
fn the_kind_of_frontend_settles_a_conflict_first() {
    let kinds = [ClusterIp, LoadBalancer, ExternalIp, NodePort];
    for (index, winner) in kinds.iter().enumerate() {
        for loser in &kinds[index + 1..] {
            let young = claim("z", *winner, Some("2026-01-01T00:00:00Z"));
            let old = claim("a", *loser, Some("2020-01-01T00:00:00Z"));
            check_owner(&young, &old, "z");
        }
    }
}

#[test]
fn then_age_settles_it_then_the_name() {
    let old = claim("z", ExternalIp, Some("2020-01-01T00:00:00Z"));
    let young = claim("a", ExternalIp, Some("2026-01-01T00:00:00Z"));
    let ageless = claim("a", ExternalIp, None);
    check_owner(&old, &young, "z");
    check_owner(&old, &ageless, "z");
    check_owner(&ageless, &claim("b", ExternalIp, None), "a");
    let other_namespace = claim("aaa/z", ExternalIp, Some("2020-01-01T00:00:00Z"));
    check_owner(&old, &other_namespace, "aaa/z");
}

/// Two Services claim one address: `web` owns it, `rival` does not.
fn contested() -> DesiredState {
    desired([server("web", ClusterIp, AT, "A"), server("rival", ExternalIp, AT, "B")])
}

#[test]
fn a_loser_surfaces_when_the_owner_goes() {
    let mut state = contested();
    let delta = state.replace(&key("web"), Resolution::default());
    assert_eq!(show_delta(&delta), ["+ TCP 203.0.113.5:80 ExternalIP default/rival B"]);
    assert_eq!(state.conflicts().count(), 0);
    let delta = state.replace(&key("rival"), Resolution::default());
    assert_eq!(show_delta(&delta), ["- TCP 203.0.113.5:80"]);
    assert!(state.is_empty());
}

#[test]
fn a_loser_goes_and_comes_without_a_change() {
    let mut state = contested();
    let delta = state.replace(&key("rival"), Resolution::default());
    assert!(delta.is_empty(), "{delta:?}");
    assert_eq!((state.conflicts().count(), state.contested()), (0, 0));
    assert!(state.losers.is_empty(), "nothing of a conflict is kept");
    let delta = state.replace(&key("rival"), resolution([server("rival", NodePort, AT, "C")]));
    assert!(delta.is_empty(), "{delta:?}");
    assert_eq!((state.conflicts().count(), state.contested()), (1, 1));
}

#[test]
fn an_owner_that_sinks_gives_way() {
    let mut state = contested();
    let delta = state.replace(&key("web"), resolution([server("web", NodePort, AT, "A")]));
    assert_eq!(show_delta(&delta), ["+ TCP 203.0.113.5:80 ExternalIP default/rival B"]);
    let conflict = state.conflicts().next().expect("both still claim it");
    assert_eq!(
        conflict.to_string(),
        "NodePort of TCP 203.0.113.5:80 belongs to default/rival, not to default/web"
    );
}

#[test]
fn of_three_the_second_follows_the_first() {
    let mut state = contested();
    let _ = state.replace(&key("third"), resolution([server("third", LoadBalancer, AT, "C")]));
    let losers: Vec<_> = state.conflicts().map(|conflict| conflict.loser).collect();
    assert_eq!(losers, [key("third"), key("rival")]);
    let _ = state.replace(&key("web"), Resolution::default());
    assert_eq!(show(&state), ["TCP 203.0.113.5:80 LoadBalancer default/third C"]);
    assert_eq!(state.conflicts().count(), 1);
}

#[test]
fn replacing_names_only_what_changes() {
    let three = |middle| {
        resolution([
            server("web", ClusterIp, "10.96.0.1:80", "A"),
            server("web", ClusterIp, "10.96.0.1:81", middle),
            server("web", ClusterIp, "10.96.0.1:82", "A"),
        ])
    };
    let mut state = DesiredState::new();
    let delta = state.replace(&key("web"), three("A"));
    assert_eq!(delta.len(), 3);
    assert!(state.replace(&key("web"), three("A")).is_empty());
    let delta = state.replace(&key("web"), three("A,B"));
    assert_eq!(show_delta(&delta), ["+ TCP 10.96.0.1:81 ClusterIP default/web A,B"]);
    let moved = resolution([server("web", ClusterIp, "10.96.0.2:80", "A")]);
    let delta = state.replace(&key("web"), moved);
    let expected = [
        "+ TCP 10.96.0.2:80 ClusterIP default/web A",
        "- TCP 10.96.0.1:80",
        "- TCP 10.96.0.1:81",
        "- TCP 10.96.0.1:82",
    ];
    assert_eq!(show_delta(&delta), expected);
}

#[test]
fn health_checks_have_another_revision_whenever_they_are_others() {
    let counted = |name: &str, local_endpoints| Resolution {
        health_checks: vec![HealthCheck {
            service: key(name),
            family: Family::Ipv4,
            port: number(32000),
            local_endpoints,
        }],
        ..Resolution::default()
    };
    let mut state = DesiredState::new();
    let mut revision = state.health_checks_revision();
    let mut replace = |name: &str, resolution, expected: &[(&str, usize)]| {
        let _ = state.replace(&key(name), resolution);
        let checks = state.health_checks().into_iter();
        let checks: Vec<_> = checks.map(|it| (&*it.service.name, it.local_endpoints)).collect();
        assert_eq!(checks, expected);
        let before = std::mem::replace(&mut revision, state.health_checks_revision());
        before != revision
    };
    assert!(replace("web", counted("web", 1), &[("web", 1)]));
    assert!(!replace("web", counted("web", 1), &[("web", 1)]));
    assert!(replace("api", counted("api", 0), &[("api", 0), ("web", 1)]));
    let other = resolution([server("other", ClusterIp, "10.96.0.1:80", "A")]);
    assert!(!replace("other", other, &[("api", 0), ("web", 1)]));
    assert!(replace("web", counted("web", 2), &[("api", 0), ("web", 2)]));
    assert!(replace("api", Resolution::default(), &[("web", 2)]));
    assert!(!replace("api", Resolution::default(), &[("web", 2)]));
}

#[test]
fn a_service_without_servers_leaves_nothing_behind() {
    let mut state = contested();
    for service in ["web", "rival", "never-there"] {
        let _ = state.replace(&key(service), Resolution::default());
    }
    assert!(state.services.is_empty() && state.owners.is_empty() && state.losers.is_empty());
}

#[test]
fn a_delta_for_keys_says_what_each_should_be() {
    let state = contested();
    let gone = server("gone", ClusterIp, "10.96.0.7:80", "").key;
    let delta = state.delta_for([gone, loser_key(), gone]);
    let expected = ["+ TCP 203.0.113.5:80 ClusterIP default/web A", "- TCP 10.96.0.7:80"];
    assert_eq!(show_delta(&delta), expected);
}
