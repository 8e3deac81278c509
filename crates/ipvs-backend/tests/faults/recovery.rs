//! Requests fail, answers are lost, processes die, and others meddle.

use std::net::IpAddr;
use std::time::Duration;

use ipvs_backend::netlink::Errno;
use ipvs_backend::netlink::ipset::SetSpec;
use ipvs_backend::set::{Purpose, SetId};
use ipvs_backend::{Binding, Plan};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proxy_core::{Backend as _, Delta, DesiredState, Event, Extent, Family, Scheduler};

use crate::kernel::{ABSENT_SCHEDULER, FakeKernel};
use crate::meddling::Meddling;
use crate::state::State;
use crate::story::{Story, backend, made_of};
use crate::unreliable::{Fault, Faults};
use crate::world::{balanced, desired, event};

const EINTR: Errno = Errno::from_raw(4);

/// What happens, one after the other.
#[derive(Clone, Debug)]
enum Happening {
    Event(Event),
    /// The next calls to the kernel go wrong, or well.
    Faults(Vec<Option<Fault>>),
    Meddling(Meddling, usize),
    /// Every destination has connections from here on.
    Connections,
    Restart,
    Wait(u64),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        10 => event().prop_map(Happening::Event),
        4 => vec(option::weighted(0.4, fault()), 1..20).prop_map(Happening::Faults),
        4 => (select(Meddling::ALL.to_vec()), any::<Index>())
            .prop_map(|(what, index)| Happening::Meddling(what, index.index(1 << 16))),
        1 => Just(Happening::Connections),
        1 => Just(Happening::Restart),
        6 => (0..3_000_u64).prop_map(Happening::Wait),
        1 => (30_000..100_000_u64).prop_map(Happening::Wait),
    ]
}

