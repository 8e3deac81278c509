//! Fields that are accepted and have no effect, each with the reason.

use serde_json::Value;

use super::layer::Origins;
use super::problem::Problem;

/// Paths of fields, or of sections, and why they have no effect.
const TOLERATED: [(&str, &str); 21] = [
    ("clientConnection.acceptContentTypes", "proxyd speaks JSON"),
    ("clientConnection.contentType", "proxyd speaks JSON"),
    ("clientConnection.qps", "three watches and a few Events are all that is asked for"),
    ("clientConnection.burst", "three watches and a few Events are all that is asked for"),
    (
        "configSyncPeriod",
        "an object is looked at when it changes, and the kernel every ipvs.syncPeriod",
    ),
    ("enableProfiling", "proxyd has no Go profiles"),
    ("showHiddenMetricsForVersion", "proxyd has no hidden metrics"),
    ("iptables.localhostNodePorts", "IPVS never serves node ports on loopback addresses"),
    ("iptables.syncPeriod", "it is of the iptables mode; see ipvs.syncPeriod"),
    ("iptables.minSyncPeriod", "it is of the iptables mode; see ipvs.minSyncPeriod"),
    ("nftables.masqueradeBit", "it is of the nftables mode; see iptables.masqueradeBit"),
    ("nftables.masqueradeAll", "it is of the nftables mode; see iptables.masqueradeAll"),
    ("nftables.syncPeriod", "it is of the nftables mode; see ipvs.syncPeriod"),
    ("nftables.minSyncPeriod", "it is of the nftables mode; see ipvs.minSyncPeriod"),
    ("winkernel", "it is of Windows"),
    ("windowsRunAsService", "it is of Windows"),
    ("portRange", "kube-proxy ignores it, too"),
    ("logging.flushFrequency", "every line is written at once"),
    ("logging.vmodule", "verbosity is the same everywhere"),
    ("logging.options.text", "lines are neither split nor buffered"),
    ("logging.options.json", "lines are neither split nor buffered"),
];

/// Why the field at a path, or the section it is in, has no effect.
pub(super) fn reason(path: &str) -> Option<&'static str> {
    let is_in = |section: &str| {
        path.strip_prefix(section).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    TOLERATED.iter().find(|(section, _)| is_in(section)).map(|(_, reason)| *reason)
}

/// A warning for each value that was given, is not the default, and has no effect.
pub(super) fn warnings(effective: &Value, defaults: &Value, origins: &Origins) -> Vec<Problem> {
    let given = origins.iter().filter_map(|(path, origin)| {
        let reason = reason(path)?;
        let pointer = format!("/{}", path.replace('.', "/"));
        let value =
            effective.pointer(&pointer).filter(|&it| defaults.pointer(&pointer) != Some(it))?;
        let problem = Problem::warning(path, format!("has no effect: {reason}"));
        Some(problem.with_value(value.clone()).from(origin.clone()))
    });
    given.collect()
}
