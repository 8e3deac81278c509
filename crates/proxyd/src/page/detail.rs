//! One Service, with each server and why endpoints are none. Pure.

use super::frame::table;
use super::history::History;
use super::html::Html;
use super::plot::plot;
use crate::status::{SERVERS, Status, UNUSED, connections, facts, refusals, servers, unused};

/// The view of a status of one Service.
pub(super) fn detail(status: &Status, service: &str, history: &History) -> Html {
    let mut html = Html::default();
    html.raw("<h2>Service ").text(service).raw("</h2>");
    let values = history.of(service);
    if !values.is_empty() {
        html.raw("<p class=\"traffic\">New connections a second at the last looks ");
        html.piece(&plot(&values, "New connections a second")).raw("</p>");
    }
    if status.frontends.is_empty() {
        html.raw("<p class=\"bad\">Nothing is served for it on this node.</p>");
    }
    for problem in &status.problems {
        html.raw("<p class=\"bad\">").text(problem.kind.words()).raw(": ").text(&problem.object);
        html.raw(": ").text(&problem.reason).raw("</p>");
    }
    let endpoints = status.endpoints.as_deref().unwrap_or_default();
    for frontend in &status.frontends {
        let (kind, protocol, address) = (&frontend.kind, &frontend.protocol, &frontend.address);
        html.raw("<h3>").text(format_args!("{kind} {protocol} {address}"));
        if !frontend.port_name.is_empty() {
            html.text(format_args!(" ({})", frontend.port_name));
        }
        html.raw("</h3><p>").text(facts(frontend)).raw("</p>");
        if let Some(connections) = connections(frontend) {
            html.raw("<p>").text(connections).raw("</p>");
        }
        for refusal in refusals(frontend) {
            html.raw("<p class=\"bad\">").text(refusal).raw("</p>");
        }
        html.piece(&table("Servers in the kernel", &SERVERS, &servers(frontend, endpoints)));
    }
    html.piece(&table("Endpoints that are not used", &UNUSED, &unused(endpoints)));
    html
}
