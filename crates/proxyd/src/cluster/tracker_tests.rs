use proxy_core::api;

use super::*;
use crate::config::ExternalIps;
use crate::source::Object;

fn service(name: &str, cluster_ip: &str) -> Object {
    Object::Service(Box::new(api::Service {
        metadata: api::Metadata { name: Some(name.into()), ..Default::default() },
        spec: api::ServiceSpec {
            cluster_ip: Some(cluster_ip.into()),
            ports: vec![api::ServicePort { port: Some(80), ..Default::default() }],
            ..Default::default()
        },
        ..Default::default()
    }))
}

fn node() -> Object {
    let metadata = api::Metadata { name: Some("n1".into()), ..Default::default() };
    Object::Node(api::Node { metadata, ..Default::default() })
}

struct Teller {
    tracker: Tracker,
}

impl Teller {
    fn new() -> Self {
        Self { tracker: Tracker::new(Parser::new(ExternalIps::Serve)) }
    }

    /// What follows from something heard: events and problems, in short.
    fn hear(&mut self, kind: Kind, heard: Heard) -> Vec<String> {
        let mut changes = Changes::default();
        self.tracker.take(kind, heard, &mut changes);
        let events = changes.events.iter().map(|event| match event {
            proxy_core::Event::Service(service) => format!("+{}", service.key),
            proxy_core::Event::ServiceRemoved(key) => format!("-{key}"),
            proxy_core::Event::Node(node) => format!("+{}", node.name),
            other => format!("{other:?}"),
        });
        let problems = changes.problems.iter().map(|it| format!("! {}", it.place()));
        let solved = changes.solved.iter().map(|it| format!("solved {}", it.place()));
        events.chain(problems).chain(solved).collect()
    }

    #[track_caller]
    fn check(&mut self, heard: Heard, expected: &[&str]) {
        assert_eq!(self.hear(Kind::Services, heard), expected);
    }
}

#[test]
fn all_is_complete_once_every_kind_was_listed() {
    let mut teller = Teller::new();
    for kind in [Kind::Services, Kind::EndpointSlices, Kind::Nodes] {
        assert!(!teller.tracker.is_complete());
        let _ = teller.hear(kind, Heard::ListBegins);
        assert!(!teller.tracker.is_complete());
        let _ = teller.hear(kind, Heard::ListEnds);
    }
    assert!(teller.tracker.is_complete());
    let _ = teller.hear(Kind::Services, Heard::ListBegins);
    assert!(teller.tracker.is_complete(), "a second list takes nothing back");
}

#[test]
fn what_a_second_list_leaves_out_is_gone() {
    let mut teller = Teller::new();
    teller.check(Heard::ListBegins, &[]);
    teller.check(Heard::Present(service("a", "10.96.0.1")), &["+default/a"]);
    teller.check(Heard::Present(service("b", "10.96.0.2")), &["+default/b"]);
    teller.check(Heard::ListEnds, &[]);
    assert_eq!(teller.hear(Kind::Nodes, Heard::Present(node())), ["+n1"]);

    teller.check(Heard::ListBegins, &[]);
    teller.check(Heard::Present(service("b", "10.96.0.2")), &[]);
    teller.check(Heard::Present(service("c", "10.96.0.3")), &["+default/c"]);
    teller.check(Heard::ListEnds, &["-default/a"]);
}

#[test]
fn a_list_that_broke_off_takes_nothing_away() {
    let mut teller = Teller::new();
    teller.check(Heard::ListBegins, &[]);
    teller.check(Heard::Present(service("a", "10.96.0.1")), &["+default/a"]);
    teller.check(Heard::ListEnds, &[]);
    teller.check(Heard::ListBegins, &[]);
    teller.check(Heard::Condition(crate::cluster::watch::Condition::Failing("eof".into())), &[]);
    teller.check(Heard::ListBegins, &[]);
    teller.check(Heard::Present(service("a", "10.96.0.1")), &[]);
    teller.check(Heard::ListEnds, &[]);
}

#[test]
fn an_object_that_cannot_be_used_keeps_its_last_good_value() {
    let mut teller = Teller::new();
    teller.check(Heard::Present(service("a", "10.96.0.1")), &["+default/a"]);
    let place = "Service default/a: spec.clusterIP";
    teller.check(Heard::Present(service("a", "10.96.0.x")), &[&format!("! {place}")]);
    teller.check(Heard::Present(service("a", "10.96.0.x")), &[]);
    teller.check(
        Heard::Present(service("a", "10.96.0.9")),
        &["+default/a", &format!("solved {place}")],
    );
    teller.check(Heard::Gone(service("a", "10.96.0.9")), &["-default/a"]);
    teller.check(Heard::Gone(service("a", "10.96.0.9")), &[]);
}
