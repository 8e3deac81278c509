//! Rules as `iptables-save` shows them, so that what is wanted and what is there can be compared
//! as text.

use std::fmt::Write as _;

use proxy_core::{Family, Protocol};

use super::{Match, Rule, Side, Target};

/// The rule as an append to `chain`.
#[must_use]
pub fn render(chain: &str, rule: &Rule) -> String {
    let mut text = format!("-A {chain}");
    for condition in &rule.matches {
        text.push(' ');
        text.push_str(&render_match(condition));
    }
    let _ = write!(text, " -j {}", render_target(rule.target));
    text
}

fn render_match(condition: &Match) -> String {
    match condition {
        Match::Source(network) => format!("-s {network}"),
        Match::NotSource(network) => format!("! -s {network}"),
        Match::NotInInterface(name) => format!("! -i {name}"),
        Match::Protocol(protocol) => format!("-p {}", protocol_name(*protocol)),
        Match::EchoRequest(Family::Ipv4) => "-p icmp -m icmp --icmp-type 8".to_owned(),
        Match::EchoRequest(Family::Ipv6) => "-p ipv6-icmp -m icmp6 --icmpv6-type 128".to_owned(),
        Match::Comment(comment) => format!("-m comment --comment \"{}\"", escape(comment)),
        Match::InSet(set, sides) => {
            let sides: Vec<_> = sides.iter().map(|side| side_name(*side)).collect();
            format!("-m set --match-set {set} {}", sides.join(","))
        }
        Match::NotInSet(set, sides) => {
            let sides: Vec<_> = sides.iter().map(|side| side_name(*side)).collect();
            format!("-m set ! --match-set {set} {}", sides.join(","))
        }
        Match::InInterface(name) => format!("-i {name}"),
        Match::Marked(mask) => format!("-m mark --mark {mask:#x}/{mask:#x}"),
        Match::NotMarked(mask) => format!("-m mark ! --mark {mask:#x}/{mask:#x}"),
        Match::SentToPort(port) => {
            format!("-p tcp -m tcp --dport {port} -m conntrack --ctstate DNAT")
        }
        Match::DestinationIsLocal => "-m addrtype --dst-type LOCAL".to_owned(),
        Match::SourceIsNotLocal => "-m addrtype ! --src-type LOCAL".to_owned(),
        Match::New => "-m conntrack --ctstate NEW".to_owned(),
        Match::Established => "-m conntrack --ctstate RELATED,ESTABLISHED".to_owned(),
        Match::Reply => "-m conntrack --ctstate RELATED,ESTABLISHED --ctdir REPLY".to_owned(),
    }
}

fn render_target(target: Target) -> String {
    match target {
        Target::Jump(chain) => chain.to_owned(),
        Target::Return => "RETURN".to_owned(),
        Target::Accept => "ACCEPT".to_owned(),
        Target::Drop => "DROP".to_owned(),
        Target::Reject(Family::Ipv4) => "REJECT --reject-with icmp-port-unreachable".to_owned(),
        Target::Reject(Family::Ipv6) => "REJECT --reject-with icmp6-port-unreachable".to_owned(),
        Target::Reset => "REJECT --reject-with tcp-reset".to_owned(),
        Target::ToPort(port) => format!("DNAT --to-destination :{port}"),
        Target::Mark(mask) => format!("MARK --set-xmark {mask:#x}/{mask:#x}"),
        Target::FlipMark(mask) => format!("MARK --set-xmark {mask:#x}/0x0"),
        Target::MarkFromSet(set) => format!("SET --map-set {set} dst,dst --map-mark"),
        Target::Masquerade => "MASQUERADE".to_owned(),
        Target::MasqueradeRandom => "MASQUERADE --random-fully".to_owned(),
    }
}

/// Quotes and backslashes carry a backslash in the text form.
fn escape(comment: &str) -> String {
    let needs_one = |character: char| matches!(character, '"' | '\'' | '\\');
    comment
        .chars()
        .flat_map(|character| needs_one(character).then_some('\\').into_iter().chain([character]))
        .collect()
}

const fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
    }
}

const fn side_name(side: Side) -> &'static str {
    match side {
        Side::Source => "src",
        Side::Destination => "dst",
    }
}
