//! Clients that ask a [`super::Server`] who it is.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{Namespace, sctp};

/// The transport to ask over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A new TCP connection.
    Tcp,
    /// A datagram from a new UDP port.
    Udp,
    /// A new SCTP association.
    Sctp,
}

impl Transport {
    /// Every transport.
    pub const ALL: [Self; 3] = [Self::Tcp, Self::Udp, Self::Sctp];
}

/// What a server said.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Answer {
    /// Who it is.
    pub server: String,
    /// The client's address as it sees it.
    pub source: IpAddr,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} saw {}", self.server, self.source)
    }
}

/// Why there was no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Refused at once.
    Refused,
    /// Nothing came in time.
    Silence,
    /// The connection was cut, or something else went wrong.
    Other(io::ErrorKind),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("refused"),
            Self::Silence => f.write_str("no answer"),
            Self::Other(kind) => write!(f, "{kind}"),
        }
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // A datagram of the node's own to an IPVS service without servers is refused as it is
            // sent, by an error of its own.
            io::ErrorKind::ConnectionRefused | io::ErrorKind::PermissionDenied => Self::Refused,
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Self::Silence,
            kind => Self::Other(kind),
        }
    }
}

/// How long to wait for an answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// A client that lives in a namespace.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    namespace: &'a Namespace,
}

impl<'a> Client<'a> {
    /// A client in `namespace`.
    #[must_use]
    pub const fn in_namespace(namespace: &'a Namespace) -> Self {
        Self { namespace }
    }

    /// Where it lives.
    #[must_use]
    pub const fn namespace(self) -> &'a Namespace {
        self.namespace
    }

    /// Asks once.
    ///
    /// # Errors
    /// When there is no answer, with why.
    pub fn ask(self, target: SocketAddr, transport: Transport) -> Result<Answer, Refusal> {
        self.namespace.enter(move || ask(target, transport))
    }

    /// Asks `times` times, each with a new connection. Counts the answers of each kind.
    ///
    /// # Errors
    /// When one time there is no answer.
    pub fn ask_often(
        self,
        target: SocketAddr,
        transport: Transport,
        times: usize,
    ) -> Result<BTreeMap<Answer, usize>, Refusal> {
        self.namespace.enter(move || {
            let mut answers = BTreeMap::new();
            for _ in 0..times {
                *answers.entry(ask(target, transport)?).or_default() += 1;
            }
            Ok(answers)
        })
    }

    /// Asks with a new connection every `interval` until told to stop.
    #[must_use]
    pub fn stream(self, target: SocketAddr, interval: Duration) -> Stream {
        let stop = Arc::new(AtomicBool::new(false));
        let until = stop.clone();
        let tally = Arc::new(Mutex::new(Tally::default()));
        let written = tally.clone();
        let thread = self.namespace.spawn(move || {
            let mut next = Instant::now();
            while !until.load(Ordering::Relaxed) {
                let answer = ask(target, Transport::Tcp);
                open(&written).note(answer);
                next += interval;
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
            }
        });
        Stream { stop, tally, thread }
    }

    /// Opens a connection that stays.
    ///
    /// # Errors
    /// When it is not accepted.
    pub fn connect(self, target: SocketAddr) -> Result<TcpStream, Refusal> {
        self.namespace.enter(move || {
            let stream = TcpStream::connect_timeout(&target, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            Ok(stream)
        })
    }
}

/// Requests one after the other, in the background.
#[derive(Debug)]
pub struct Stream {
    stop: Arc<AtomicBool>,
    tally: Arc<Mutex<Tally>>,
    thread: JoinHandle<()>,
}

/// What became of a stream of requests.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Answers, by server.
    pub answers: BTreeMap<String, usize>,
    /// Requests without an answer, and why.
    pub lost: Vec<Refusal>,
}

impl Tally {
    /// How many requests were answered or lost.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.answers.values().sum::<usize>() + self.lost.len()
    }

    fn note(&mut self, answer: Result<Answer, Refusal>) {
        match answer {
            Ok(answer) => *self.answers.entry(answer.server).or_default() += 1,
            Err(refusal) => self.lost.push(refusal),
        }
    }
}

/// A tally is whole between any two statements that change it.
fn open(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stream {
    /// What became of it so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        open(&self.tally).clone()
    }

    /// Ends it.
    ///
    /// # Panics
    /// When the thread that asks panicked.
    #[must_use]
    pub fn stop(self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the thread that asks does not panic");
        open(&self.tally).clone()
    }
}

/// Asks over a connection that is open.
///
/// # Errors
/// When there is no answer, with why.
pub fn ask_over(mut stream: &TcpStream) -> Result<Answer, Refusal> {
    stream.write_all(b"?\n")?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    parse(&line)
}

fn ask(target: SocketAddr, transport: Transport) -> Result<Answer, Refusal> {
    match transport {
        Transport::Tcp => {
            let stream = TcpStream::connect_timeout(&target, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            ask_over(&stream)
        }
        Transport::Sctp => {
            let stream = sctp::stream(target, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            ask_over(&stream)
        }
        Transport::Udp => {
            let any: IpAddr = match target {
                SocketAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
            };
            let socket = UdpSocket::bind((any, 0))?;
            socket.set_read_timeout(Some(PATIENCE))?;
            socket.connect(target)?;
            socket.send(b"?")?;
            let mut buffer = [0; 128];
            let length = socket.recv(&mut buffer)?;
            parse(&String::from_utf8_lossy(&buffer[..length]))
        }
    }
}

fn parse(line: &str) -> Result<Answer, Refusal> {
    let mut words = line.split_whitespace();
    let server = words.next().map(str::to_owned);
    let source = words.next().and_then(|word| word.parse().ok());
    match (server, source) {
        (Some(server), Some(source)) => Ok(Answer { server, source }),
        _ => Err(Refusal::Other(io::ErrorKind::UnexpectedEof)),
    }
}
