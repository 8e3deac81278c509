//! Carries requests to the kernel and its answers back, whatever they are about.

use std::io;
use std::sync::Arc;

use super::message::{self, Content, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, Reply};
use super::traffic::{RequestClass, Traffic};
use super::transport::{NetlinkSocket, Options, Transport};

/// Most requests in one send: the default receive buffer holds the refusals of that many.
const SEND_REQUESTS: usize = 256;
/// Most bytes in one send, well below the default send buffer.
const SEND_BYTES: usize = 128 << 10;
/// How often a dump is begun again after the table changed under it.
const DUMP_ATTEMPTS: usize = 16;

/// Requests that are sent together, in order.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    /// Where each request ends in `bytes`.
    ends: Vec<usize>,
}

impl Batch {
    /// A batch without requests.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), ends: Vec::new() }
    }

    /// Appends a request: its message type, its `NLM_F_*` flags besides `REQUEST` and `ACK`, and
    /// a function that appends what follows the netlink header.
    pub fn push(&mut self, kind: u16, flags: u16, body: impl FnOnce(&mut Vec<u8>)) {
        message::append(&mut self.bytes, kind, flags | NLM_F_REQUEST, body);
        self.ends.push(self.bytes.len());
    }

    /// How many requests it holds.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.ends.len()
    }

    /// True if it holds no request.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    fn start(&self, request: usize) -> usize {
        request.checked_sub(1).map_or(0, |before| self.ends[before])
    }

    /// The end of the longest run of requests from `first` that fits into one send.
    fn send_end(&self, first: usize) -> usize {
        let start = self.start(first);
        let fitting = self.ends[first..]
            .iter()
            .take(SEND_REQUESTS)
            .take_while(|&&end| end - start <= SEND_BYTES)
            .count();
        first + fitting.max(1)
    }
}

/// Why the kernel refused a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The error number, positive; above 4095 its meaning is the family's own.
    pub code: i32,
    /// The request without its netlink header, as the kernel sends it back; often empty.
    pub echo: Vec<u8>,
    /// The kernel's explanation, where it gives one.
    pub explanation: Option<String>,
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        Self::from_raw_os_error(refusal.code)
    }
}

/// A netlink socket and what is needed to tell its replies apart.
///
/// An `Err` of any method means that nothing is known about single requests: some may have been
/// carried out. The connection stays usable; it starts over with a fresh socket, in the network
/// namespace of the thread that calls it next.
pub struct Connection {
    transport: Box<dyn Transport>,
    traffic: Arc<Traffic>,
    /// The sequence number of the next request.
    sequence: u32,
    /// The last call failed, so replies or a dump may be under way.
    unclean: bool,
    datagram: Vec<u8>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("sequence", &self.sequence).finish_non_exhaustive()
    }
}

impl Connection {
    /// Opens a socket of `protocol` (`NETLINK_*` of `include/uapi/linux/netlink.h`) in the
    /// network namespace of the calling thread.
    ///
    /// # Errors
    /// Whatever the system calls say; `EPROTONOSUPPORT` if the kernel lacks the protocol.
    pub fn open(protocol: isize, traffic: Arc<Traffic>) -> io::Result<Self> {
        Self::with_options(Options { protocol, cap_ack: false, strict: false }, traffic)
    }

    pub(super) fn with_options(options: Options, traffic: Arc<Traffic>) -> io::Result<Self> {
        Ok(Self::over(Box::new(NetlinkSocket::open(options)?), traffic))
    }

    pub(super) fn over(transport: Box<dyn Transport>, traffic: Arc<Traffic>) -> Self {
        Self { transport, traffic, sequence: 1, unclean: false, datagram: Vec::new() }
    }

    /// Sends every request of `batch`, in order, going on after refusals; one answer each.
    ///
    /// # Errors
    /// The socket failed or replies were lost; see the type's documentation.
    pub fn run(&mut self, batch: &mut Batch) -> io::Result<Vec<Result<(), Refusal>>> {
        self.cleanly(|connection| {
            let mut outcomes = Vec::with_capacity(batch.len());
            while outcomes.len() < batch.len() {
                connection.run_one_send(batch, &mut outcomes)?;
            }
            Ok(outcomes)
        })
    }

