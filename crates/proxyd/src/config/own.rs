//! proxyd's own settings, which [`super`] lists, into the backend's types. Pure.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipvs_backend::drain::DrainPolicy;
use ipvs_backend::marks::MarkRange;
use ipvs_backend::rules::InputPolicy;
use ipvs_backend::{AuditPace, Binding};

use super::scalar::MarkBits;
use super::settings::{PageFor, WatchedNodes};
use super::v1alpha1::{InternalMarks, Proxyd};
use super::validate::Check;

pub(super) fn binding(proxyd: &Proxyd, check: &mut Check<'_>) -> Binding {
    let choices = [("route", Binding::Route), ("address", Binding::Address)];
    choice("proxyd.binding", proxyd.binding.as_deref(), choices, check)
}

pub(super) fn input_policy(proxyd: &Proxyd, check: &mut Check<'_>) -> InputPolicy {
    let choices = [("accept", InputPolicy::Accept), ("respect", InputPolicy::Respect)];
    choice("proxyd.inputPolicy", proxyd.input_policy.as_deref(), choices, check)
}

pub(super) fn nodes(proxyd: &Proxyd, check: &mut Check<'_>) -> WatchedNodes {
    let choices = [("own", WatchedNodes::Own), ("all", WatchedNodes::All)];
    choice("proxyd.watchNodes", proxyd.watch_nodes.as_deref(), choices, check)
}

pub(super) fn page(proxyd: &Proxyd, check: &mut Check<'_>) -> PageFor {
    let choices =
        [("none", PageFor::Nobody), ("loopback", PageFor::Loopback), ("all", PageFor::Everybody)];
    choice("proxyd.page", proxyd.page.as_deref(), choices, check)
}

/// What a word stands for; the first if there is none, or another.
fn choice<T: Copy, const N: usize>(
    path: &str,
    given: Option<&str>,
    choices: [(&str, T); N],
    check: &mut Check<'_>,
) -> T {
    let (first, default) = choices[0];
    let word = given.unwrap_or(first);
    let chosen = choices.into_iter().find(|(name, _)| *name == word);
    chosen.map(|(_, value)| value).unwrap_or_else(|| {
        let names = choices.map(|(name, _)| name).join(" or ");
        check.error(path, word, format!("must be {names}"));
        default
    })
}

/// URLs, each with a host.
pub(super) fn api_servers(proxyd: &Proxyd, check: &mut Check<'_>) -> Vec<String> {
    let given = proxyd.api_servers.as_deref().unwrap_or_default();
    for (index, text) in given.iter().enumerate() {
        let is_url = text.parse::<http::Uri>().is_ok_and(|url| {
            matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some()
        });
        if !is_url {
            let path = format!("proxyd.apiServers[{index}]");
            check.error(&path, text.as_str(), "must be a URL, as https://192.0.2.1:6443");
        }
    }
    given.to_vec()
}

/// Longer ones do not fit into a socket's address, with the zero at the end.
const LONGEST_SOCKET: usize = 107;

pub(super) fn socket(proxyd: &Proxyd, check: &mut Check<'_>) -> Option<PathBuf> {
    let path = proxyd.socket.as_deref().filter(|path| !path.is_empty())?;
    if !path.starts_with('/') {
        check.error("proxyd.socket", path, "must be an absolute path; empty for no socket");
    } else if path.len() > LONGEST_SOCKET {
        let reason = format!("must not be longer than {LONGEST_SOCKET} bytes");
        check.error("proxyd.socket", path, reason);
    }
    Some(path.into())
}

/// One address a family.
pub(super) fn node_ips(proxyd: &Proxyd, check: &mut Check<'_>) -> Vec<IpAddr> {
    let mut ips: Vec<IpAddr> = Vec::new();
    for (index, text) in proxyd.node_ips.iter().flatten().enumerate() {
        let path = format!("proxyd.nodeIPs[{index}]");
        match text.parse::<IpAddr>() {
            Ok(ip) if ips.iter().any(|it| it.is_ipv4() == ip.is_ipv4()) => {
                check.error(&path, text.as_str(), "is the second of its family; give one of each");
            }
            Ok(ip) if ip.is_unspecified() || ip.is_loopback() => {
                check.error(&path, text.as_str(), "must be an address that other hosts can reach");
            }
            Ok(ip) => ips.push(ip),
            Err(_) => check.error(&path, text.as_str(), "must be an IP address"),
        }
    }
    ips
}

pub(super) fn backend(
    proxyd: &Proxyd,
    check: &mut Check<'_>,
) -> (DrainPolicy, MarkRange, AuditPace) {
    let drain = DrainPolicy {
        limit: check.duration("proxyd.drainLimit", proxyd.drain_limit),
        grace: check.duration("proxyd.drainGrace", proxyd.drain_grace),
        ..DrainPolicy::default()
    };
    (drain, marks(&proxyd.internal_marks, check), pace(proxyd, check))
}

fn marks(marks: &InternalMarks, check: &mut Check<'_>) -> MarkRange {
    let InternalMarks { value: Some(MarkBits(value)), mask: Some(MarkBits(mask)) } = *marks else {
        return MarkRange::default();
    };
    MarkRange::new(value, mask).unwrap_or_else(|error| {
        let given = format!("{value:#x}");
        check.error("proxyd.internalMarks.value", given, error.to_string());
        MarkRange::default()
    })
}

fn pace(proxyd: &Proxyd, check: &mut Check<'_>) -> AuditPace {
    let services = proxyd.audit_services_per_second.unwrap_or_default();
    if services == 0 {
        let reason = "must be 1 or more: drift would never be found between full comparisons";
        check.error("proxyd.auditServicesPerSecond", services, reason);
    }
    let services = usize::try_from(services).unwrap_or(usize::MAX);
    AuditPace { services, interval: Duration::from_secs(1), aside: true }
}
