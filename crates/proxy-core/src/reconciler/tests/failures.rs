use crate::memory::Fault;
use crate::reconciler::Schedule;
use crate::test_support::{Simulation, at, numbered, removed, service_event};

const FAULTS: [Fault; 3] = [Fault::Before, Fault::Halfway, Fault::After];

fn simulation() -> Simulation {
    Simulation::started(Schedule::default(), [numbered(1), numbered(2)])
}

#[test]
fn after_a_lost_call_everything_is_read_back() {
    for (fault, mended) in [(Fault::Before, 2), (Fault::Halfway, 1), (Fault::After, 0)] {
        let mut simulation = simulation();
        simulation.reconciler.backend_mut().memory.fail(fault);
        simulation.handle([numbered(3), removed(1)]);
        let expected = [
            "0 failed to talk to the data plane".to_owned(),
            format!("100 resynced, {mended} changes"),
        ];
        assert_eq!(simulation.run(1_000), expected, "{fault:?}");
        simulation.assert_settled();
    }
}

#[test]
fn a_resync_in_vain_is_tried_again_later_and_later() {
    let mut simulation = simulation();
    for fault in FAULTS {
        simulation.reconciler.backend_mut().memory.fail(fault);
    }
    simulation.handle([numbered(3)]);
    let expected = [
        "0 failed to talk to the data plane",
        "100 failed to talk to the data plane",
        "300 failed to talk to the data plane",
        "700 resynced, 0 changes",
    ];
    assert_eq!(simulation.run(1_000), expected);
    simulation.assert_settled();
}

#[test]
fn changes_wait_while_nothing_is_certain_and_none_is_forgotten() {
    let mut simulation = simulation();
    simulation.reconciler.backend_mut().memory.fail(Fault::Before);
    simulation.handle([numbered(3)]);
    assert_eq!(simulation.run(50), ["0 failed to talk to the data plane"]);
    simulation.handle([numbered(4), removed(1)]);
    assert_eq!(simulation.run(1_000), ["100 resynced, 3 changes"]);
    simulation.assert_settled();
}

#[test]
fn a_lost_batch_takes_no_other_with_it() {
    let schedule = Schedule { batch: 3, ..Schedule::default() };
    for fault in FAULTS {
        let mut simulation = Simulation::started(schedule, []);
        simulation.handle((1..=10).map(numbered));
        simulation.reconciler.backend_mut().memory.fail(fault);
        let _ = simulation.run(1_000);
        assert_eq!(simulation.served().len(), 10);
        simulation.assert_settled();
    }
}

#[test]
fn a_refused_server_is_tried_again_and_stops_no_other() {
    let mut simulation = simulation();
    simulation.reconciler.backend_mut().memory.refuse(at("10.96.0.3"));
    simulation.handle([numbered(3), numbered(4)]);
    let three = "+ TCP 10.96.0.3:80 ClusterIP default/s3 reject";
    let refused = "; failed TCP 10.96.0.3:80: refused";
    let expected = [
        format!("0 applied {three}, + TCP 10.96.0.4:80 ClusterIP default/s4 reject{refused}"),
        format!("100 applied {three}{refused}"),
        format!("300 applied {three}{refused}"),
        format!("700 applied {three}{refused}"),
    ];
    assert_eq!(simulation.run(1_000), expected);
    assert_eq!(simulation.reconciler.pending().retries, 1);
    assert_eq!(simulation.served().len(), 3);
    simulation.reconciler.backend_mut().memory.accept_all();
    assert_eq!(simulation.run(1_000), [format!("1500 applied {three}")]);
    simulation.assert_settled();
    assert_eq!(simulation.run(20_000), [""; 0], "what succeeded is not tried again");
}

#[test]
fn a_refused_removal_is_tried_again() {
    let mut simulation = simulation();
    simulation.reconciler.backend_mut().memory.refuse(at("10.96.0.1"));
    simulation.handle([removed(1)]);
    let refused = "applied - TCP 10.96.0.1:80; failed TCP 10.96.0.1:80: refused";
    assert_eq!(simulation.run(150), [format!("0 {refused}"), format!("100 {refused}")]);
    simulation.reconciler.backend_mut().memory.accept_all();
    assert_eq!(simulation.run(1_000), ["300 applied - TCP 10.96.0.1:80"]);
    simulation.assert_settled();
}

#[test]
fn a_refused_server_that_changes_is_tried_at_once() {
    let mut simulation = simulation();
    simulation.reconciler.backend_mut().memory.refuse(at("10.96.0.3"));
    simulation.handle([numbered(3)]);
    assert_eq!(simulation.run(1_000).len(), 4);
    simulation.handle([service_event("default/s3 int ip=10.96.0.3 affinity=60")]);
    let lines = simulation.run(400);
    let times: Vec<_> = lines.iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(times, ["1000", "1100", "1300"], "its delays begin anew");
}

#[test]
fn a_server_refused_by_a_resync_is_tried_again_too() {
    let mut simulation = Simulation::new(Schedule::default());
    simulation.reconciler.backend_mut().memory.refuse(at("10.96.0.3"));
    simulation.handle([numbered(3)]);
    simulation.reconciler.start();
    let lines = simulation.run(0);
    assert_eq!(lines, ["0 resynced, 0 changes; failed TCP 10.96.0.3:80: refused"]);
    simulation.reconciler.backend_mut().memory.accept_all();
    let expected = ["100 applied + TCP 10.96.0.3:80 ClusterIP default/s3 reject"];
    assert_eq!(simulation.run(1_000), expected);
    simulation.assert_settled();
}

#[test]
fn what_turns_out_not_to_be_supported_is_not_tried_again() {
    let mut simulation = simulation();
    simulation.reconciler.backend_mut().memory.refuse(at("10.96.0.3"));
    simulation.handle([numbered(3)]);
    assert_eq!(simulation.run(50).len(), 1, "first it is refused, and waits");
    simulation.reconciler.backend_mut().unsupported.insert(at("10.96.0.3"));
    let expected = "100 applied + TCP 10.96.0.3:80 ClusterIP default/s3 reject; \
                    failed TCP 10.96.0.3:80: not supported: the scheduler mh";
    assert_eq!(simulation.run(20_000), [expected]);
    assert_eq!(simulation.reconciler.pending().retries, 0);
}

#[test]
fn a_leftover_brings_an_earlier_resync_and_changes_go_on_meanwhile() {
    let mut simulation = simulation();
    simulation.reconciler.backend_mut().leftovers = 3;
    simulation.handle([numbered(3)]);
    let leftover = "; failed a leftover: refused";
    let first = format!("0 applied + TCP 10.96.0.3:80 ClusterIP default/s3 reject{leftover}");
    assert_eq!(simulation.run(50), [first]);
    simulation.handle([removed(3)]);
    let expected = [
        format!("50 applied - TCP 10.96.0.3:80{leftover}"),
        format!("100 resynced, 0 changes{leftover}"),
        "300 resynced, 0 changes".to_owned(),
    ];
    assert_eq!(simulation.run(1_000), expected);
    simulation.assert_settled();
}

#[test]
fn failed_maintenance_is_answered_with_a_resync() {
    let mut simulation = simulation();
    simulation.reconciler.backend_mut().fail_maintenance = true;
    simulation.handle([numbered(3)]);
    let expected = [
        "0 applied + TCP 10.96.0.3:80 ClusterIP default/s3 reject",
        "0 failed to read counters",
        "100 resynced, 0 changes",
    ];
    assert_eq!(simulation.run(1_000), expected);
}
