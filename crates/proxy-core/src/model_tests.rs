use super::*;
use crate::test_support::{
    NODE, address, key, model, node, service, service_event, show_server, slice, slice_event,
};

/// What each Service of the model gets, one virtual server a line.
fn servers(model: &Model, service: &str) -> Vec<String> {
    model.resolve(&key(service)).servers.iter().map(|server| show_server(server)).collect()
}

fn node_event(text: &str) -> Event {
    Event::Node(Arc::new(node(text)))
}

/// The Services that an event dirties.
#[track_caller]
fn check_dirty(model: &mut Model, event: Event, expected: &[&str]) {
    let expected: Vec<_> = expected.iter().copied().map(key).collect();
    assert_eq!(model.apply(event), expected);
}

#[test]
fn slices_may_come_before_their_service() {
    let mut model = model([]);
    check_dirty(&mut model, slice_event("web-1", "A R"), &[]);
    check_dirty(&mut model, service_event("int"), &["web"]);
    assert_eq!(servers(&model, "web"), ["TCP 10.96.0.9:80 ClusterIP default/web A"]);
}

#[test]
fn slices_outlive_their_service() {
    let mut model = model([service_event("int"), slice_event("web-1", "A R")]);
    check_dirty(&mut model, Event::ServiceRemoved(key("web")), &["web"]);
    assert_eq!(servers(&model, "web"), [""; 0]);
    check_dirty(&mut model, Event::ServiceRemoved(key("web")), &[]);
    check_dirty(&mut model, service_event("int"), &["web"]);
    assert_eq!(servers(&model, "web"), ["TCP 10.96.0.9:80 ClusterIP default/web A"]);
}

#[test]
fn a_slice_that_moves_leaves_its_former_service() {
    let mut model = model([
        service_event("default/a int ip=10.96.0.1"),
        service_event("default/b int ip=10.96.0.2"),
        slice_event("s of=a", "A R"),
    ]);
    check_dirty(&mut model, slice_event("s of=b", "A R"), &["a", "b"]);
    assert_eq!(servers(&model, "a"), ["TCP 10.96.0.1:80 ClusterIP default/a reject"]);
    assert_eq!(servers(&model, "b"), ["TCP 10.96.0.2:80 ClusterIP default/b A"]);
    check_dirty(&mut model, slice_event("s of=nobody", "A R"), &["b"]);
    check_dirty(&mut model, Event::SliceRemoved(key("s")), &[]);
}

#[test]
fn delivering_the_same_again_changes_nothing() {
    let events = || {
        [
            service_event("np x"),
            slice_event("web-1", "A R"),
            node_event("n1 zone=za"),
            node_event("n2 ip=203.0.113.5"),
            Event::NodePortAddresses(vec![address("2001:db8:1::1"), address("192.0.2.1")]),
        ]
    };
    let mut model = model(events());
    for event in events() {
        check_dirty(&mut model, event, &[]);
    }
    check_dirty(&mut model, Event::SliceRemoved(key("never-there")), &[]);
    check_dirty(&mut model, Event::NodeRemoved("never-there".into()), &[]);
}

#[test]
fn only_a_change_of_zone_of_this_node_concerns_every_service() {
    let mut model = model([
        service_event("default/a int ip=10.96.0.1"),
        service_event("default/b int ip=10.96.0.2"),
        slice_event("s of=a", "A R z:za, B R z:zb"),
    ]);
    assert_eq!(servers(&model, "a"), ["TCP 10.96.0.1:80 ClusterIP default/a A"]);
    check_dirty(&mut model, node_event("n1 zone=za ip=192.0.2.9"), &[]);
    check_dirty(&mut model, node_event("n2 zone=zb"), &[]);
    check_dirty(&mut model, node_event("n1 zone=zb"), &["a", "b"]);
    assert_eq!(servers(&model, "a"), ["TCP 10.96.0.1:80 ClusterIP default/a B"]);
    check_dirty(&mut model, Event::NodeRemoved(NODE.into()), &[]);
    assert_eq!(servers(&model, "a"), ["TCP 10.96.0.1:80 ClusterIP default/a B"]);
    check_dirty(&mut model, node_event("n1"), &["a", "b"]);
    assert_eq!(servers(&model, "a"), ["TCP 10.96.0.1:80 ClusterIP default/a A,B"]);
}

#[test]
fn node_port_addresses_concern_services_with_node_ports() {
    let mut model = model([
        service_event("default/a np ip=10.96.0.1"),
        service_event("default/b int ip=10.96.0.2"),
    ]);
    let addresses = vec![address("192.0.2.8"), address("192.0.2.7"), address("192.0.2.8")];
    check_dirty(&mut model, Event::NodePortAddresses(addresses), &["a"]);
    let expected = [
        "TCP 10.96.0.1:80 ClusterIP default/a reject",
        "TCP 192.0.2.7:30080 NodePort default/a reject",
        "TCP 192.0.2.8:30080 NodePort default/a reject",
    ];
    assert_eq!(servers(&model, "a"), expected);
}

#[test]
fn another_nodes_addresses_concern_services_that_claim_one() {
    let mut model = model([
        service_event("default/a int ip=10.96.0.1 x=203.0.113.5"),
        service_event("default/b int ip=10.96.0.2 x=203.0.113.6"),
        service_event("default/c lb ip=10.96.0.3 v=203.0.113.5"),
    ]);
    check_dirty(&mut model, node_event("n2 ip=203.0.113.5 ip=203.0.113.99"), &["a", "c"]);
    check_dirty(&mut model, node_event("n2 ip=203.0.113.6"), &["a", "b", "c"]);
    check_dirty(&mut model, node_event("n2"), &["b"]);
    check_dirty(&mut model, node_event("n1 zone=za ip=203.0.113.5"), &[]); // our own
}

