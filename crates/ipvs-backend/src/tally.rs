//! What a backend counts by itself, for those who show it as metrics.

use std::time::{Duration, Instant};

use proxy_core::Family;

use crate::netlink::Errno;
use crate::netlink::conntrack::{Flow, Scope};

/// What happened since it was last asked for, and what drains now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// By [`Family::ALL`].
    pub families: [FamilyTally; 2],
    /// Destinations at weight 0 that wait for their connections to end.
    pub draining: usize,
    /// When the first look at the one that drains longest was.
    pub draining_since: Option<Instant>,
}

/// What happened in one family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FamilyTally {
    /// How often static rules could not be read or loaded.
    pub rule_failures: u64,
    /// Stale UDP flows that the kernel was made to forget.
    pub forgotten_flows: u64,
    /// How long each search for stale UDP flows took, with forgetting them. Only of a backend that
    /// has a clock.
    pub flow_looks: Vec<Duration>,
}

impl Tally {
    /// Of one family.
    pub(crate) const fn family(&mut self, family: Family) -> &mut FamilyTally {
        let [ipv4, ipv6] = &mut self.families;
        match family {
            Family::Ipv4 => ipv4,
            Family::Ipv6 => ipv6,
        }
    }
}

/// Counts what goes to the kernel.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    pub(crate) tally: Tally,
    pub(crate) clock: Option<fn() -> Instant>,
}

impl Meter {
    pub(crate) fn now(&self) -> Option<Instant> {
        self.clock.map(|clock| clock())
    }

    /// Stale flows were looked for.
    pub(crate) fn looked_for_flows(&mut self, scope: Scope<'_>, begin: Option<Instant>) {
        let Some(took) = self.since(begin) else { return };
        for family in Family::ALL {
            let is_in_scope = match scope {
                Scope::Families(families) => families.contains(&family),
                Scope::To(addresses) => addresses.iter().any(|it| Family::of(it.ip()) == family),
            };
            if is_in_scope {
                self.tally.family(family).flow_looks.push(took);
            }
        }
    }

    /// Stale flows were to be forgotten, which is a part of the last look for them.
    pub(crate) fn forgot_flows(
        &mut self,
        flows: &[Flow],
        answers: &[Result<(), Errno>],
        begin: Option<Instant>,
    ) {
        let took = self.since(begin).unwrap_or_default();
        for family in Family::ALL {
            let of_family = |(flow, _): &(&Flow, _)| Family::of(flow.destination.ip()) == family;
            let mut answers = flows.iter().zip(answers).filter(of_family).peekable();
            let tally = self.tally.family(family);
            if let (Some(_), Some(look)) = (answers.peek(), tally.flow_looks.last_mut()) {
                *look += took;
            }
            tally.forgotten_flows += answers.filter(|(_, answer)| answer.is_ok()).count() as u64;
        }
    }

    fn since(&self, begin: Option<Instant>) -> Option<Duration> {
        Some(self.now()?.saturating_duration_since(begin?))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::netlink::conntrack::Zone;

    thread_local! {
        static CALLS: Cell<u64> = const { Cell::new(0) };
        static BEGIN: Instant = Instant::now();
    }

    /// Each call is a second after the last.
    fn clock() -> Instant {
        CALLS.set(CALLS.get() + 1);
        BEGIN.with(|begin| *begin + Duration::from_secs(CALLS.get()))
    }

    fn flow(destination: &str) -> Flow {
        let address = destination.parse().unwrap();
        Flow {
            source: address,
            destination: address,
            reply_source: address,
            zone: Zone::Default,
            id: None,
        }
    }

    #[test]
    fn a_look_is_timed_in_its_families_and_forgetting_is_a_part_of_it() {
        let mut meter = Meter { clock: Some(clock), ..Meter::default() };
        let begin = meter.now();
        meter.looked_for_flows(Scope::Families(&Family::ALL), begin);
        let begin = meter.now();
        meter.looked_for_flows(Scope::To(&["10.96.0.10:53".parse().unwrap()]), begin);
        let begin = meter.now();
        let flows = ["10.96.0.10:53", "10.96.0.10:53"].map(flow);
        meter.forgot_flows(&flows, &[Ok(()), Err(Errno::NOENT)], begin);
        let [ipv4, ipv6] = meter.tally.families;
        let seconds = |looks: &[Duration]| looks.iter().map(Duration::as_secs).collect::<Vec<_>>();
        assert_eq!((seconds(&ipv4.flow_looks), ipv4.forgotten_flows), (vec![1, 2], 1));
        assert_eq!((seconds(&ipv6.flow_looks), ipv6.forgotten_flows), (vec![1], 0));
    }

    #[test]
    fn without_a_clock_nothing_piles_up() {
        let mut meter = Meter::default();
        let begin = meter.now();
        meter.looked_for_flows(Scope::Families(&Family::ALL), begin);
        meter.forgot_flows(&[flow("[fd00::1]:53")], &[Ok(())], begin);
        assert!(meter.tally.families.iter().all(|family| family.flow_looks.is_empty()));
        assert_eq!(meter.tally.families[1].forgotten_flows, 1);
    }
}