pub(crate) fn fault() -> impl Strategy<Value = Fault> {
    let refusals = [Errno::NOMEM, Errno::NOSPC, Errno::BUSY, EINTR, Errno::NOBUFS];
    prop_oneof![
        (0..5_u8, select(vec![EINTR, Errno::NOBUFS]))
            .prop_map(|(part, errno)| Fault::Lost(part, errno)),
        (1..5_u8, select(refusals.to_vec())).prop_map(|(nth, errno)| Fault::Refused(nth, errno)),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_all_is_well_in_the_end_and_strangers_are_untouched(
        happenings in vec(happening(), 1..60),
        by_address in any::<bool>(),
        has_set_without_marks in any::<bool>(),
        had_another_proxy in any::<bool>(),
    ) {
        let mut state = State::of_strangers();
        if had_another_proxy {
            state.add_leftovers();
        }
        if has_set_without_marks {
            let spec = SetId { purpose: Purpose::InternalMark, family: Family::Ipv4 }.spec();
            let spec = SetSpec { skbinfo: false, ..spec };
            state.sets.insert(spec.name, (spec, [].into()));
        }
        let binding = if by_address { Binding::Address } else { Binding::Route };
        let mut story = Story::begin(state, binding);
        for happening in happenings {
            happen(&mut story, happening);
        }
        story.assert_recovers();
    }
}

proptest! {
    #[test]
    fn an_address_stays_bound_whatever_is_refused_while_the_way_of_binding_changes(
        events in vec(event(), 1..12),
        to_address in any::<bool>(),
        call in 0_usize..40,
        nth in 1_u8..4,
    ) {
        let ways = [Binding::Route, Binding::Address];
        let (from, to) = (ways[usize::from(!to_address)], ways[usize::from(to_address)]);
        let desired = desired(&events);
        let before = made_of(State::of_strangers(), &desired, from);
        let (kernel, faults) = (FakeKernel::new(before.clone()), Faults::default());
        faults.befall(vec![None; call].into_iter().chain([Some(Fault::Refused(nth, Errno::PERM))]));
        let _ = backend(&kernel, &faults, to).resync(&desired);
        let (before, after) = (before.bound(), kernel.state().bound());
        prop_assert!(before.is_subset(&after), "{before:?}\n{after:?}");
    }
}

#[test]
fn what_an_earlier_proxy_left_is_planned_first_and_removed_once_all_is_served() {
    let mut state = State::of_strangers();
    state.add_leftovers();
    let desired = desired(&[balanced(1, Scheduler::default())]);
    let kernel = FakeKernel::new(state);
    let mut backend = backend(&kernel, &Faults::default(), Binding::Route);
    let before = kernel.state();
    let lines: Vec<_> = backend.plan(&desired).unwrap().lines().collect();
    assert_eq!(kernel.state(), before);
    let expected = [
        "- IPv4 rules of an earlier kube-proxy: filter KUBE-SERVICES, jumps (1); \
         nat KUBE-SEP-* (1), KUBE-SVC-* (1), jumps (1)",
        "- IPv6 rules of an earlier kube-proxy: filter KUBE-SERVICES, jumps (1); \
         nat KUBE-SEP-* (1), KUBE-SVC-* (1), jumps (1)",
        "- IPv4 table kube-proxy of nf_tables",
        "- IPv6 table kube-proxy of nf_tables",
        "- set KUBE-NODE-PORT-SCTP",
    ];
    assert_eq!(lines[lines.len() - expected.len()..], expected);
    assert!(lines[lines.len() - expected.len() - 1].starts_with("+ "), "{lines:#?}");

    let report = backend.resync(&desired).unwrap();
    assert_eq!((report.changes, report.failed.len()), (lines.len(), 0), "{:?}", report.failed);
    assert_eq!(backend.plan(&desired).unwrap(), Plan::default());
    let wanted = made_of(State::of_strangers(), &desired, Binding::Route);
    assert_eq!(kernel.state().by_meaning(), wanted.by_meaning());
}

proptest! {
    #[test]
    fn what_is_right_already_is_not_changed_by_a_start_that_was_prepared(
        events in vec(event(), 1..12),
    ) {
        let desired = desired(&events);
        let before = made_of(State::of_strangers(), &desired, Binding::Route);
        let kernel = FakeKernel::new(before.clone());
        let mut backend = backend(&kernel, &Faults::default(), Binding::Route);
        prop_assert_eq!(backend.prepare().unwrap().unwrap().changes, 0);
        prop_assert_eq!(backend.apply(&Delta::between(&DesiredState::new(), &desired)).unwrap().changes, 0);
        prop_assert_eq!(backend.resync(&desired).unwrap().changes, 0);
        prop_assert_eq!(kernel.state(), before);
    }
}

#[test]
fn nothing_is_prepared_on_a_node_that_another_proxy_serves() {
    let desired = desired(&[balanced(1, Scheduler::default())]);
    let mut of_other_mode = State::of_strangers();
    of_other_mode.add_leftovers();
    let of_ipvs_mode = made_of(State::of_strangers(), &desired, Binding::Address);
    for before in [of_other_mode, of_ipvs_mode] {
        let kernel = FakeKernel::new(before.clone());
        let mut backend = backend(&kernel, &Faults::default(), Binding::Route);
        assert!(backend.prepare().unwrap().is_none());
        assert_eq!(kernel.state(), before);
    }
}

#[test]
fn what_others_changed_since_it_was_prepared_is_mended_by_the_first_resync() {
    let desired = desired(&[balanced(1, Scheduler::default())]);
    let wanted = made_of(State::of_strangers(), &desired, Binding::Route);
    let kernel = FakeKernel::new(wanted.clone());
    let mut backend = backend(&kernel, &Faults::default(), Binding::Route);
    assert!(backend.prepare().unwrap().is_some());
    kernel.tamper(|state| {
        state.services.retain(|id, _| !id.to_string().contains("10.96.0.11"));
        state.rules.get_mut(&Family::Ipv4).unwrap().flush(0);
    });
    backend.rules_removed();
    let _ = backend.resync(&desired).unwrap();
    assert_eq!(kernel.state(), wanted);
}

#[test]
fn a_set_that_would_get_full_is_rebuilt_with_the_change_that_fills_it() {
    let set = SetId { purpose: Purpose::ClusterIp, family: Family::Ipv4 };
    let mut state = State::of_strangers();
    let small = SetSpec { max_elements: 2, ..set.spec() };
    state.sets.insert(set.name(), (small, [].into()));
    let mut story = Story::begin(state, Binding::Route);
    for id in [1, 2] {
        story.handle(balanced(id, Scheduler::default()));
    }
    let _ = story.run(Duration::from_secs(1));
    let room = |story: &Story| story.kernel.state().sets[&set.name()].0.max_elements;
    assert_eq!(room(&story), 2);
    story.handle(balanced(3, Scheduler::default()));
    for report in story.run(Duration::from_secs(1)) {
        assert!(report.failed.is_empty(), "{:?}", report.failed);
    }
    assert_eq!(room(&story), set.spec().max_elements);
    assert_eq!(story.kernel.state().sets[&set.name()].1.len(), 3);
    story.assert_recovers();
}

#[test]
fn an_address_is_bound_for_the_sake_of_any_virtual_server_that_works() {
    for broken in [1, 2] {
        let mut story = Story::begin(State::of_strangers(), Binding::Route);
        for id in [1, 2] {
            let is_broken = id == broken;
            story.handle(balanced(
                id,
                if is_broken { ABSENT_SCHEDULER } else { Scheduler::default() },
            ));
        }
        let _ = story.run(Duration::from_secs(60));
        let address = IpAddr::from([203, 0, 113, 5]);
        let state = story.kernel.state();
        let mut bound = state.routes.iter().map(|route| route.address);
        assert!(bound.any(|it| it == address), "s{broken} cannot be served");
    }
}

fn happen(story: &mut Story, happening: Happening) {
    match happening {
        Happening::Event(event) => {
            story.handle(event);
            let _ = story.run(Duration::ZERO);
        }
        Happening::Faults(faults) => story.faults.befall(faults),
        Happening::Meddling(what, number) => {
            if what.removes_signs() {
                story.expect_missing_signs();
            }
            story.kernel.tamper(|state| what.befall(state, number));
        }
        Happening::Connections => story.kernel.tamper(|state| {
            for (id, (_, destinations)) in &state.services {
                state
                    .connections
                    .extend(destinations.keys().map(|destination| (*id, *destination)));
            }
        }),
        Happening::Restart => story.restart(),
        Happening::Wait(milliseconds) => {
            let _ = story.run(Duration::from_millis(milliseconds));
        }
    }
}

#[test]
fn rules_that_did_not_change_are_not_looked_at_again() {
    let desired = desired(&[balanced(1, Scheduler::default())]);
    let kernel = FakeKernel::new(State::of_strangers());
    let mut backend = backend(&kernel, &Faults::default(), Binding::Route);
    let _ = backend.resync(&desired).unwrap();
    let mut audit = |extent| {
        let before = kernel.looks();
        let report = backend.audit(&desired, extent).unwrap();
        (report.drift.len(), kernel.looks() - before)
    };
    assert_eq!(audit(Extent::Part), (0, 2), "they were changed by the resync");
    assert_eq!(audit(Extent::Part), (0, 0));
    assert_eq!(audit(Extent::Whole), (0, 2), "whoever asks for everything gets it");
    assert_eq!(audit(Extent::Part), (0, 0));
    kernel.tamper(|state| state.rules.get_mut(&Family::Ipv4).unwrap().flush(0));
    assert_eq!(audit(Extent::Part), (1, 2));
    assert_eq!(audit(Extent::Part), (0, 2), "they were mended");
    assert_eq!(audit(Extent::Part), (0, 0));
}
