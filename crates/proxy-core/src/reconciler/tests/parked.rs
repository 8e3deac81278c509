use crate::reconciler::Schedule;
use crate::test_support::{Simulation, key, service_event, slice_event};
use crate::{Capabilities, Event, Feature, FrontendKind, Protocol};

/// A backend without node ports, SCTP and split audiences.
fn simulation() -> Simulation {
    let capabilities = Capabilities {
        frontends: vec![
            FrontendKind::ClusterIp,
            FrontendKind::LoadBalancer,
            FrontendKind::ExternalIp,
        ],
        protocols: vec![Protocol::Tcp, Protocol::Udp],
        split_audiences: false,
        ..Capabilities::all()
    };
    let mut simulation = Simulation::with_capabilities(Schedule::default(), capabilities);
    simulation.reconciler.start();
    let _ = simulation.run(0);
    simulation
}

#[test]
fn what_the_backend_cannot_express_is_parked_and_said_once() {
    let mut simulation = simulation();
    simulation.handle([service_event("np port=s:SCTP:80 port=t:TCP:80")]);
    let expected = "0 applied + TCP 10.96.0.9:80 ClusterIP default/web:t reject; \
                    parked SCTP 10.96.0.9:80 of default/web: SCTP; \
                    parked TCP 192.0.2.1:30080 of default/web: NodePort frontends; \
                    parked SCTP 192.0.2.1:30080 of default/web: SCTP";
    assert_eq!(simulation.run(1_000), [expected]);
    assert_eq!(simulation.reconciler.pending().parked, 3);
    simulation.handle([slice_event("web-1 port=t:TCP:8080", "A R")]);
    assert_eq!(simulation.run(0), ["1000 applied + TCP 10.96.0.9:80 ClusterIP default/web:t A"]);
    assert_eq!(simulation.reconciler.parked().count(), 3);
    simulation.assert_settled();
}

#[test]
fn a_change_takes_it_out_of_parking_and_puts_it_there_again() {
    let mut simulation = simulation();
    let audiences = |policy| service_event(&format!("int x {policy}"));
    simulation.handle([slice_event("web-1", "A@n1 R, B@n2 R"), audiences("")]);
    assert_eq!(simulation.run(0).len(), 1);
    simulation.handle([audiences("eTP=Local")]);
    let expected = "0 applied - TCP 203.0.113.5:80; parked TCP 203.0.113.5:80 of default/web: \
                    different servers for clients outside and inside the cluster";
    assert_eq!(simulation.run(0), [expected]);
    let parked: Vec<_> = simulation.reconciler.parked().map(|one| one.feature).collect();
    assert_eq!(parked, [Feature::SplitAudiences]);
    simulation.handle([audiences("")]);
    let expected = ["0 applied + TCP 203.0.113.5:80 ExternalIP default/web A,B"];
    assert_eq!(simulation.run(0), expected);
    assert_eq!(simulation.reconciler.pending().parked, 0);
    simulation.assert_settled();
}

#[test]
fn nothing_of_a_removed_service_stays_parked() {
    let mut simulation = simulation();
    simulation.handle([service_event("np")]);
    assert_eq!(simulation.run(0).len(), 1);
    assert_eq!(simulation.reconciler.pending().parked, 1);
    simulation.handle([Event::ServiceRemoved(key("web"))]);
    assert_eq!(simulation.run(0), ["0 applied - TCP 10.96.0.9:80"]);
    assert_eq!(simulation.reconciler.pending().parked, 0);
}