    /// Sends all of `batch` at once, as a transaction of which the first and the last request are
    /// the frame. Kernels before 6.10 do not answer a frame that is well, so an answer is asked of
    /// the last request but one. Returns the first refusal, of whichever request: then nothing of
    /// it was done.
    ///
    /// # Errors
    /// The socket failed or replies were lost; see the type's documentation.
    pub fn transact(&mut self, batch: &mut Batch) -> io::Result<Result<(), Refusal>> {
        self.cleanly(|connection| {
            let count = u32::try_from(batch.len()).unwrap_or(u32::MAX);
            let sequence = connection.take_sequences(count);
            let asked = count.saturating_sub(2);
            for (request, offset) in (0..batch.len()).zip(0..count) {
                let start = batch.start(request);
                let number = sequence.wrapping_add(offset);
                message::address(&mut batch.bytes[start..], number, offset == asked);
            }
            connection.send(&batch.bytes, batch.len(), RequestClass::Mutation)?;
            connection.receive_until(|reply| match reply.sequence.wrapping_sub(sequence) {
                offset if offset >= count => None,
                offset => match reply.content {
                    Content::Answer { code: 0, .. } => (offset == asked).then_some(Ok(())),
                    content => refusal(content).map(Err),
                },
            })
        })
    }

    /// Sends one request that is answered with data, and gives what `parse` makes of each
    /// message; it gets the message type and what follows the netlink header.
    ///
    /// # Errors
    /// The outer error as in [`Connection::run`]; the inner is the kernel's refusal.
    pub fn query<T>(
        &mut self,
        kind: u16,
        body: impl FnOnce(&mut Vec<u8>),
        mut parse: impl FnMut(u16, &[u8]) -> Option<T>,
    ) -> io::Result<Result<Vec<T>, Refusal>> {
        self.cleanly(|connection| {
            let sequence = connection.take_sequences(1);
            let mut request = Vec::new();
            message::append(&mut request, kind, NLM_F_REQUEST, body);
            message::address(&mut request, sequence, true);
            connection.send(&request, 1, RequestClass::Query)?;
            let mut found = Vec::new();
            connection
                .receive_until(|reply| {
                    if reply.sequence != sequence {
                        return None;
                    }
                    match reply.content {
                        Content::Data { kind, payload } => {
                            found.extend(parse(kind, payload));
                            None
                        }
                        Content::Answer { code: 0, .. } => Some(Ok(())),
                        Content::Answer { .. } => refusal(reply.content).map(Err),
                        _ => None,
                    }
                })
                .map(|answer| answer.map(|()| found))
        })
    }

    /// Asks for a dump and gives what `parse` makes of each message; it gets the message type
    /// and what follows the netlink header. A dump the kernel marks as interrupted by a change
    /// is begun again, some times.
    ///
    /// # Errors
    /// The outer error as in [`Connection::run`], and [`io::ErrorKind::ResourceBusy`] if every
    /// attempt was interrupted; the inner is the kernel's refusal.
    pub fn dump<T>(
        &mut self,
        kind: u16,
        body: impl Fn(&mut Vec<u8>),
        mut parse: impl FnMut(u16, &[u8]) -> Option<T>,
    ) -> io::Result<Result<Vec<T>, Refusal>> {
        self.cleanly(|connection| {
            for _ in 0..DUMP_ATTEMPTS {
                match connection.dump_once(kind, &body, &mut parse)? {
                    Dumped::Complete(found) => return Ok(Ok(found)),
                    Dumped::Refused(refusal) => return Ok(Err(refusal)),
                    Dumped::Interrupted => {}
                }
            }
            Err(io::Error::new(io::ErrorKind::ResourceBusy, "every netlink dump was interrupted"))
        })
    }

