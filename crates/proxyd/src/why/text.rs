//! The text of `proxyd why`: for reading, not for programs.

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::document::{Document, Entry, Frontend, Note, Port, Servers};
use crate::resolve::section;

pub(super) fn text(document: &Document) -> String {
    let mut text = format!("Service {} on node {}\n", document.service, document.node);
    if let Some(reason) = &document.not_served {
        let _ = writeln!(text, "\nIt is not served: {reason}.");
    } else if document.slices == 0 {
        text.push_str("\nIt has no EndpointSlice.\n");
    }
    for port in &document.ports {
        write_port(&mut text, port);
    }
    let others = document.of_other_families.iter().map(row);
    section(&mut text, Some("Endpoints of another family"), &ENTRY, others.collect());
    let heads = ["OBJECT", "FIELD", "VALUE", "REASON"];
    for (title, notes) in [("Rejected", &document.rejected), ("Warnings", &document.warnings)] {
        let note = |note: &Note| {
            [note.object.clone(), note.field.clone(), note.value.clone(), note.reason.clone()]
        };
        section(&mut text, Some(title), &heads, notes.iter().map(note).collect());
    }
    text
}

fn write_port(text: &mut String, port: &Port) {
    let name = if port.port_name.is_empty() { "without a name" } else { &port.port_name };
    let _ = writeln!(text, "\nPort {name}, {} {}, {}", port.protocol, port.port, port.family);
    for Frontend { kind, address, port, lost_to, .. } in &port.frontends {
        if let Some(owner) = lost_to {
            let frontend = SocketAddr::new(*address, *port);
            let _ = writeln!(text, "{kind} {frontend} belongs to {owner}: it is not served here");
        }
    }
    for list in &port.lists {
        text.push('\n');
        let used = list.endpoints.iter().filter(|entry| entry.unused.is_none()).count();
        let _ = writeln!(
            text,
            "{}: {used} of {} used{}",
            title(list),
            list.endpoints.len(),
            match list.when_empty {
                None => "",
                Some("drop") => "; clients get no answer",
                Some(_) => "; clients are refused",
            }
        );
        let _ = writeln!(text, "for {}", clients(port, list.list));
        section(text, None, &ENTRY, list.endpoints.iter().map(row).collect());
    }
}

fn title(list: &Servers) -> &'static str {
    match list.list {
        "local" => "Endpoints on this node",
        _ => "Endpoints of the cluster",
    }
}

/// Who takes servers from a list, and where.
fn clients(port: &Port, list: &str) -> String {
    let of_frontend = |frontend: &Frontend| {
        if frontend.lost_to.is_some() {
            return None;
        }
        let who = match (frontend.outside == list, frontend.inside == list) {
            (true, true) => "all clients",
            (true, false) => "clients outside the cluster",
            (false, true) => "pods and nodes",
            (false, false) => return None,
        };
        let at = SocketAddr::new(frontend.address, frontend.port);
        Some(format!("{who} at {} {at}", frontend.kind))
    };
    let clients: Vec<_> = port.frontends.iter().filter_map(of_frontend).collect();
    if clients.is_empty() { "nobody".to_owned() } else { clients.join(", ") }
}

const ENTRY: [&str; 5] = ["ENDPOINT", "PORT", "NODE", "SLICE", "USED"];

fn row(entry: &Entry) -> [String; 5] {
    let used = match &entry.unused {
        None => "yes".to_owned(),
        Some(reason) => format!("no: {reason}"),
    };
    [
        entry.address.to_string(),
        entry.port.map_or_else(String::new, |port| port.to_string()),
        entry.node.clone().unwrap_or_default(),
        entry.slice.clone(),
        used,
    ]
}
