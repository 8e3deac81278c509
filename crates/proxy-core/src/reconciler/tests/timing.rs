use std::time::Duration;

use crate::reconciler::Schedule;
use crate::test_support::{Simulation, at, key, numbered, removed, service_event, slice_event};
use crate::{Event, FrontendKind};

fn milliseconds(number: u64) -> Duration {
    Duration::from_millis(number)
}

/// Times and Services of what was applied: `100 s1 s2`.
#[track_caller]
fn check(lines: &[String], expected: &[&str]) {
    let brief = |line: &String| {
        let time = line.split(' ').next().unwrap();
        let services = line.split("default/").skip(1).map(|rest| rest.split(' ').next().unwrap());
        std::iter::once(time).chain(services).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(lines.iter().map(brief).collect::<Vec<_>>(), expected, "{lines:#?}");
}

#[test]
fn nothing_is_programmed_before_the_start() {
    let mut simulation = Simulation::new(Schedule::default());
    simulation.handle([numbered(1), removed(1), numbered(2)]);
    simulation.reconciler.request_resync();
    assert_eq!(simulation.run(100_000), [""; 0]);
    let calls = simulation.reconciler.backend().memory.calls();
    assert_eq!((calls.resync, calls.apply), (0, 0));
    assert_eq!(simulation.reconciler.pending().services, 2);
    simulation.reconciler.start();
    assert_eq!(simulation.run(0), ["100000 resynced, 1 changes"]);
    simulation.assert_settled();
}

#[test]
fn what_is_urgent_goes_ahead_of_the_first_resync_if_the_backend_is_prepared() {
    for prepares in [false, true] {
        let mut simulation = Simulation::new(Schedule::default());
        simulation.reconciler.backend_mut().prepares = prepares;
        simulation.reconciler.prepare().unwrap();
        simulation.handle([numbered(1), service_event("default/kubernetes int ip=10.96.0.11")]);
        assert_eq!(simulation.run(0), [""; 0]);
        simulation.reconciler.start();
        assert_eq!(simulation.run(0), ["0 resynced, 2 changes"]);
        let calls = simulation.reconciler.backend().memory.calls();
        assert_eq!((calls.apply, calls.resync), (usize::from(prepares), 1));
        // Later there is nothing to go ahead of.
        simulation.reconciler.prepare().unwrap();
        simulation.handle([removed(1), service_event("kube-system/dns int ip=10.96.0.12")]);
        simulation.reconciler.request_resync();
        assert_eq!(simulation.run(0), ["0 resynced, 2 changes"]);
        assert_eq!(simulation.reconciler.backend().memory.calls().apply, calls.apply);
        simulation.assert_settled();
    }
}

#[test]
fn what_is_decided_while_inputs_come_in_is_told_to_nobody_and_holds_if_nothing_changes() {
    let schedule = Schedule { batch: 2, ..Schedule::default() };
    let mut simulation = Simulation::new(schedule);
    let slice = |number| slice_event(&format!("s{number}-1 of=s{number}"), "A R, B R");
    simulation.handle((1..=5).map(slice));
    assert_eq!(simulation.reconciler.next(simulation.now()), None, "no Service is known");
    simulation.handle((1..=6).map(numbered));
    assert!(simulation.reconciler.next(simulation.now()).is_some());
    assert_eq!(simulation.run(0), [""; 0]);
    assert_eq!(simulation.reconciler.pending().services, 6, "nothing is carried out");
    assert_eq!(simulation.reconciler.model().visits(), 5, "s6 has no endpoints yet");
    assert_eq!(simulation.reconciler.desired().iter().count(), 0);
    // Two of them change after all, and one goes.
    simulation.handle([slice_event("s1-2 of=s1", "C R"), slice(2), removed(3)]);
    assert_eq!(simulation.run(0), [""; 0]);
    assert_eq!(simulation.reconciler.pending().services, 6);
    let visits = simulation.reconciler.model().visits();
    simulation.reconciler.start();
    assert_eq!(simulation.run(0), ["0 resynced, 5 changes"]);
    assert_eq!(simulation.reconciler.model().visits() - visits, 2, "s3 and s6");
    simulation.assert_settled();
}

#[test]
fn starting_twice_resyncs_once() {
    let mut simulation = Simulation::started(Schedule::default(), []);
    simulation.reconciler.start();
    assert_eq!(simulation.run(0), [""; 0]);
    simulation.reconciler.request_resync();
    assert_eq!(simulation.run(0).len(), 1);
}

#[test]
fn an_audit_that_is_asked_for_comes_at_once_but_after_changes() {
    let mut simulation = Simulation::new(Schedule::default());
    simulation.reconciler.request_audit();
    simulation.handle([numbered(1)]);
    simulation.reconciler.start();
    assert_eq!(simulation.run(0), ["0 resynced, 1 changes"]);
    simulation.reconciler.request_audit();
    simulation.handle([numbered(2)]);
    let key = *simulation.reconciler.backend().memory.servers().keys().next().unwrap();
    simulation.reconciler.backend_mut().memory.tamper(|servers| drop(servers.remove(&key)));
    let said = simulation.run(0);
    assert!(said[0].contains("applied") && said[0].contains("default/s2"), "{said:?}");
    assert!(said[1].contains("audited, 1 changes; ") && said.len() == 2, "{said:?}");
    // Reading back everything is more than an audit.
    simulation.reconciler.request_audit();
    simulation.reconciler.request_resync();
    assert_eq!(simulation.run(0).len(), 1);
    simulation.assert_settled();
}

#[test]
fn a_change_is_carried_out_at_once_and_alone() {
    let mut simulation = Simulation::started(Schedule::default(), (1..=5).map(numbered));
    simulation.handle([numbered(6), numbered(6)]);
    check(&simulation.run(1_000), &["0 s6"]);
    simulation.handle([numbered(6)]);
    check(&simulation.run(1_000), &[]);
}

#[test]
fn what_comes_and_goes_between_two_steps_is_nothing() {
    let mut simulation = Simulation::started(Schedule::default(), []);
    simulation.handle([numbered(1), removed(1)]);
    check(&simulation.run(1_000), &[]);
    assert_eq!(simulation.reconciler.backend().memory.calls().apply, 0);
    simulation.assert_settled();
}

#[test]
fn batches_are_bounded_and_urgent_services_go_first() {
    let schedule = Schedule { batch: 2, ..Schedule::default() };
    let mut simulation = Simulation::started(schedule, []);
    let urgent = "kube-system/dns int ip=10.96.0.10 port=dns:UDP:53";
    simulation.handle((1..=3).map(numbered).chain([service_event(urgent)]));
    simulation.handle([service_event("default/kubernetes int ip=10.96.0.11")]);
    let lines = simulation.run(0);
    check(&lines, &["0 kubernetes", "0 s1 s2", "0 s3"]);
    assert!(lines[0].contains("kube-system/dns"), "{}", lines[0]);
    simulation.assert_settled();
}

#[test]
fn a_change_waits_for_others_to_settle_but_not_for_ever() {
    let settle = milliseconds(200);
    let schedule = Schedule { settle, max_delay: milliseconds(500), ..Schedule::default() };
    let mut simulation = Simulation::started(schedule, []);
    simulation.handle([numbered(1)]);
    check(&simulation.run(100), &[]);
    simulation.handle([numbered(2)]);
    check(&simulation.run(250), &["300 s1 s2"]);
    let mut lines = Vec::new();
    for number in 3..=9 {
        simulation.handle([numbered(number)]);
        lines.extend(simulation.run(150));
    }
    lines.extend(simulation.run(500));
    check(&lines, &["850 s3 s4 s5 s6", "1450 s7 s8 s9"]);
}

#[test]
fn urgent_services_do_not_wait_for_others_to_settle() {
    let schedule = Schedule { settle: milliseconds(200), ..Schedule::default() };
    let mut simulation = Simulation::started(schedule, []);
    simulation.handle([service_event("default/kubernetes int ip=10.96.0.11")]);
    assert_eq!(simulation.run(0).len(), 1);
}

#[test]
fn rounds_keep_their_distance_and_batches_of_one_round_do_not() {
    let schedule = Schedule { min_interval: milliseconds(300), batch: 1, ..Schedule::default() };
    let mut simulation = Simulation::started(schedule, []);
    simulation.handle([numbered(1), numbered(2)]);
    check(&simulation.run(100), &["0 s1", "0 s2"]);
    simulation.handle([numbered(3)]);
    check(&simulation.run(1_000), &["300 s3"]);
    simulation.handle([numbered(4)]);
    check(&simulation.run(0), &["1100 s4"]);
}

#[test]
fn the_whole_is_audited_periodically_and_drift_is_mended_and_said() {
    let mut simulation = Simulation::started(Schedule::default(), [numbered(1), numbered(2)]);
    simulation.reconciler.backend_mut().memory.tamper(|servers| {
        servers.remove(&at("10.96.0.1"));
        let other = crate::test_support::server("x", FrontendKind::ClusterIp, "10.96.0.3:80", "A");
        servers.insert(other.key, other.into());
    });
    let expected = [
        "29000 audited, 2 changes; TCP 10.96.0.1:80 was missing; TCP 10.96.0.3:80 was not ours to leave",
        "59000 audited, 0 changes",
    ];
    assert_eq!(simulation.run(60_000), expected);
    simulation.assert_settled();
}

#[test]
fn a_resync_puts_the_next_audit_off() {
    let mut simulation = Simulation::started(Schedule::default(), []);
    assert_eq!(simulation.run(20_000), [""; 0]);
    simulation.reconciler.request_resync();
    let expected = ["20000 resynced, 0 changes", "50000 audited, 0 changes"];
    assert_eq!(simulation.run(35_000), expected);
}

#[test]
fn a_change_that_a_resync_carries_out_is_no_drift() {
    let mut simulation = Simulation::started(Schedule::default(), [numbered(1)]);
    simulation.handle([numbered(2), removed(1)]);
    simulation.reconciler.request_resync();
    assert_eq!(simulation.run(0), ["0 resynced, 2 changes"]);
}

#[test]
fn the_backend_is_maintained_when_it_asked_for_it() {
    let mut simulation = Simulation::started(Schedule::default(), []);
    simulation.handle([numbered(1)]);
    let now = std::time::Instant::now();
    let backend = simulation.reconciler.backend_mut();
    backend.maintenance.extend([Some(now + Duration::from_secs(5)), None]);
    let lines = simulation.run_showing_all(20_000);
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert_eq!(lines[1], "0 maintained");
    assert!(lines[2].ends_with("maintained"), "{lines:#?}");
}

#[test]
fn an_owner_that_goes_lets_the_next_one_surface() {
    let two = ["default/old int ip=10.96.0.1 x", "default/new int ip=10.96.0.2 x"];
    let mut simulation = Simulation::started(Schedule::default(), two.map(service_event));
    assert_eq!(simulation.reconciler.desired().conflicts().count(), 1);
    simulation.handle([Event::ServiceRemoved(key("new"))]);
    let expected =
        "0 applied + TCP 203.0.113.5:80 ExternalIP default/old reject, - TCP 10.96.0.2:80";
    assert_eq!(simulation.run(0), [expected]);
    simulation.assert_settled();
}