    fn run_one_send(
        &mut self,
        batch: &mut Batch,
        outcomes: &mut Vec<Result<(), Refusal>>,
    ) -> io::Result<()> {
        let first = outcomes.len();
        let end = batch.send_end(first);
        let count = u32::try_from(end - first).unwrap_or(u32::MAX);
        let sequence = self.take_sequences(count);
        let mut numbers = (0..count).map(|offset| sequence.wrapping_add(offset));
        for request in first..end {
            let start = batch.start(request);
            let number = numbers.next().unwrap_or(sequence);
            message::address(&mut batch.bytes[start..], number, request + 1 == end);
        }
        let span = batch.start(first)..batch.start(end);
        self.send(&batch.bytes[span], end - first, RequestClass::Mutation)?;
        outcomes.resize_with(end, || Ok(()));
        let last = count - 1;
        self.receive_until(|reply| {
            let offset = reply.sequence.wrapping_sub(sequence);
            if offset > last {
                return None;
            }
            if let (Some(refusal), Some(outcome)) =
                (refusal(reply.content), outcomes.get_mut(first + offset as usize))
            {
                *outcome = Err(refusal);
            }
            (offset == last && matches!(reply.content, Content::Answer { .. })).then_some(())
        })
    }

    fn dump_once<T>(
        &mut self,
        kind: u16,
        body: &impl Fn(&mut Vec<u8>),
        parse: &mut impl FnMut(u16, &[u8]) -> Option<T>,
    ) -> io::Result<Dumped<T>> {
        let sequence = self.take_sequences(1);
        let mut request = Vec::new();
        message::append(&mut request, kind, NLM_F_REQUEST | NLM_F_DUMP, body);
        message::address(&mut request, sequence, false);
        self.send(&request, 1, RequestClass::Dump)?;
        let mut found = Vec::new();
        let mut interrupted = false;
        let refused = self.receive_until(|reply| {
            if reply.sequence != sequence {
                return None;
            }
            interrupted |= reply.flags & NLM_F_DUMP_INTR != 0;
            match reply.content {
                Content::Data { kind, payload } => {
                    found.extend(parse(kind, payload));
                    None
                }
                Content::Done { code: 0 } => Some(None),
                Content::Done { code } => {
                    Some(Some(Refusal { code, echo: Vec::new(), explanation: None }))
                }
                Content::Answer { .. } => refusal(reply.content).map(Some),
                Content::Overrun | Content::Noop => None,
            }
        })?;
        Ok(match refused {
            Some(refusal) => Dumped::Refused(refusal),
            None if interrupted => Dumped::Interrupted,
            None => Dumped::Complete(found),
        })
    }

    /// Runs one exchange on a socket without left-overs, and remembers if it leaves any.
    fn cleanly<T>(&mut self, exchange: impl FnOnce(&mut Self) -> io::Result<T>) -> io::Result<T> {
        if self.unclean {
            self.transport.reopen()?;
        }
        self.unclean = true;
        let outcome = exchange(self)?;
        self.unclean = false;
        Ok(outcome)
    }

    fn take_sequences(&mut self, count: u32) -> u32 {
        let first = self.sequence;
        self.sequence = first.wrapping_add(count);
        first
    }

    fn send(&mut self, requests: &[u8], count: usize, class: RequestClass) -> io::Result<()> {
        loop {
            match self.transport.send(requests) {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.traffic.count_send(count, class);
        Ok(())
    }

    /// Reads datagrams until `each` makes something of a reply.
    fn receive_until<T>(&mut self, mut each: impl FnMut(Reply<'_>) -> Option<T>) -> io::Result<T> {
        loop {
            match self.transport.receive(&mut self.datagram) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(io::Error::new(
                        io::ErrorKind::TimedOut,
                        "no reply from the kernel",
                    ));
                }
                Err(error) => return Err(error),
            }
            let mut result = None;
            for reply in message::replies(&self.datagram) {
                let Some(reply) = reply else {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "malformed netlink reply",
                    ));
                };
                self.traffic.count_reply();
                if reply.content == Content::Overrun {
                    return Err(super::Errno::NOBUFS.into());
                }
                if result.is_none() {
                    result = each(reply);
                }
            }
            if let Some(result) = result {
                return Ok(result);
            }
        }
    }
}

enum Dumped<T> {
    Complete(Vec<T>),
    Refused(Refusal),
    Interrupted,
}

fn refusal(content: Content<'_>) -> Option<Refusal> {
    match content {
        Content::Answer { code, echo, explanation } if code != 0 => {
            Some(Refusal { code, echo: echo.to_vec(), explanation: explanation.map(str::to_owned) })
        }
        _ => None,
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
