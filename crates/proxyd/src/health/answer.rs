//! What is answered: a status, and a body in JSON with its keys in the order kube-proxy has.

use std::collections::BTreeMap;

use hyper::StatusCode;
use proxy_core::{HealthCheck, ServiceKey};
use serde::Serialize;

use super::rfc3339::rfc3339;
use super::state::{Condition, Eligibility, Verdict};
use crate::serve::Answer;

/// Shown where nothing was ever programmed.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// What `/healthz` and `/livez` answer; nothing at other paths.
pub(crate) fn at_path(path: &str, verdict: &Verdict) -> Option<Answer> {
    match path {
        "/healthz" => Some(healthz(verdict)),
        "/livez" => Some(livez(verdict)),
        _ => None,
    }
}

/// Whether load balancers should send traffic to this node: the proxy keeps up, and the node is
/// known and stays.
fn healthz(verdict: &Verdict) -> Answer {
    let is_eligible = verdict.node == Eligibility::Eligible;
    let is_ok = is_eligible && verdict.condition() == Condition::Healthy;
    proxy(verdict, is_ok, Some(is_eligible))
}

/// Whether the proxy keeps up. What becomes of the node is no reason to start it again.
fn livez(verdict: &Verdict) -> Answer {
    proxy(verdict, verdict.condition() == Condition::Healthy, None)
}

/// What the health-check node port of a Service answers: whether it has endpoints here, and the
/// proxy keeps up.
pub(crate) fn node_port(service: &ServiceKey, count: usize, verdict: &Verdict) -> Answer {
    let is_healthy = verdict.condition() == Condition::Healthy;
    let body = NodePortBody {
        service: ServiceBody { namespace: &service.namespace, name: &service.name },
        local_endpoints: count,
        service_proxy_healthy: is_healthy,
    };
    Answer { weight: Some(count), ..answer(count > 0 && is_healthy, &body) }
}

/// The endpoints that are counted for a Service in `checks`, which are sorted; none if it is not
/// there.
pub(crate) fn count(checks: &[HealthCheck], check: &HealthCheck) -> usize {
    let place = (&check.service, check.family);
    let found = checks.binary_search_by(|it| (&it.service, it.family).cmp(&place));
    found.map_or(0, |index| checks[index].local_endpoints)
}

fn proxy(verdict: &Verdict, is_ok: bool, node_eligible: Option<bool>) -> Answer {
    let current_time = rfc3339(verdict.current_time);
    let families = verdict.families.iter().map(|it| {
        let is_healthy = it.condition == Condition::Healthy;
        let body = FamilyBody { last_updated: rfc3339(it.last_updated), healthy: is_healthy };
        (it.family.to_string(), body)
    });
    // A proxy with nothing to do is as good as one that did something just now.
    let last_updated = match verdict.last_updated() {
        _ if is_ok => current_time.clone(),
        Some(time) => rfc3339(time),
        None => NEVER.to_owned(),
    };
    let body = ProxyBody {
        last_updated,
        current_time,
        node_eligible,
        healthy: verdict.condition() == Condition::Healthy,
        status: families.collect(),
    };
    answer(is_ok, &body)
}

fn answer(is_ok: bool, body: &impl Serialize) -> Answer {
    let status = if is_ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = serde_json::to_string(body).expect("text and numbers can be written as JSON");
    Answer::json(status, body)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProxyBody {
    last_updated: String,
    current_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    node_eligible: Option<bool>,
    healthy: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    status: BTreeMap<String, FamilyBody>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FamilyBody {
    last_updated: String,
    healthy: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NodePortBody<'a> {
    service: ServiceBody<'a>,
    local_endpoints: usize,
    service_proxy_healthy: bool,
}

#[derive(Serialize)]
struct ServiceBody<'a> {
    namespace: &'a str,
    name: &'a str,
}
