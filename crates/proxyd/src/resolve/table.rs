//! The table of `proxyd resolve`: for reading, not for programs.

use std::fmt::Write;

use super::document::{Audience, Document, Server};

/// The document as columns; what there is none of is left out.
pub(super) fn table(document: &Document) -> String {
    let mut text = format!("Node {}\n", document.node);
    if document.virtual_servers.is_empty() {
        text.push_str("\nNothing is served.\n");
    } else {
        let heads = ["SERVICE", "KIND", "FRONTEND", "SCHEDULER", "CLIENTS", "SERVERS"];
        let rows = document.virtual_servers.iter().flat_map(server_rows);
        section(&mut text, None, &heads, rows.collect());
    }
    let heads = ["SERVICE", "FAMILY", "PORT", "LOCAL ENDPOINTS"];
    let rows = document.health_checks.iter().map(|check| {
        [
            check.service.clone(),
            check.family.clone(),
            check.port.to_string(),
            check.local_endpoints.to_string(),
        ]
    });
    section(&mut text, Some("Health checks"), &heads, rows.collect());
    let heads = ["OBJECT", "FIELD", "VALUE", "REASON"];
    let rows = document.rejected.iter().map(|one| {
        let value = if one.value.is_empty() { String::new() } else { format!("{:?}", one.value) };
        [one.object.clone(), one.field.clone(), value, one.reason.clone()]
    });
    section(&mut text, Some("Rejected"), &heads, rows.collect());
    let heads = ["FRONTEND", "KIND", "OWNER", "LOSER"];
    let rows = document.conflicts.iter().map(|one| {
        let frontend = frontend(&one.protocol, &one.address, one.port);
        [frontend, one.kind.clone(), one.owner.clone(), one.loser.clone()]
    });
    section(&mut text, Some("Conflicts"), &heads, rows.collect());
    let rows = document.warnings.iter().map(|one| [one.object.clone(), one.reason.clone()]);
    section(&mut text, Some("Warnings"), &["OBJECT", "REASON"], rows.collect());
    text
}

/// One row, or two where outside and inside clients are served differently.
fn server_rows(server: &Server) -> Vec<[String; 6]> {
    let row = |clients: &str, audience: &Audience| {
        let name = match server.port_name.as_str() {
            "" => server.service.clone(),
            port => format!("{}:{port}", server.service),
        };
        let scheduler = match server.affinity_seconds {
            None => server.scheduler.clone(),
            Some(seconds) => format!("{}, affinity {seconds}s", server.scheduler),
        };
        let clients = match server.source_ranges.join(" ") {
            ranges if ranges.is_empty() => clients.to_owned(),
            ranges => format!("{clients} of {ranges}"),
        };
        let servers = match audience.when_empty {
            None => audience.servers.join(" "),
            Some(when_empty) => format!("none: {when_empty}"),
        };
        let frontend = frontend(&server.protocol, &server.address, server.port);
        [name, server.kind.clone(), frontend, scheduler, clients, servers]
    };
    if server.external == server.internal {
        vec![row("all", &server.external)]
    } else {
        vec![row("outside", &server.external), row("inside", &server.internal)]
    }
}

fn frontend(protocol: &str, address: &str, port: u16) -> String {
    if address.contains(':') {
        format!("{protocol} [{address}]:{port}")
    } else {
        format!("{protocol} {address}:{port}")
    }
}

/// Appends a titled table, if it has rows. Columns are as wide as their widest cell.
pub(crate) fn section<const N: usize>(
    text: &mut String,
    title: Option<&str>,
    heads: &[&str; N],
    rows: Vec<[String; N]>,
) {
    if rows.is_empty() {
        return;
    }
    text.push('\n');
    if let Some(title) = title {
        let _ = writeln!(text, "{title}");
    }
    let mut lines = vec![heads.map(str::to_owned)];
    lines.extend(rows);
    let width = |column: usize| {
        lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<_> = (0..N).map(width).collect();
    for line in &lines {
        let mut shown = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            let _ = write!(shown, "{cell:width$}  ");
        }
        text.push_str(shown.trim_end());
        text.push('\n');
    }
}
