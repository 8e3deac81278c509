//! What a node tells Prometheus.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use super::Node;

/// The longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// An answer stands for so long.
const FRESH: Duration = Duration::from_millis(1100);

/// Metrics as they are told on the node itself.
#[derive(Debug)]
pub struct Metrics(String);

impl Metrics {
    /// What `node` tells now. The next call will tell something new.
    ///
    /// # Panics
    /// When it does not answer, or not with metrics.
    #[must_use]
    pub fn of(node: &Node) -> Self {
        let answer = node.namespace.enter(|| {
            let mut stream = TcpStream::connect("127.0.0.1:10249").expect("somebody listens");
            stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
            stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").expect("it is heard");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("the answer is text");
            answer
        });
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        thread::sleep(FRESH);
        Self(body.to_owned())
    }

    /// All of it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The number of the first time series with this name and all of these labels.
    #[must_use]
    pub fn number(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels: Vec<_> =
            labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        let has_name =
            |line: &str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        let has_labels = |line: &str| labels.iter().all(|label| line.contains(label));
        let line = self.0.lines().find(|line| has_name(line) && has_labels(line))?;
        line.rsplit(' ').next()?.parse().ok()
    }
}
