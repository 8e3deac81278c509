//! A stream of requests in the background, and what became of them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tests::lab::{Stream, Tally, wait_until};

use crate::ask::Caller;
use crate::screen::Screen;
use crate::stage::Place;
use crate::verdict::{Failure, require};

/// Time between two requests, if answers come that fast.
const INTERVAL: Duration = Duration::from_millis(10);

/// How long so many requests may take.
const LIMIT: Duration = Duration::from_secs(20);

/// Requests that one client sends one after the other, each over a new connection.
#[derive(Debug)]
pub(super) struct Requests {
    stream: Stream,
    begin: Instant,
}

impl Requests {
    /// Begins, and waits until it flows.
    pub(super) fn begin(screen: Screen, caller: Caller<'_>, target: SocketAddr) -> Self {
        let command = format!("while sleep 0.01; do nc {} {}; done &", target.ip(), target.port());
        screen.command(caller.name, &command);
        let requests =
            Self { stream: caller.client.stream(target, INTERVAL), begin: Instant::now() };
        requests.pass(20);
        requests
    }

    /// Waits for `count` requests more, answered or lost.
    pub(super) fn pass(&self, count: usize) {
        let until = self.stream.tally().requests() + count;
        wait_until(&format!("{count} requests"), LIMIT, || self.stream.tally().requests() >= until);
    }

    /// Waits until one begins that was not on its way before, and for `count` more after it.
    /// Returns how many of these each server answered.
    pub(super) fn shares_of(&self, count: usize) -> BTreeMap<String, usize> {
        self.pass(1);
        let before = self.stream.tally().answers;
        self.pass(count);
        let mut answers = self.stream.tally().answers;
        for (server, count) in &mut answers {
            *count -= before.get(server).copied().unwrap_or_default();
        }
        answers.retain(|_, count| *count > 0);
        answers
    }

    /// How many a server has answered.
    pub(super) fn answered_by(&self, place: Place) -> usize {
        self.stream.tally().answers.get(place.name).copied().unwrap_or_default()
    }

    /// Ends, shows what became of the requests, and fails if one was lost.
    pub(super) fn end(self, screen: Screen) -> Result<Tally, Failure> {
        let tally = self.stream.stop();
        let (sent, seconds) = (tally.requests(), self.begin.elapsed().as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
        let rate = sent as f64 / seconds;
        screen.note(&format!("{sent} requests in {seconds:.1} s, {rate:.0} a second:"));
        for (server, count) in &tally.answers {
            screen.output(format!("{count:>5} {server}"));
        }
        screen.output(format!("{:>5} lost", tally.lost.len()));
        require(tally.lost.is_empty(), || {
            let first = tally.lost[0];
            format!(
                "expected an answer to each request; {} got none, the first: {first}",
                tally.lost.len()
            )
        })?;
        Ok(tally)
    }
}
