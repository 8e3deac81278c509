//! A node loses its pods, and no client outside notices: the load balancer is told before they are
//! gone, and what comes until it has listened is served by the pod that terminates.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use ::tests::lab::{Transport, wait_until};

use super::entrance::answered;
use super::stream::Requests;
use crate::ask::{Caller, Expected, LOAD_BALANCER, OUTSIDE};
use crate::foretold::{Foretold, Seen, foretell};
use crate::stage::{FRONTEND_2, Stage};
use crate::verdict::{Failure, Shown, caught, require};

/// The manifest of the second frontend.
const FILE: &str = "frontend-2.yaml";

/// The health-check node port.
const CHECK: u16 = 32080;

/// How soon it tells a change.
const SOON: Duration = Duration::from_secs(5);

/// How long to wait for its answer.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn run(stage: &mut Stage) -> Shown {
    expect_check(stage, 1, Check { status: 200, weight: 1 })?;
    expect_check(stage, 2, Check { status: 503, weight: 0 })?;
    stage.screen.note("a second frontend, frontend-2, starts on node-2");
    stage.start(FRONTEND_2);
    stage.publish(FILE, "frontend-2-ready.yaml");
    expect_check(stage, 2, Check { status: 200, weight: 1 })?;
    stage.route_to_load_balancer(stage.outside(), 2);

    let requests = Requests::begin(stage.screen, stage.outside(), LOAD_BALANCER[0]);
    let drained = caught(|| drain(stage, &requests));
    let tally = requests.end(stage.screen);
    stage.route_to_load_balancer(stage.outside(), 1);
    stage.end(FRONTEND_2);
    stage.withdraw(FILE);
    drained?;
    let total: usize = tally?.answers.values().sum();
    for (target, client) in LOAD_BALANCER.into_iter().zip(OUTSIDE) {
        answered(stage, stage.outside(), target, client)?;
    }
    expect_check(stage, 2, Check { status: 503, weight: 0 })?;
    Ok(format!(
        "node-2 says 503 as soon as its last frontend terminates, and loses 0 of {total} requests \
         until the load balancer sends its clients to node-1"
    ))
}

/// The only frontend of node 2 terminates, under requests.
fn drain(stage: &Stage, requests: &Requests) -> Result<(), Failure> {
    stage.screen.note("node-2 is drained: frontend-2 terminates, and node-2 has no other frontend");
    stage.publish(FILE, "frontend-2-terminating.yaml");
    expect_check(stage, 2, Check { status: 503, weight: 0 })?;
    let shares = requests.shares_of(50);
    let by_others = shares.keys().find(|server| **server != FRONTEND_2.name);
    require(by_others.is_none(), || {
        format!("expected frontend-2 to answer all requests that come to node-2; got {shares:?}")
    })?;
    let target = LOAD_BALANCER[0];
    let kept = Seen::Address(OUTSIDE[0]);
    let expected = Foretold::served(stage, target, &[(FRONTEND_2, kept)]);
    foretell(stage, 2, (&OUTSIDE[0].to_string(), target), &expected)?;
    let expected = Expected { times: 1, server: FRONTEND_2.name, source: OUTSIDE[0] };
    stage.outside().expect(stage.screen, (target, Transport::Tcp), &[expected])
}

/// What a health-check node port says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Check {
    status: u16,
    weight: u16,
}

/// Asks a node as a load balancer does until it says what is expected, and shows that.
fn expect_check(stage: &Stage, number: u8, expected: Check) -> Result<(), Failure> {
    let caller = stage.outside();
    let target = SocketAddr::from((stage.cluster.node(number).ipv4(), CHECK));
    stage
        .screen
        .command(caller.name, &format!("curl -sI http://{target} | grep -e HTTP -e Weight"));
    let is_expected = || check(caller, target).as_deref().and_then(parse) == Some(expected);
    wait_until(&format!("http://{target} answers {expected:?}"), SOON, is_expected);
    let head = check(caller, target).unwrap_or_default();
    let shown = head.lines().filter(|line| line.contains("HTTP") || line.contains("Weight"));
    shown.for_each(|line| stage.screen.output(line));
    require(parse(&head) == Some(expected), || {
        format!("expected http://{target} to go on answering {expected:?}; got {head}")
    })
}

/// The head of the answer.
fn check(caller: Caller<'_>, target: SocketAddr) -> Option<String> {
    caller.client.namespace().enter(move || {
        let mut stream = TcpStream::connect_timeout(&target, PATIENCE).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        write!(stream, "HEAD / HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n\r\n").ok()?;
        let mut head = String::new();
        stream.read_to_string(&mut head).ok()?;
        Some(head)
    })
}

fn parse(head: &str) -> Option<Check> {
    let status = head.strip_prefix("HTTP/1.1 ")?.split_whitespace().next()?;
    let weight = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("X-Load-Balancing-Endpoint-Weight").then_some(value)
    });
    Some(Check { status: status.parse().ok()?, weight: weight?.trim().parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_a_status_and_a_weight() {
        let head = "HTTP/1.1 503 Service Unavailable\r\n\
            x-load-balancing-endpoint-weight: 0\r\nConnection: close\r\n\r\n";
        assert_eq!(parse(head), Some(Check { status: 503, weight: 0 }));
        assert_eq!(parse("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"), None);
        assert_eq!(parse("SSH-2.0-x\r\n"), None);
    }
}
