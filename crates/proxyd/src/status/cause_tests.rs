use std::time::Duration;

use ipvs_backend::netlink::ipvs::{Destination, DestinationId, ServiceId};
use ipvs_backend::netlink::route::LocalRoute;
use ipvs_backend::op::{Op, Phase, Step};
use proxy_core::Protocol;

use super::*;
use crate::status::testing::Scene;

/// What the daemon of a scene with one Service says when a server is missing, one is too many, and
/// what somebody changed is of nobody.
fn told(edit: impl FnOnce(&mut Known)) -> Vec<Differing> {
    let scene = Scene::new();
    scene.serve_web();
    scene.in_step();
    let mut known = scene.known();
    edit(&mut known);
    let key = known.servers[0].server.key;
    let id = ServiceId::Address { protocol: Protocol::Tcp, address: key.address, port: 80 };
    let server = DestinationId { address: "10.1.0.1".parse().unwrap(), port: 8080 };
    let route = LocalRoute {
        address: "192.0.2.9".parse().unwrap(),
        device: 1,
        preferred_source: None,
        protocol: 6,
    };
    let step = |op, server| Step { phase: Phase::Sets, op, server };
    let plan = Plan {
        steps: vec![
            step(Op::AddDestination(id, Destination::new(server, 1)), Some(key)),
            step(Op::DeleteRoute(route), None),
        ],
        ..Plan::default()
    };
    let now = Now { steady: known.now.steady + Duration::from_secs(60), ..known.now };
    differing(&plan, &known, now)
}

#[test]
fn what_nobody_here_did_somebody_else_did() {
    let objects = told(|_| {});
    let causes: Vec<_> = objects.iter().map(|it| (it.cause, it.words.as_str())).collect();
    assert_eq!(
        causes,
        [(Cause::Others, "somebody removed it"), (Cause::Others, "somebody added it")]
    );
    assert_eq!(objects[0].service.as_deref(), Some("default/web"));
    assert_eq!(objects[1].service, None);
    for object in &objects {
        let age = object.right.as_ref().expect("it was right once").age_seconds;
        assert!((60.0..90.0).contains(&age), "{object:?}");
    }
}

#[test]
fn what_the_kernel_refuses_and_what_waits_is_told_as_that() {
    let failing = told(|known| {
        known.failing.push(crate::status::Failing {
            server: Some(known.servers[0].server.key),
            object: "+ service TCP 10.96.0.9:80".to_owned(),
            words: "Cannot allocate memory".to_owned(),
        });
    });
    assert_eq!(failing[0].cause, Cause::Failing);
    assert!(failing[0].words.ends_with("tried again: Cannot allocate memory"), "{failing:?}");
    assert_eq!((failing[0].right.as_ref(), failing[1].cause), (None, Cause::Others));
    let waiting = told(|known| known.pending.services = 2);
    assert_eq!((waiting[0].cause, waiting[1].cause), (Cause::Waiting, Cause::Waiting));
}
