//! What `proxyd explain` says becomes of a packet, compared with what became of it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::process::Command;

use ::tests::lab::{proxyd, told};

use crate::stage::{Place, Stage};
use crate::verdict::{Failure, require};

/// The end of a packet's way.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Foretold {
    /// One of these servers gets it, and sees that source.
    Served(BTreeMap<SocketAddr, Seen>),
    /// The client is told at once.
    Refused,
    /// The client gets no answer.
    Silence,
}

/// A source as a server sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// An address.
    Address(IpAddr),
    /// An address of the node that was asked.
    ThisNode,
}

impl Foretold {
    /// By the servers of these pods, at their addresses in the family of `target`.
    pub(crate) fn served(stage: &Stage, target: SocketAddr, by: &[(Place, Seen)]) -> Self {
        let server = |(place, seen): &(Place, Seen)| (stage.server(*place, target), *seen);
        Self::Served(by.iter().map(server).collect())
    }

    /// What the last lines of the explanation say; `None` if that is something else.
    fn parse(verdict: &str) -> Option<Self> {
        let (first, servers) = verdict.split_once('\n').unwrap_or((verdict, ""));
        match first.split([' ', ',', ':']).next()? {
            "Served" => servers.lines().map(server).collect::<Option<_>>().map(Self::Served),
            "Refused" => Some(Self::Refused),
            "Dropped" => Some(Self::Silence),
            _ => None,
        }
    }
}

/// Reads `10.244.1.10:8080 (weight 1), which sees SOURCE`.
fn server(line: &str) -> Option<(SocketAddr, Seen)> {
    let (server, seen) = line.split_once(" (weight ")?;
    let (_, seen) = seen.split_once("), which sees ")?;
    let seen = match seen {
        "this node's address on the way there" => Seen::ThisNode,
        address => Seen::Address(address.parse().ok()?),
    };
    Some((server.trim().parse().ok()?, seen))
}

/// Asks proxyd of a node what becomes of a TCP packet, shows the verdict, and fails unless it is
/// the one expected.
pub(crate) fn foretell(
    stage: &Stage,
    node: u8,
    (client, target): (&str, SocketAddr),
    expected: &Foretold,
) -> Result<(), Failure> {
    let node = stage.cluster.node(node);
    let output = Command::new("ip")
        .args(["netns", "exec", node.namespace.name()])
        .arg(proxyd())
        .arg("explain")
        .args(told(&node.name, stage.manifests.path()))
        .args([client, &target.to_string()])
        .output()
        .map_err(|error| format!("run proxyd explain: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let verdict = text.trim_end().rsplit("\n\n").next().unwrap_or_default();
    let shown = verdict.lines().filter(|line| *line != "Served by");
    let count = shown.clone().count();
    let command = format!("proxyd explain {client} {target} $FLAGS | tail -{count}");
    stage.screen.command(&node.name, &command);
    shown.for_each(|line| stage.screen.output(line));
    require(Foretold::parse(verdict).as_ref() == Some(expected), || {
        let errors = String::from_utf8_lossy(&output.stderr);
        format!(
            "expected proxyd explain {client} {target} on {} to say {expected:?}; got {verdict}{errors}",
            node.name
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(verdict: &str, expected: Option<Foretold>) {
        assert_eq!(Foretold::parse(verdict), expected, "{verdict}");
    }

    #[test]
    fn a_verdict_names_servers_and_what_they_see() {
        let one = ("10.244.1.10:8080".parse().unwrap(), Seen::ThisNode);
        let two = Seen::Address("2001:db8:9::9".parse().unwrap());
        let two = ("[fd00:244:2::10]:8080".parse().unwrap(), two);
        check(
            "Served by\n  10.244.1.10:8080 (weight 1), which sees this node's address on the way there",
            Some(Foretold::Served([one].into())),
        );
        check(
            "Served by\n  10.244.1.10:8080 (weight 1), which sees this node's address on the way there\
             \n  [fd00:244:2::10]:8080 (weight 1), which sees 2001:db8:9::9",
            Some(Foretold::Served([one, two].into())),
        );
    }

    #[test]
    fn a_refusal_is_no_silence() {
        check("Refused, by ICMP port unreachable", Some(Foretold::Refused));
        check("Dropped: the client gets no answer", Some(Foretold::Silence));
    }

    #[test]
    fn anything_else_is_not_taken_for_a_verdict() {
        for text in [
            "",
            "No Service's here: goes on by the routes, from 203.0.113.9",
            "Served by\n  10.244.1.10:8080 (weight 1), which is not reached: dropped",
            "Served by\n  10.244.1.10:8080 (weight 1), which sees an address that is not known",
        ] {
            check(text, None);
        }
    }
}
