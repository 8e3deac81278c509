//! Annotations of a Service that tune how it is served. A bad value is reported and the node's
//! default used: an annotation never takes a Service down.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::findings::Findings;
use super::{Metadata, text, weights};
use crate::{Interner, Scheduler, SchedulerFlags, Tuning, VipChoice};

/// What the names of our annotations begin with.
pub const ANNOTATION_PREFIX: &str = "proxyd/";

const SCHEDULER: &str = "proxyd/scheduler";
const SCHEDULER_FLAGS: &str = "proxyd/scheduler-flags";
const DRAIN_LIMIT: &str = "proxyd/drain-limit";
const VIP: &str = "proxyd/vip";
const ENDPOINT_WEIGHTS: &str = "proxyd/endpoint-weights";

/// What the annotations ask for.
pub(super) fn tuning(metadata: &Metadata, names: &mut Interner, findings: &mut Findings) -> Tuning {
    let mut tuning = Tuning::default();
    let mut scheduler = None;
    let mut flags = None;
    for (key, value) in &metadata.annotations {
        let value = value.trim();
        let read = match key.as_str() {
            SCHEDULER => self::scheduler(value).map(|found| scheduler = Some(found)),
            SCHEDULER_FLAGS => {
                flags = Some(value);
                Ok(())
            }
            DRAIN_LIMIT => text::parse_duration(value)
                .map(|limit| tuning.drain_limit = Some(limit))
                .ok_or_else(|| "is no duration; write it as 90s, 5m or 1h30m".to_owned()),
            VIP => vip(value).map(|choice| tuning.vip = choice),
            ENDPOINT_WEIGHTS => weights::weights(value, names).map(|rules| tuning.weights = rules),
            key if key.starts_with(ANNOTATION_PREFIX) => Err(format!(
                "is no annotation of a Service; there are {SCHEDULER}, {SCHEDULER_FLAGS}, \
                 {DRAIN_LIMIT}, {VIP} and {ENDPOINT_WEIGHTS}"
            )),
            _ => Ok(()),
        };
        if let Err(reason) = read {
            reject(key, value, reason, findings);
        }
    }
    if let Some(value) = flags
        && let Err(reason) = self::flags(value, scheduler.as_mut())
    {
        reject(SCHEDULER_FLAGS, value, reason, findings);
    }
    tuning.scheduler = scheduler;
    tuning
}

fn reject(key: &str, value: &str, reason: String, findings: &mut Findings) {
    let reason = format!("{reason}; the default is used");
    findings.reject(format!("metadata.annotations[{key}]"), value, reason);
}

fn scheduler(value: &str) -> Result<(Scheduler, SchedulerFlags), String> {
    let scheduler = Scheduler::from_str(value).map_err(|_| {
        let known: Vec<_> = Scheduler::ALL.iter().map(|scheduler| scheduler.name()).collect();
        format!("is no scheduler; there are {}", known.join(", "))
    })?;
    Ok((scheduler, SchedulerFlags::default_for(scheduler)))
}

/// Replaces the scheduler's default flags by the named ones; an empty list is no flags.
fn flags(value: &str, scheduler: Option<&mut (Scheduler, SchedulerFlags)>) -> Result<(), String> {
    let Some((scheduler, current)) = scheduler else {
        return Err(format!("has no effect without a valid {SCHEDULER}; set that to mh or sh"));
    };
    if !has_flags(*scheduler) {
        return Err(format!("scheduler {scheduler} has no flags; only mh and sh have"));
    }
    let mut flags = SchedulerFlags { fallback: false, port: false };
    for flag in value.split(',').map(str::trim).filter(|flag| !flag.is_empty()) {
        match flag.strip_prefix(scheduler.name()) {
            Some("-fallback") => flags.fallback = true,
            Some("-port") => flags.port = true,
            _ => {
                return Err(format!(
                    "{flag:?} is no flag of {scheduler}; there are {scheduler}-fallback and \
                     {scheduler}-port"
                ));
            }
        }
    }
    *current = flags;
    Ok(())
}

fn vip(value: &str) -> Result<VipChoice, String> {
    match value {
        "bind" => Ok(VipChoice::Bind),
        "leave" => Ok(VipChoice::Leave),
        _ => Err("is no choice; write bind or leave".to_owned()),
    }
}

/// The annotations that ask for it.
pub(super) fn annotations(tuning: &Tuning) -> BTreeMap<String, String> {
    let Tuning { scheduler, drain_limit, vip, weights } = tuning;
    let mut annotations = BTreeMap::new();
    let mut set = |key: &str, value| annotations.insert(key.to_owned(), value);
    if let Some((scheduler, flags)) = scheduler {
        set(SCHEDULER, scheduler.to_string());
        if has_flags(*scheduler) {
            set(SCHEDULER_FLAGS, flag_names(*scheduler, *flags));
        }
    }
    if let Some(limit) = drain_limit {
        set(DRAIN_LIMIT, format!("{}ns", limit.as_nanos()));
    }
    if *vip == VipChoice::Leave {
        set(VIP, "leave".to_owned());
    }
    if !weights.is_empty() {
        set(ENDPOINT_WEIGHTS, weights::text(weights));
    }
    annotations
}

