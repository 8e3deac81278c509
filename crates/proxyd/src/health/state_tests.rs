use std::net::IpAddr;

use hyper::StatusCode;
use proxy_core::api::{self, Metadata, Taint};
use proxy_core::{Family::Ipv4, Family::Ipv6, HealthCheck, Interner, ServiceKey};

use super::*;
use crate::health::answer::{at_path, count, node_port};
use crate::serve::Answer;

const PERIOD: Duration = Duration::from_secs(30);

/// A proxy, and the time since its story began.
struct Story {
    health: ProxyHealth,
    begin: Instant,
    seconds: u64,
}

impl Story {
    /// The process is up; its Node was seen and stays.
    fn begin() -> Self {
        let mut story = Self::without_node();
        story.health.node_seen(Tenure::Staying);
        story
    }

    fn without_node() -> Self {
        Self { health: ProxyHealth::new(PERIOD), begin: Instant::now(), seconds: 0 }
    }

    /// Programming of both families has begun.
    fn started() -> Self {
        let mut story = Self::begin();
        story.updated(Ipv4).updated(Ipv6);
        story
    }

    fn now(&self) -> Now {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_323_000 + self.seconds);
        Now { steady: self.begin + Duration::from_secs(self.seconds), wall }
    }

    fn at(&mut self, seconds: u64) -> &mut Self {
        self.seconds = seconds;
        self
    }

    fn updated(&mut self, family: Family) -> &mut Self {
        self.health.updated(family, self.now());
        self
    }

    fn queued(&mut self, family: Family) -> &mut Self {
        self.health.queued(family, self.now());
        self
    }

    fn answer(&self, path: &str) -> Answer {
        at_path(path, &self.health.verdict(self.now())).expect("the path is answered")
    }

    /// Statuses of `/healthz` and `/livez`, and the families that are late.
    #[track_caller]
    fn check(&self, healthz: u16, livez: u16, late: &[Family]) {
        let status = |path| self.answer(path).status.as_u16();
        let verdict = self.health.verdict(self.now());
        let is_late = |it: &&FamilyVerdict| it.condition == Condition::Unhealthy;
        let found: Vec<_> = verdict.families.iter().filter(is_late).map(|it| it.family).collect();
        assert_eq!((status("/healthz"), status("/livez"), &*found), (healthz, livez, late));
    }
}

#[test]
fn before_programming_begins_it_is_healthy_and_no_family_is_shown() {
    let story = Story::begin();
    story.check(200, 200, &[]);
    let time = "2026-01-02T03:03:20Z";
    assert_eq!(
        story.answer("/healthz").words(),
        format!(
            r#"{{"lastUpdated":"{time}","currentTime":"{time}","nodeEligible":true,"healthy":true}}"#
        )
    );
}

