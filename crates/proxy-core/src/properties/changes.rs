//! What holds for the way from one state to another.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::objects::{History, history, interleaved, outcome, seen};
use crate::memory::MemoryBackend;
use crate::test_support::NODE;
use crate::{Backend, Delta, DesiredState, Model, VirtualServer, VirtualServerKey};

type Table = BTreeMap<VirtualServerKey, Arc<VirtualServer>>;

fn table(state: &DesiredState) -> Table {
    state.iter().map(|server| (server.key, server.clone())).collect()
}

/// What a data plane does with a delta.
fn carry_out(table: &mut Table, delta: &Delta) {
    table.extend(delta.upserts.iter().map(|server| (server.key, server.clone())));
    table.retain(|key, _| !delta.removals.contains(key));
}

/// Carries out events one by one. Returns the state, and a table that was told only the deltas.
fn followed(history: &History) -> (DesiredState, Table) {
    let (mut model, mut state, mut told) = (Model::new(NODE), DesiredState::new(), Table::new());
    for (_, event) in history {
        for service in model.apply(event.clone()) {
            carry_out(&mut told, &state.replace(&service, model.resolve(&service)));
        }
    }
    (state, told)
}

proptest! {
    #[test]
    fn the_delta_of_two_states_turns_one_into_the_other(
        before in history(30),
        after in history(30),
    ) {
        let (before, after) = (outcome(&before).1, outcome(&after).1);
        let delta = Delta::between(&before, &after);
        let mut changed = table(&before);
        carry_out(&mut changed, &delta);
        prop_assert_eq!(&changed, &table(&after));
        prop_assert!(Delta::between(&after, &after).is_empty());
        let untouched = table(&before);
        for server in &delta.upserts {
            prop_assert_ne!(untouched.get(&server.key), Some(server), "it says only what changes");
        }
        prop_assert!(delta.removals.iter().all(|key| untouched.contains_key(key)));
    }

    /// What `replace` says changed is what changed, in order.
    #[test]
    fn replacing_says_exactly_what_changed(history in history(30)) {
        let (mut model, mut state) = (Model::new(NODE), DesiredState::new());
        for (_, event) in history {
            for service in model.apply(event) {
                let before = state.clone();
                let delta = state.replace(&service, model.resolve(&service));
                prop_assert_eq!(delta, Delta::between(&before, &state));
            }
        }
    }

    /// Whatever the order in which objects become known, and whatever states were passed through
    /// on the way, the end is the same; and so is it for one who only followed the deltas.
    #[test]
    fn the_order_of_events_does_not_matter_in_the_end(
        history in history(40),
        picks in vec(any::<Index>(), 1..40),
    ) {
        let (first, told) = followed(&history);
        prop_assert_eq!(&told, &table(&first));
        let (second, told) = followed(&interleaved(&history, &picks));
        prop_assert_eq!(&told, &table(&second));
        prop_assert_eq!(seen(&first), seen(&second));
        prop_assert_eq!(seen(&first), seen(&outcome(&history).1), "nothing is carried along");
    }

    #[test]
    fn an_event_delivered_twice_counts_once(history in history(40)) {
        let mut model = Model::new(NODE);
        for (_, event) in history {
            let _ = model.apply(event.clone());
            prop_assert_eq!(model.apply(event), []);
        }
    }

    #[test]
    fn a_delta_applied_twice_changes_nothing_the_second_time(
        before in history(30),
        after in history(30),
    ) {
        let (before, after) = (outcome(&before).1, outcome(&after).1);
        let delta = Delta::between(&before, &after);
        let mut backend = MemoryBackend::default();
        let _ = backend.resync(&before).unwrap();
        prop_assert_eq!(backend.apply(&delta).unwrap().changes, delta.len());
        prop_assert_eq!(backend.apply(&delta).unwrap().changes, 0);
        prop_assert_eq!(backend.servers(), &table(&after));
    }
}
