//! The text of `proxyd explain`: for reading, not for programs.

use std::fmt::Write as _;

use super::document::{Caller, Document, Explained, Happening, Seen, Server};
use crate::resolve::section;

pub(super) fn text(document: &Document) -> String {
    let mut text = format!("Node {}\n", document.node);
    for packet in &document.packets {
        write_packet(&mut text, packet);
    }
    let rows = document.rule_differences.iter().map(|difference| [difference.clone()]);
    let title = Some("Not as explained: rules in the kernel that differ");
    section(&mut text, title, &["RULES"], rows.collect());
    text
}

fn write_packet(text: &mut String, packet: &Explained) {
    let _ =
        write!(text, "\n{} -> {} {}", caller(&packet.client), packet.protocol, packet.destination);
    let _ = match &packet.frontend {
        None => writeln!(text, ", no frontend of a Service here"),
        Some(frontend) => {
            let port = match &*frontend.port_name {
                "" => String::new(),
                name => format!(":{name}"),
            };
            writeln!(text, ", {} of {}{port}", frontend.kind, frontend.service)
        }
    };
    write_steps(text, None, &packet.steps);
    for server in &packet.servers {
        write_steps(text, Some(&format!("To {}", server.server)), &server.steps);
    }
    text.push('\n');
    let _ = match packet.verdict {
        "served" => writeln!(text, "Served by"),
        "refused" => {
            writeln!(text, "Refused, by {}", packet.refusal.as_deref().unwrap_or_default())
        }
        "dropped" => writeln!(text, "Dropped: the client gets no answer"),
        "local" => writeln!(text, "For this node itself, no Service's: what listens there gets it"),
        _ => {
            let seen = packet.seen.as_ref().map(source).unwrap_or_default();
            writeln!(text, "No Service's here: goes on by the routes, from {seen}")
        }
    };
    for server in &packet.servers {
        let _ = writeln!(text, "  {}", outcome(server));
    }
}

fn caller(client: &Caller) -> String {
    let address = client.address.map_or_else(|| "no address".to_owned(), |ip| ip.to_string());
    match (client.is_this_node, &client.interface) {
        (true, _) => format!("{address} (this node)"),
        (false, None) => address,
        (false, Some(interface)) => format!("{address} through {interface}"),
    }
}

fn outcome(Server { server, weight, outcome, seen, .. }: &Server) -> String {
    let end = match seen {
        Some(seen) => format!("sees {}", source(seen)),
        None => format!("is not reached: {outcome}"),
    };
    format!("{server} (weight {weight}), which {end}")
}

fn source(seen: &Seen) -> String {
    match (seen.is_masqueraded, seen.address) {
        (true, _) => "this node's address on the way there".to_owned(),
        (false, Some(address)) => address.to_string(),
        (false, None) => "an address that is not known".to_owned(),
    }
}

fn write_steps(text: &mut String, title: Option<&str>, steps: &[Happening]) {
    let heads = ["HOOK", "PLACE", "CHAIN", "FOUND IN", "WHAT", "BECAUSE OF"];
    let row = |step: &Happening| {
        [
            step.hook.to_owned(),
            step.place.to_owned(),
            step.chain.unwrap_or_default().to_owned(),
            step.members.join(" "),
            step.what.clone(),
            step.fields.join("; "),
        ]
    };
    section(text, title, &heads, steps.iter().map(row).collect());
}