#[test]
fn of_two_nodes_with_one_address_the_first_by_name_owns_it() {
    let reason = |model: &Model| {
        model.resolve(&key("web")).warnings.first().map(ToString::to_string).unwrap_or_default()
    };
    let mut model = model([service_event("int x=203.0.113.5")]);
    check_dirty(&mut model, node_event("n3 ip=203.0.113.5"), &["web"]);
    check_dirty(&mut model, node_event("n2 ip=203.0.113.5"), &["web"]);
    assert!(reason(&model).contains("Node n2"), "{}", reason(&model));
    check_dirty(&mut model, node_event("n4 ip=203.0.113.5"), &[]);
    check_dirty(&mut model, Event::NodeRemoved("n2".into()), &["web"]);
    assert!(reason(&model).contains("Node n3"), "{}", reason(&model));
    check_dirty(&mut model, Event::NodeRemoved("n4".into()), &[]);
    check_dirty(&mut model, Event::NodeRemoved("n3".into()), &["web"]);
    assert_eq!(reason(&model), "");
}

#[test]
fn where_api_servers_answer_concerns_services_that_claim_it() {
    let claims = |model: &Model| -> Vec<_> {
        model.resolve(&key("web")).warnings.iter().map(|it| it.reason.clone()).collect()
    };
    let (cut_off, others) = ("is an address of the API server and stays there", "Node n2");
    let mut model =
        Model::new(NODE).with_api_servers([address("203.0.113.1"), address("203.0.113.2")]);
    let _ = model.apply(service_event("int x=203.0.113.1 x=203.0.113.3"));
    assert!(claims(&model)[0].starts_with(&format!("203.0.113.1 {cut_off}")));
    assert_eq!(claims(&model).len(), 1);
    let slice = |endpoints| slice_event("kubernetes of=kubernetes", endpoints);
    check_dirty(&mut model, slice("203.0.113.3 R"), &["web"]);
    assert_eq!(claims(&model).len(), 2);
    // What was given stays, and a node with the address is named first.
    check_dirty(&mut model, slice("203.0.113.1 R"), &["web"]);
    check_dirty(&mut model, node_event("n2 ip=203.0.113.1"), &["web"]);
    assert!(claims(&model)[0].contains(others), "{:?}", claims(&model));
    check_dirty(&mut model, node_event("n2"), &["web"]);
    check_dirty(&mut model, Event::SliceRemoved(key("kubernetes")), &[]);
    assert!(claims(&model)[0].contains(cut_off), "{:?}", claims(&model));
    assert_eq!(claims(&model).len(), 1);
    // Its slice moves away, and another Service's comes.
    check_dirty(&mut model, slice("203.0.113.3 R"), &["web"]);
    check_dirty(&mut model, slice_event("kubernetes of=web", "203.0.113.3 R"), &["web"]);
    assert_eq!(claims(&model).len(), 1);
}

#[test]
fn a_service_that_drops_an_address_no_longer_hears_of_it() {
    let mut model = model([service_event("int x=203.0.113.5")]);
    let _ = model.apply(service_event("int"));
    check_dirty(&mut model, node_event("n2 ip=203.0.113.5"), &[]);
    assert!(model.claimants.is_empty());
}

#[test]
fn the_models_scheduler_is_for_services_that_choose_none() {
    let flags = SchedulerFlags::default_for(Scheduler::MaglevHash);
    let mut model = Model::new(NODE).with_scheduler(Scheduler::MaglevHash, flags);
    let _ = model.apply(service_event("default/a int ip=10.96.0.1"));
    let mut own = service("default/b int ip=10.96.0.2");
    own.tuning.scheduler = Some((Scheduler::LeastConnection, SchedulerFlags::default()));
    let _ = model.apply(Event::Service(Arc::new(own)));
    let scheduler = |service| model.resolve(&key(service)).servers[0].scheduler;
    assert_eq!(scheduler("a"), Scheduler::MaglevHash);
    assert_eq!(scheduler("b"), Scheduler::LeastConnection);
}

/// Cost follows the change: with 10,000 Services known, an event about one looks at one.
#[test]
fn one_slice_event_visits_one_service_of_ten_thousand() {
    let mut model = Model::new(NODE);
    for number in 0..10_000_u32 {
        let mut service = service("int");
        service.key = key(&format!("s{number}"));
        let mut slice = slice("first", "A R");
        slice.key = key(&format!("s{number}-1"));
        slice.service = service.key.name.clone();
        let _ = model.apply(Event::Service(Arc::new(service)));
        let _ = model.apply(Event::Slice(Arc::new(slice)));
    }
    assert_eq!(model.visits(), 0, "taking in events looks at no Service");
    for endpoints in ["A R, B R", "A T+, B R", "B R"] {
        let before = model.visits();
        let dirty = model.apply(slice_event("s4711-1 of=s4711", endpoints));
        assert_eq!(dirty, [key("s4711")]);
        for service in &dirty {
            let _ = model.resolve(service);
        }
        assert_eq!(model.visits() - before, 1);
    }
}
