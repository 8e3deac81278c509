//! HTTP as it is on the wire.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;
use tests::apiserver::ApiServer;

/// How long an answer may take, and how long silence is when nothing may come.
pub(crate) const LONG: Duration = Duration::from_secs(20);
pub(crate) const SHORT: Duration = Duration::from_millis(300);

/// An answer whose body is read in pieces.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    reader: BufReader<TcpStream>,
    /// What is left of a chunk, and whether the last one was seen.
    rest: Vec<u8>,
    ended: bool,
}

/// How a body stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// By its last chunk.
    InOrder,
    /// The connection was closed before that.
    Broken,
    /// The connection was reset.
    Reset,
    /// Not: nothing came for a while.
    Silence,
}

/// Sends a request, and reads the head of the answer.
pub(crate) fn ask(address: SocketAddr, request: &str, headers: &str, body: &str) -> Answer {
    try_ask(address, request, headers, body).expect("the head of an answer comes")
}

/// The same; `None` when there is no answer.
pub(crate) fn try_ask(
    address: SocketAddr,
    request: &str,
    headers: &str,
    body: &str,
) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(LONG)).unwrap();
    let length = body.len();
    write!(stream, "{request} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n").unwrap();
    write!(stream, "{headers}\r\n{body}").unwrap();
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let head = head.to_lowercase();
    Some(Answer { status, head, reader, rest: Vec::new(), ended: false })
}

/// Reads a path of a server.
pub(crate) fn get(server: &ApiServer, path: &str) -> Answer {
    ask(server.address(), &format!("GET {path}"), "", "")
}

impl Answer {
    /// The whole body, as text.
    pub(crate) fn text(mut self) -> String {
        let length = self.head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = Vec::new();
        match length {
            Some(length) => {
                body.resize(length.parse().unwrap(), 0);
                self.reader.read_exact(&mut body).unwrap();
            }
            None => while self.read_chunk(&mut body, LONG) == Ok(()) {},
        }
        String::from_utf8(body).unwrap()
    }

    /// The whole body, as an object.
    pub(crate) fn json(self) -> Value {
        let text = self.text();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Checks the next lines in short, `ADDED a 3`, or how it ends. `Silence` is waited for a
    /// short time, everything else for a long one.
    #[track_caller]
    pub(crate) fn expect(&mut self, expected: &[&str]) {
        let said: Vec<_> = expected
            .iter()
            .map(|expected| self.told(if *expected == "Silence" { SHORT } else { LONG }))
            .collect();
        assert_eq!(said, expected);
    }

    /// Reads on until a line is this one.
    pub(crate) fn skip_to(&mut self, wanted: &str) {
        loop {
            let told = self.told(LONG);
            if told == wanted {
                return;
            }
            assert!(told.contains(' '), "{wanted} does not come before {told}");
        }
    }

    /// The next line of a watch.
    pub(crate) fn line(&mut self) -> Result<Value, End> {
        self.line_within(LONG)
    }

    fn line_within(&mut self, patience: Duration) -> Result<Value, End> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return Ok(serde_json::from_slice(&line).unwrap());
            }
            let mut rest = std::mem::take(&mut self.rest);
            let more = self.read_chunk(&mut rest, patience);
            self.rest = rest;
            more?;
        }
    }

    /// What is left of a line that never ended.
    pub(crate) fn half_line(&self) -> &[u8] {
        &self.rest
    }

    fn told(&mut self, patience: Duration) -> String {
        match self.line_within(patience) {
            Err(end) => format!("{end:?}"),
            Ok(line) => {
                let object = &line["object"];
                let metadata = &object["metadata"];
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let kind = text(&line["type"]);
                if kind == "ERROR" {
                    return format!("{kind} {} {}", object["code"], text(&object["message"]));
                }
                let name = text(&metadata["name"]);
                [kind, name, text(&metadata["resourceVersion"])]
                    .into_iter()
                    .filter(|part| !part.is_empty())
                    .collect::<Vec<_>>()
                    .join(" ")
            }
        }
    }

    fn read_chunk(&mut self, to: &mut Vec<u8>, patience: Duration) -> Result<(), End> {
        if self.ended {
            return Err(End::InOrder);
        }
        self.reader.get_ref().set_read_timeout(Some(patience)).unwrap();
        let mut length = String::new();
        let failed = |error: std::io::Error| match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => End::Silence,
            ErrorKind::ConnectionReset => End::Reset,
            _ => End::Broken,
        };
        if self.reader.read_line(&mut length).map_err(failed)? == 0 {
            return Err(End::Broken);
        }
        let length = usize::from_str_radix(length.trim(), 16).expect("a chunk has a length");
        let mut chunk = vec![0; length + 2];
        self.reader.get_ref().set_read_timeout(Some(LONG)).unwrap();
        self.reader.read_exact(&mut chunk).map_err(failed)?;
        chunk.truncate(length);
        to.extend_from_slice(&chunk);
        self.ended = length == 0;
        if self.ended { Err(End::InOrder) } else { Ok(()) }
    }
}
