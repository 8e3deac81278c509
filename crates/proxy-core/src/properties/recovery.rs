//! Whatever goes wrong on the way, success at the end ends at the desired state.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::objects::{history, outcome_of, seen};
use crate::memory::Fault;
use crate::reconciler::Schedule;
use crate::test_support::{Simulation, model};
use crate::{Capabilities, FrontendKind, VirtualServer, VirtualServerKey};

/// What befalls a reconciler between two events.
#[derive(Clone, Debug)]
enum Mishap {
    Fault(Fault),
    /// One of the servers that are wanted, or were, is refused from now on.
    Refuse(Index),
    AcceptAll,
    Leftover,
    FailMaintenance,
    Tamper(Index),
    RequestResync,
    RequestAudit,
    Wait(u64),
}

fn mishap() -> impl Strategy<Value = Mishap> {
    prop_oneof![
        3 => select(vec![Fault::Before, Fault::Halfway, Fault::After]).prop_map(Mishap::Fault),
        3 => any::<Index>().prop_map(Mishap::Refuse),
        1 => Just(Mishap::AcceptAll),
        1 => Just(Mishap::Leftover),
        1 => Just(Mishap::FailMaintenance),
        1 => any::<Index>().prop_map(Mishap::Tamper),
        1 => Just(Mishap::RequestResync),
        1 => Just(Mishap::RequestAudit),
        5 => (0..2_000_u64).prop_map(Mishap::Wait),
    ]
}

fn schedule() -> impl Strategy<Value = Schedule> {
    (0..300_u64, 0..300_u64, 1..4_usize).prop_map(|(min_interval, settle, batch)| Schedule {
        min_interval: Duration::from_millis(min_interval),
        settle: Duration::from_millis(settle),
        batch,
        ..Schedule::default()
    })
}

fn befall(simulation: &mut Simulation, mishap: Mishap) {
    let mut keys: Vec<VirtualServerKey> =
        simulation.reconciler.desired().iter().map(|server| server.key).collect();
    keys.extend(simulation.reconciler.backend().memory.servers().keys());
    let backend = simulation.reconciler.backend_mut();
    match mishap {
        Mishap::Fault(fault) => backend.memory.fail(fault),
        Mishap::Refuse(index) if !keys.is_empty() => backend.memory.refuse(*index.get(&keys)),
        Mishap::AcceptAll => backend.memory.accept_all(),
        Mishap::Leftover => backend.leftovers += 1,
        Mishap::FailMaintenance => backend.fail_maintenance = true,
        Mishap::Tamper(index) if !keys.is_empty() => backend.memory.tamper(|servers| {
            servers.remove(index.get(&keys));
        }),
        Mishap::RequestResync => simulation.reconciler.request_resync(),
        Mishap::RequestAudit => simulation.reconciler.request_audit(),
        Mishap::Wait(milliseconds) => {
            let _ = simulation.run(milliseconds);
        }
        Mishap::Refuse(_) | Mishap::Tamper(_) => {}
    }
}

proptest! {
    #[test]
    fn failures_followed_by_success_end_at_the_desired_state(
        schedule in schedule(),
        history in history(30),
        mishaps in vec((any::<Index>(), mishap()), 0..20),
        can_do_all in any::<bool>(),
    ) {
        let mut capabilities = Capabilities::all();
        if !can_do_all {
            capabilities.split_audiences = false;
            capabilities.frontends.retain(|kind| *kind != FrontendKind::NodePort);
        }
        let mut simulation = Simulation::with_capabilities(schedule, capabilities.clone());
        simulation.reconciler.start();
        let mut mishaps: Vec<_> =
            mishaps.into_iter().map(|(at, mishap)| (at.index(history.len() + 1), mishap)).collect();
        mishaps.sort_by_key(|(at, _)| *at);
        let mut mishaps = mishaps.into_iter().peekable();
        for (index, (_, event)) in history.iter().enumerate() {
            while let Some((_, mishap)) = mishaps.next_if(|(at, _)| *at <= index) {
                befall(&mut simulation, mishap);
            }
            simulation.handle([event.clone()]);
        }
        for (_, mishap) in mishaps {
            befall(&mut simulation, mishap);
        }

        // Longer than any delay: every fault that is still waiting hits, then nothing does.
        simulation.reconciler.backend_mut().memory.accept_all();
        let _ = simulation.run(600_000);
        simulation.assert_settled();

        let (_, wanted) = outcome_of(model([]), &history);
        let (wanted, conflicts, ..) = seen(&wanted);
        let can = |server: &VirtualServer| capabilities.missing_for(server).is_none();
        if can_do_all {
            let served: Vec<_> =
                simulation.reconciler.backend().memory.servers().values().cloned().collect();
            prop_assert_eq!(&served, &wanted);
            let found: Vec<_> = simulation.reconciler.desired().conflicts().collect();
            prop_assert_eq!(found, conflicts);
        } else {
            for server in simulation.reconciler.backend().memory.servers().values() {
                prop_assert!(can(server), "{:?}", server);
            }
            for server in wanted.iter().filter(|server| can(server)) {
                let served = simulation.reconciler.backend().memory.servers().get(&server.key);
                prop_assert_eq!(served, Some(server));
            }
        }
    }
}
