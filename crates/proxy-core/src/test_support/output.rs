//! From values of the model to the notation of the tests.

use std::net::IpAddr;

use crate::{Delta, DesiredState, Pool, RealServer, VirtualServer, WhenEmpty};

/// One line for each virtual server.
pub(crate) fn show(state: &DesiredState) -> Vec<String> {
    state.iter().map(|server| show_server(server)).collect()
}

/// `+` and a virtual server for each upsert, `-` and a key for each removal.
pub(crate) fn show_delta(delta: &Delta) -> Vec<String> {
    let upserts = delta.upserts.iter().map(|server| format!("+ {}", show_server(server)));
    let removals = delta.removals.iter().map(|key| format!("- {key}"));
    upserts.chain(removals).collect()
}

/// Key, kind, origin and pools: one pool, or the external and the internal one.
pub(crate) fn show_server(server: &VirtualServer) -> String {
    let VirtualServer { key, kind, origin, external, internal, .. } = server;
    let external = show_pool(external);
    let internal = show_pool(internal);
    let pools = if external == internal { external } else { format!("{external} | {internal}") };
    format!("{key} {kind} {origin} {pools}")
}

/// The real servers, or what an empty pool answers.
pub(crate) fn show_pool(pool: &Pool) -> String {
    if pool.servers.is_empty() {
        return match pool.when_empty {
            WhenEmpty::Reject => "reject".to_owned(),
            WhenEmpty::Drop => "drop".to_owned(),
        };
    }
    let servers: Vec<_> = pool.servers.iter().map(show_real).collect();
    servers.join(",")
}

fn show_real(real: &RealServer) -> String {
    match letter(real.address) {
        Some(letter) if real.port.get() == 8080 => letter.to_string(),
        _ => real.to_string(),
    }
}

/// The letter that stands for an endpoint address.
pub(crate) fn letter(address: IpAddr) -> Option<char> {
    let last = match address {
        IpAddr::V4(address) => match address.octets() {
            [10, 1, 0, last] => last,
            _ => return None,
        },
        IpAddr::V6(address) => match address.segments() {
            [0xfd00, 1, 0, 0, 0, 0, 0, last] => u8::try_from(last).ok()?,
            _ => return None,
        },
    };
    (1..=26).contains(&last).then(|| char::from(b'A' + last - 1))
}
