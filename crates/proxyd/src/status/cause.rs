//! Why an object of the kernel is not as it should be, and since when at most. Pure.

use std::time::Instant;

use ipvs_backend::Plan;
use proxy_core::VirtualServerKey;

use super::compose::moment;
use super::document::{Cause, Differing};
use super::inquiry::Known;
use crate::health::Now;

/// What is known of every object that `plan` would change, in its order.
pub(super) fn differing(plan: &Plan, known: &Known, now: Now) -> Vec<Differing> {
    let sets = plan.sets.iter().map(|step| (step.op.to_string(), step.server));
    let rules = plan.rules.iter().map(|difference| (difference.to_string(), None));
    let steps = plan.steps.iter().map(|step| (step.op.to_string(), step.server));
    let objects = sets.chain(rules).chain(steps);
    objects.map(|(line, server)| object(line, server, known, now)).collect()
}

fn object(line: String, server: Option<VirtualServerKey>, known: &Known, now: Now) -> Differing {
    let served = server.and_then(|key| {
        let place = known.servers.binary_search_by(|it| it.server.key.cmp(&key)).ok()?;
        known.servers.get(place)
    });
    let changed = served.and_then(|served| served.changed);
    let (cause, words) = cause(&line, server, known);
    Differing {
        service: served.map(|served| served.server.origin.service.to_string()),
        right: right(&line, changed, cause, known).map(|at| moment(at, now)),
        cause,
        words,
        line,
    }
}

/// When it was last known to be right. Servers are compared a few services at a time, so that the last
/// comparison says nothing of them.
fn right(line: &str, changed: Option<Instant>, cause: Cause, known: &Known) -> Option<Instant> {
    match cause {
        Cause::Others if is_server(line) => changed,
        Cause::Others => changed.max(known.last_comparison),
        Cause::Failing | Cause::NotServed | Cause::Waiting => None,
    }
}

fn is_server(line: &str) -> bool {
    line.split(' ').nth(1) == Some("server")
}

fn cause(line: &str, server: Option<VirtualServerKey>, known: &Known) -> (Cause, String) {
    let is_it = |key: Option<VirtualServerKey>| key.is_some() && key == server;
    let failing = known.failing.iter().find(|it| it.object == line || is_it(it.server));
    if let Some(failing) = failing {
        return (
            Cause::Failing,
            format!("the kernel refuses it, it is tried again: {}", failing.words),
        );
    }
    if let Some(parked) = known.parked.iter().find(|it| is_it(Some(it.server))) {
        return (Cause::NotServed, format!("this kernel does not support {}", parked.feature));
    }
    match known.pending.services {
        0 => (Cause::Others, format!("somebody {} it", done(line))),
        services => (Cause::Waiting, format!("changes of {services} Services wait, maybe this")),
    }
}

/// What somebody must have done to what is mended so.
fn done(line: &str) -> &'static str {
    match line.as_bytes().first() {
        Some(b'+') => "removed",
        Some(b'-') => "added",
        _ => "changed",
    }
}

#[cfg(test)]
#[path = "cause_tests.rs"]
mod tests;
