//! The kernel is looked at on a thread of its own, while changes go on.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use ipvs_backend::netlink::Traffic;
use ipvs_backend::{AuditPace, IpvsBackend, IpvsConfig, Plan};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proxy_core::{
    Backend as _, DesiredState, Event, Extent, Maintenance, Model, Report, Scheduler,
};

use crate::kernel::FakeKernel;
use crate::meddling::Meddling;
use crate::state::State;
use crate::world::{balanced, desired, event, model};

fn backend(kernel: &FakeKernel) -> IpvsBackend<FakeKernel> {
    let audit = AuditPace { aside: true, ..AuditPace::default() };
    let config = IpvsConfig { audit, ..IpvsConfig::default() };
    IpvsBackend::with_kernel(config, kernel.clone(), Arc::new(Traffic::default()))
}

/// What an audit finds, with all that follows it.
fn audited(backend: &mut IpvsBackend<FakeKernel>, desired: &DesiredState) -> Report {
    let mut report = backend.audit(desired, Extent::Part).unwrap();
    assert!(report.drift.is_empty(), "it is not looked here: {:?}", report.drift);
    let mut now = Instant::now();
    for _ in 0..10_000 {
        let Maintenance { report: more, next } = backend.maintain(now).unwrap();
        report.merge(more);
        let Some(next) = next else { return report };
        now = next;
        // The clock is ours; the other thread's is not.
        thread::sleep(Duration::from_micros(100));
    }
    panic!("the look does not end");
}

#[test]
fn what_others_did_is_found_and_mended() {
    let desired = desired(&[balanced(1, Scheduler::default())]);
    let kernel = FakeKernel::new(State::of_strangers());
    let mut backend = backend(&kernel);
    let _ = backend.resync(&desired).unwrap();
    assert!(audited(&mut backend, &desired).drift.is_empty());
    for what in Meddling::ALL {
        let before = kernel.state();
        kernel.tamper(|state| what.befall(state, 1));
        let is_drift = kernel.state() != before;
        let report = audited(&mut backend, &desired);
        assert_eq!(!report.drift.is_empty(), is_drift, "{what:?}: {:?}", report.drift);
        assert_eq!(backend.plan(&desired).unwrap(), Plan::default(), "{what:?}");
    }
}

/// What happens, one after the other.
#[derive(Clone, Debug)]
enum Happening {
    Event(Event),
    Meddling(Meddling, usize),
    Look,
    Maintenance,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        10 => event().prop_map(Happening::Event),
        1 => (select(Meddling::ALL.to_vec()), any::<Index>())
            .prop_map(|(what, index)| Happening::Meddling(what, index.index(1 << 16))),
        3 => Just(Happening::Look),
        6 => Just(Happening::Maintenance),
    ]
}

struct Scene {
    backend: IpvsBackend<FakeKernel>,
    model: Model,
    desired: DesiredState,
}

impl Scene {
    fn change(&mut self, event: Event) {
        for service in self.model.apply(event) {
            let delta = self.desired.replace(&service, self.model.resolve(&service));
            let keys = delta.upserts.iter().map(|it| it.key).chain(delta.removals);
            let delta = self.desired.delta_for(keys);
            if self.backend.apply(&delta).is_err() {
                self.start_over();
            }
        }
    }

    /// As whoever drives a backend does when the kernel is not what it was.
    fn start_over(&mut self) {
        let _ = self.backend.resync(&self.desired).unwrap();
    }
}

proptest! {
    #[test]
    fn a_look_while_changes_go_on_ends_with_what_is_wanted(
        happenings in vec(happening(), 1..80),
    ) {
        let kernel = FakeKernel::new(State::of_strangers());
        let mut scene =
            Scene { backend: backend(&kernel), model: model(), desired: DesiredState::new() };
        let _ = scene.backend.resync(&scene.desired).unwrap();
        for happening in happenings {
            match happening {
                Happening::Event(event) => scene.change(event),
                Happening::Meddling(what, number) => {
                    kernel.tamper(|state| what.befall(state, number));
                }
                Happening::Look => {
                    let _ = scene.backend.audit(&scene.desired, Extent::Part).unwrap();
                }
                Happening::Maintenance => {
                    if scene.backend.maintain(Instant::now()).is_err() {
                        scene.start_over();
                    }
                }
            }
        }
        // One look may have been begun before the last change of others.
        for _ in 0..3 {
            let _ = audited(&mut scene.backend, &scene.desired);
        }
        prop_assert_eq!(scene.backend.plan(&scene.desired).unwrap(), Plan::default());
    }
}
