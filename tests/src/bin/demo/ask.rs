//! Calls, as their commands and answers look, and compared with what should come of them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use tests::lab::{Answer, Client, Refusal, Transport};

use crate::screen::Screen;
use crate::verdict::{Failure, require};

/// `backend-service`, in each family.
pub(crate) const BACKEND: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 96, 0, 100)), 3000),
    SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0xfd00, 0x96, 0, 0, 0, 0, 0, 0x100)), 3000),
];

/// `frontend-service`.
pub(crate) const FRONTEND: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 96, 0, 80)), 80);

/// The load balancer's address for `frontend-service`, in each family.
pub(crate) const LOAD_BALANCER: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 80)), 80),
    SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xb, 0, 0, 0, 0, 0x80)), 80),
];

/// The address of the client outside, in each family.
pub(crate) const OUTSIDE: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 9, 0, 0, 0, 0, 9)),
];

/// How soon a refusal must come: before a client would try a second time.
const AT_ONCE: Duration = Duration::from_millis(500);

/// How long a client must have waited before silence is what it got.
const SILENT: Duration = Duration::from_millis(1500);

/// Somebody who calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller<'a> {
    pub(crate) name: &'a str,
    pub(crate) client: Client<'a>,
}

/// So many answers of a server that saw this source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected<'a> {
    pub(crate) times: usize,
    pub(crate) server: &'a str,
    pub(crate) source: IpAddr,
}

impl Caller<'_> {
    /// Calls as often as answers are expected, and fails unless exactly these come.
    pub(crate) fn expect(
        self,
        screen: Screen,
        (target, transport): (SocketAddr, Transport),
        expected: &[Expected<'_>],
    ) -> Result<(), Failure> {
        let times = expected.iter().map(|expected| expected.times).sum();
        screen.command(self.name, &command(target, transport, times));
        let answers = self.client.ask_often(target, transport, times);
        show(screen, &answers, times);
        let expected = expected
            .iter()
            .map(|it| (Answer { server: it.server.to_owned(), source: it.source }, it.times));
        let expected = Ok(expected.collect());
        require(answers == expected, || {
            format!(
                "{} calls {target}: expected {}; got {}",
                self.name,
                words(&expected),
                words(&answers)
            )
        })
    }

    /// Calls once, and fails unless it is refused soon. Returns how long that took.
    pub(crate) fn expect_refusal(
        self,
        screen: Screen,
        (target, transport): (SocketAddr, Transport),
    ) -> Result<Duration, Failure> {
        let (outcome, took) = self.unanswered(screen, target, transport)?;
        require(outcome == Refusal::Refused && took < AT_ONCE, || {
            format!(
                "{} calls {target}: expected to be refused within {AT_ONCE:?}; got {outcome} after {took:?}",
                self.name
            )
        })?;
        Ok(took)
    }

    /// Calls once over TCP, and fails unless nothing comes back.
    pub(crate) fn expect_silence(self, screen: Screen, target: SocketAddr) -> Result<(), Failure> {
        let (outcome, took) = self.unanswered(screen, target, Transport::Tcp)?;
        require(outcome == Refusal::Silence && took > SILENT, || {
            format!(
                "{} calls {target}: expected no answer for {SILENT:?}; got {outcome} after {took:?}",
                self.name
            )
        })
    }

    /// Calls once, and fails if there is an answer. Returns what came instead, and when.
    fn unanswered(
        self,
        screen: Screen,
        target: SocketAddr,
        transport: Transport,
    ) -> Result<(Refusal, Duration), Failure> {
        screen.command(self.name, &command(target, transport, 1));
        let begin = Instant::now();
        let answer = self.client.ask(target, transport);
        let took = begin.elapsed();
        match answer {
            Ok(answer) => {
                screen.output(&answer);
                Err(format!("{} calls {target}: expected no answer; got {answer}", self.name)
                    .into())
            }
            Err(refusal) => {
                let milliseconds = took.as_secs_f64() * 1000.0;
                screen.output(format!("{refusal}, after {milliseconds:.1} ms"));
                Ok((refusal, took))
            }
        }
    }
}

/// Both families over both protocols.
pub(crate) fn every_call() -> impl Iterator<Item = (SocketAddr, Transport)> {
    let both = |target| [(target, Transport::Tcp), (target, Transport::Udp)];
    BACKEND.into_iter().flat_map(both)
}

/// Both families over TCP.
pub(crate) fn tcp_calls() -> impl Iterator<Item = (SocketAddr, Transport)> {
    BACKEND.into_iter().map(|target| (target, Transport::Tcp))
}

fn command(target: SocketAddr, transport: Transport, times: usize) -> String {
    let flag = if transport == Transport::Udp { "-u " } else { "" };
    let once = format!("nc {flag}{} {}", target.ip(), target.port());
    match times {
        1 => once,
        _ => format!("for i in $(seq {times}); do {once}; done | sort | uniq -c"),
    }
}

type Answers = Result<BTreeMap<Answer, usize>, Refusal>;

fn show(screen: Screen, answers: &Answers, times: usize) {
    match answers {
        Ok(answers) if times == 1 => answers.keys().for_each(|answer| screen.output(answer)),
        Ok(answers) => {
            answers
                .iter()
                .for_each(|(answer, count)| screen.output(format!("{count:>4} {answer}")));
        }
        Err(refusal) => screen.output(refusal),
    }
}

fn words(answers: &Answers) -> String {
    match answers {
        Ok(answers) => {
            let each = answers.iter().map(|(answer, count)| format!("{count} x {answer}"));
            each.collect::<Vec<_>>().join(", ")
        }
        Err(refusal) => refusal.to_string(),
    }
}
