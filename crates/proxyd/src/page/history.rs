//! What passed at the last looks, for plots. Nothing is kept while nobody looks. Pure.

use std::collections::{BTreeMap, VecDeque};

use crate::status::Status;

/// So many looks are kept.
const SAMPLES: usize = 60;
/// Of so many Services, the busiest.
const SERVICES: usize = 100;

/// New connections a second, by look.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    samples: VecDeque<Sample>,
}

#[derive(Clone, Debug, Default)]
struct Sample {
    total: f64,
    services: BTreeMap<String, f64>,
}

impl History {
    /// Takes in one look.
    pub(super) fn note(&mut self, status: &Status) {
        let mut services = BTreeMap::<_, f64>::new();
        for frontend in &status.frontends {
            let rate = frontend.traffic.and_then(|traffic| traffic.per_second).unwrap_or(0.0);
            if rate > 0.0 {
                *services.entry(frontend.service.as_str()).or_default() += rate;
            }
        }
        let total = services.values().sum();
        let mut busiest: Vec<_> = services.into_iter().collect();
        busiest.sort_by(|(_, one), (_, two)| two.total_cmp(one));
        busiest.truncate(SERVICES);
        let services = busiest.into_iter().map(|(name, rate)| (name.to_owned(), rate)).collect();
        if self.samples.len() == SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample { total, services });
    }

    /// Of all Services together, the oldest first.
    pub(super) fn total(&self) -> Vec<f64> {
        self.samples.iter().map(|sample| sample.total).collect()
    }

    /// Of one Service; empty if it was not among the busiest at any look.
    pub(super) fn of(&self, service: &str) -> Vec<f64> {
        let rates = self.samples.iter().map(|sample| sample.services.get(service).copied());
        let rates: Vec<_> = rates.collect();
        if rates.iter().all(Option::is_none) {
            return Vec::new();
        }
        rates.into_iter().map(Option::unwrap_or_default).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::testing::busy;

    #[test]
    fn the_last_looks_are_kept_of_those_that_are_busy() {
        let mut history = History::default();
        assert_eq!((history.total(), history.of("a/b")), (vec![], vec![]));
        for look in 0..SAMPLES + 2 {
            history.note(&busy(&[("a/b", look as f64), ("a/b", 1.0), ("a/idle", 0.0)]));
        }
        let total = history.total();
        assert_eq!((total.len(), total[0], total[SAMPLES - 1]), (SAMPLES, 3.0, 62.0));
        assert_eq!(history.of("a/b"), total);
        assert_eq!(history.of("a/idle"), Vec::<f64>::new());
        let names: Vec<_> = (0..SERVICES + 1).map(|number| format!("a/s{number}")).collect();
        let rates: Vec<_> = names
            .iter()
            .enumerate()
            .map(|(number, it)| (it.as_str(), 1.0 + number as f64))
            .collect();
        history.note(&busy(&rates));
        assert_eq!(history.of("a/s0"), Vec::<f64>::new(), "it is the least busy");
        assert_eq!(history.of("a/s1").last(), Some(&2.0));
        assert_eq!(history.of("a/b").last(), Some(&0.0));
    }
}
