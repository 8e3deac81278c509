//! What happened, as text for people.

use std::net::SocketAddr;
use std::time::Duration;

use proxy_core::memory::MemoryBackend;
use proxy_core::reconciler::Reconciler;
use proxy_core::{
    Admission, Delta, FrontendKind, Pool, Report, Scheduler, SessionAffinity, Vip, VirtualServer,
    WhenEmpty,
};

pub(crate) fn seconds(duration: Duration) -> String {
    format!("[{:.1} s]", duration.as_secs_f64())
}

pub(crate) fn changes(report: &Report) -> String {
    match report.changes {
        1 => "1 change".to_owned(),
        number => format!("{number} changes"),
    }
}

/// A line for each virtual server.
pub(crate) fn delta(delta: &Delta) -> String {
    let upserts = delta.upserts.iter().map(|one| format!("  + {}\n", server(one)));
    let removals = delta.removals.iter().map(|key| format!("  - {key}\n"));
    upserts.chain(removals).collect()
}

pub(crate) fn report(report: &Report) -> String {
    let failed = report.failed.iter().map(|failure| format!("  ! {failure}\n"));
    let drift = report.drift.iter().map(|drift| format!("  ~ {drift}\n"));
    failed.chain(drift).collect()
}

/// `TCP 10.96.0.9:80 ClusterIP default/web:http (what is special) -> who serves`.
fn server(server: &VirtualServer) -> String {
    let VirtualServer { key, kind, origin, external, internal, .. } = server;
    let mut text = format!("{key} {kind} {origin}");
    let specials = specials(server);
    if !specials.is_empty() {
        text += &format!(" ({})", specials.join(", "));
    }
    if server.split() {
        format!("{text} -> outside: {} | inside: {}", pool(external), pool(internal))
    } else {
        text + " -> " + &pool(external)
    }
}

fn specials(server: &VirtualServer) -> Vec<String> {
    let mut specials = Vec::new();
    if server.scheduler != Scheduler::RoundRobin {
        specials.push(server.scheduler.to_string());
    }
    if let Some(SessionAffinity { timeout_seconds }) = server.session_affinity {
        specials.push(format!("affinity {timeout_seconds} s"));
    }
    if let Admission::Only(ranges) = &server.admission {
        let ranges: Vec<_> = ranges.iter().map(ToString::to_string).collect();
        specials.push(format!("only from {}", ranges.join(" ")));
    }
    if server.vip == Vip::Leave && server.kind != FrontendKind::NodePort {
        specials.push("not bound".to_owned());
    }
    if !server.unchosen.is_empty() {
        let unchosen = server.unchosen.iter().map(|(ip, port)| SocketAddr::new(*ip, port.get()));
        let unchosen: Vec<_> = unchosen.map(|address| address.to_string()).collect();
        specials.push(format!("unchosen {}", unchosen.join(" ")));
    }
    specials
}

fn pool(pool: &Pool) -> String {
    if pool.servers.is_empty() {
        return match pool.when_empty {
            WhenEmpty::Reject => "refused".to_owned(),
            WhenEmpty::Drop => "no answer".to_owned(),
        };
    }
    let servers = pool.servers.iter().map(|real| match real.weight.get() {
        1 => real.to_string(),
        weight => format!("{real}*{weight}"),
    });
    servers.collect::<Vec<_>>().join(" ")
}

/// Everything that holds at the end of a story.
pub(crate) fn end(reconciler: &Reconciler<MemoryBackend>) -> String {
    let mut text = "== in the end\n".to_owned();
    let served = reconciler.backend().servers().values();
    section(&mut text, "served", served.map(|one| server(one)));
    let state = reconciler.desired();
    let checks = state.health_checks().into_iter().map(|check| {
        let (service, family, port) = (&check.service, check.family, check.port);
        format!("{service} {family} port {port}: local endpoints: {}", check.local_endpoints)
    });
    section(&mut text, "health checks", checks);
    section(&mut text, "conflicts", state.conflicts().map(|conflict| conflict.to_string()));
    section(&mut text, "warnings", state.warnings().into_iter().map(ToString::to_string));
    let parked = reconciler.parked().map(|parked| {
        format!("{} of {}: not supported: {}", parked.server, parked.service, parked.feature)
    });
    section(&mut text, "parked", parked);
    let pending = reconciler.pending();
    let waiting = [(pending.services, "Services"), (pending.retries, "virtual servers to retry")];
    let waiting = waiting.iter().filter(|(count, _)| *count > 0);
    section(&mut text, "pending", waiting.map(|(count, what)| format!("{count} {what}")));
    text
}

fn section(text: &mut String, heading: &str, lines: impl Iterator<Item = String>) {
    let lines: Vec<_> = lines.map(|line| format!("  {line}\n")).collect();
    match (heading, lines.is_empty()) {
        ("served", true) => text.push_str("served\n  nothing\n"),
        (_, true) => {}
        (heading, false) => text.push_str(&format!("{heading}\n{}", lines.concat())),
    }
}