#[test]
fn bodies_have_their_keys_in_order() {
    let mut story = Story::started();
    story.at(7);
    let status = r#""status":{"IPv4":{"lastUpdated":"2026-01-02T03:03:20Z","healthy":true},"IPv6":{"lastUpdated":"2026-01-02T03:03:20Z","healthy":true}}"#;
    let times = r#""lastUpdated":"2026-01-02T03:03:27Z","currentTime":"2026-01-02T03:03:27Z""#;
    assert_eq!(
        story.answer("/healthz").words(),
        format!(r#"{{{times},"nodeEligible":true,"healthy":true,{status}}}"#)
    );
    assert_eq!(story.answer("/livez").words(), format!(r#"{{{times},"healthy":true,{status}}}"#));
    assert_eq!(story.answer("/livez").weight, None);
}

#[test]
fn other_paths_are_not_answered() {
    let verdict = Story::started().health.verdict(Now::read());
    for path in ["/", "/healthz/", "/livez/x", "/Healthz", ""] {
        assert_eq!(at_path(path, &verdict), None);
    }
}

#[test]
fn a_family_is_late_when_something_waited_for_two_periods() {
    let mut story = Story::started();
    story.check(200, 200, &[]);
    story.at(10).queued(Ipv4);
    story.at(69).check(200, 200, &[]);
    story.at(70).check(503, 503, &[Ipv4]);
    // What comes later has not waited so long, but the first has.
    let mut story = Story::started();
    story.at(10).queued(Ipv4).at(40).queued(Ipv4);
    story.at(69).check(200, 200, &[]);
    story.at(70).check(503, 503, &[Ipv4]);
    story.updated(Ipv4).check(200, 200, &[]);
    story.at(5000).check(200, 200, &[]);
}

#[test]
fn one_family_may_be_late_while_the_other_is_not() {
    let mut story = Story::started();
    story.at(10).queued(Ipv4).queued(Ipv6).at(20).updated(Ipv4);
    story.at(70).check(503, 503, &[Ipv6]);
}

#[test]
fn what_waits_before_programming_begins_does_not_count() {
    let mut story = Story::begin();
    story.queued(Ipv4).at(100).check(200, 200, &[]);
    story.updated(Ipv4).at(200).check(200, 200, &[]);
}

#[test]
fn without_changes_it_is_healthy_and_up_to_date() {
    let mut story = Story::started();
    story.at(3600).check(200, 200, &[]);
    assert!(
        story.answer("/healthz").words().starts_with(r#"{"lastUpdated":"2026-01-02T04:03:20Z""#)
    );
}

#[test]
fn one_that_is_late_says_when_it_was_last_up_to_date() {
    let mut story = Story::started();
    story.at(10).updated(Ipv4).queued(Ipv4).at(70).check(503, 503, &[Ipv4]);
    let start = r#"{"lastUpdated":"2026-01-02T03:03:30Z","currentTime":"2026-01-02T03:04:30Z","#;
    assert!(story.answer("/livez").words().starts_with(start));
}

/// The node as it is read.
fn node(edit: impl FnOnce(&mut api::Node)) -> Tenure {
    let metadata = Metadata { name: Some("n1".to_owned()), ..Metadata::default() };
    let mut node = api::Node { metadata, ..api::Node::default() };
    edit(&mut node);
    node.parse(&mut Interner::new()).value.expect("it is a node").tenure
}

#[test]
fn a_node_that_leaves_or_is_not_known_gets_no_traffic_and_is_not_restarted() {
    let taint = |key: &str| vec![Taint { key: Some(key.to_owned()) }];
    let mut story = Story::started();
    story.health.node_seen(node(|node| node.spec.taints = taint("ToBeDeletedByClusterAutoscaler")));
    story.check(503, 200, &[]);
    let body = story.answer("/healthz").words();
    assert!(body.contains(r#""nodeEligible":false,"healthy":true"#), "{body}");
    story.health.node_seen(node(|node| node.spec.taints = taint("other")));
    story.check(200, 200, &[]);
    story.health.node_seen(node(|node| node.metadata.deletion_timestamp = Some(String::new())));
    story.check(503, 200, &[]);
    let unknown = Story::without_node();
    unknown.check(503, 200, &[]);
    let body = unknown.answer("/healthz").words();
    assert!(body.starts_with(r#"{"lastUpdated":"0001-01-01T00:00:00Z","#), "{body}");
}

#[test]
fn a_node_port_answers_whether_there_are_endpoints_and_the_proxy_keeps_up() {
    let service = ServiceKey { namespace: "default".into(), name: "web".into() };
    let mut story = Story::started();
    // Of a node that leaves, the Services are still served.
    story.health.node_seen(Tenure::Leaving);
    let answer =
        |story: &Story, count| node_port(&service, count, &story.health.verdict(story.now()));
    let body = |count: usize, healthy: bool| {
        format!(
            r#"{{"service":{{"namespace":"default","name":"web"}},"localEndpoints":{count},"serviceProxyHealthy":{healthy}}}"#
        )
    };
    for (endpoints, status) in [(2, 200), (1, 200), (0, 503)] {
        let answer = answer(&story, endpoints);
        let expected = StatusCode::from_u16(status).unwrap();
        assert_eq!((answer.status, answer.weight), (expected, Some(endpoints)));
        assert_eq!(answer.words(), body(endpoints, true));
    }
    story.queued(Ipv4).at(60);
    let late = answer(&story, 1);
    assert_eq!((late.status.as_u16(), late.weight), (503, Some(1)));
    assert_eq!(late.words(), body(1, false));
}

#[test]
fn counts_are_found_by_service_and_family() {
    let check = |name: &str, address: &str, local_endpoints| HealthCheck {
        service: ServiceKey { namespace: "default".into(), name: name.into() },
        family: Family::of(address.parse::<IpAddr>().unwrap()),
        port: std::num::NonZeroU16::MIN,
        local_endpoints,
    };
    let checks = [check("a", "0.0.0.0", 1), check("b", "0.0.0.0", 2), check("b", "::", 3)];
    assert_eq!(checks.each_ref().map(|it| count(&checks, it)), [1, 2, 3]);
    assert_eq!(count(&checks, &check("a", "::", 9)), 0);
    assert_eq!(count(&checks, &check("c", "::", 9)), 0);
}