fn flag_names(scheduler: Scheduler, flags: SchedulerFlags) -> String {
    let named = [(flags.fallback, "fallback"), (flags.port, "port")];
    let set = named.iter().filter(|(is_set, _)| *is_set);
    set.map(|(_, name)| format!("{scheduler}-{name}")).collect::<Vec<_>>().join(",")
}

const fn has_flags(scheduler: Scheduler) -> bool {
    matches!(scheduler, Scheduler::MaglevHash | Scheduler::SourceHash)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::api::testing::{Outcome, outcome, service};
    use crate::{Scheduler, SchedulerFlags, Tuning, VipChoice};

    #[track_caller]
    fn check(annotations: &[(&str, &str)], expected: Tuning) -> Outcome {
        let (value, outcome) = outcome(service(|service| {
            service.metadata.annotations = annotations
                .iter()
                .map(|&(key, value)| (key.to_owned(), value.to_owned()))
                .collect();
        }));
        assert_eq!(value.expect("an annotation never takes a Service down").tuning, expected);
        outcome
    }

    fn scheduled(scheduler: Scheduler, fallback: bool, port: bool) -> Tuning {
        let flags = SchedulerFlags { fallback, port };
        Tuning { scheduler: Some((scheduler, flags)), ..Tuning::default() }
    }

    #[test]
    fn a_scheduler_is_known_by_the_name_the_kernel_gives_it() {
        check(&[], Tuning::default()).silent();
        check(&[("proxyd/scheduler", "lc")], scheduled(Scheduler::LeastConnection, false, false))
            .silent();
        check(&[("proxyd/scheduler", " mh ")], scheduled(Scheduler::MaglevHash, true, true))
            .silent();
        check(&[("proxyd/scheduler", "best")], Tuning::default())
            .rejected("metadata.annotations[proxyd/scheduler]", "best");
    }

    #[test]
    fn flags_belong_to_their_scheduler() {
        let with =
            |scheduler, flags| [("proxyd/scheduler", scheduler), ("proxyd/scheduler-flags", flags)];
        let (mh, sh) = (Scheduler::MaglevHash, Scheduler::SourceHash);
        check(&with("mh", "mh-port"), scheduled(mh, false, true)).silent();
        check(&with("mh", "mh-port, mh-fallback"), scheduled(mh, true, true)).silent();
        check(&with("mh", ""), scheduled(mh, false, false)).silent();
        check(&with("sh", "sh-fallback"), scheduled(sh, true, false)).silent();
        let field = "metadata.annotations[proxyd/scheduler-flags]";
        check(&with("sh", "mh-port"), scheduled(sh, false, false)).rejected(field, "mh-port");
        check(&with("mh", "mh-port,mh-x"), scheduled(mh, true, true))
            .rejected(field, "mh-port,mh-x");
        check(&with("rr", "sh-port"), scheduled(Scheduler::RoundRobin, false, false))
            .rejected(field, "sh-port");
        check(&[("proxyd/scheduler-flags", "mh-port")], Tuning::default())
            .rejected(field, "mh-port");
    }

    #[test]
    fn a_drain_limit_is_a_duration() {
        let limit = |seconds| Tuning {
            drain_limit: Some(Duration::from_secs(seconds)),
            ..Tuning::default()
        };
        check(&[("proxyd/drain-limit", "1h30m")], limit(5_400)).silent();
        check(&[("proxyd/drain-limit", "0s")], limit(0)).silent();
        let field = "metadata.annotations[proxyd/drain-limit]";
        check(&[("proxyd/drain-limit", "90")], Tuning::default()).rejected(field, "90");
        check(&[("proxyd/drain-limit", "-1s")], Tuning::default()).rejected(field, "-1s");
    }

    #[test]
    fn a_vip_is_bound_or_left() {
        let leave = Tuning { vip: VipChoice::Leave, ..Tuning::default() };
        check(&[("proxyd/vip", "leave")], leave).silent();
        check(&[("proxyd/vip", "bind")], Tuning::default()).silent();
        check(&[("proxyd/vip", "no")], Tuning::default())
            .rejected("metadata.annotations[proxyd/vip]", "no");
    }

    #[test]
    fn an_annotation_of_ours_that_nobody_knows_is_reported() {
        check(&[("proxyd/schedular", "mh")], Tuning::default())
            .rejected("metadata.annotations[proxyd/schedular]", "mh");
        check(&[("example.com/scheduler", "mh")], Tuning::default()).silent();
    }
}
