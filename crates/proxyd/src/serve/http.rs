//! Answers HTTP requests, one a connection, whatever clients do.
//!
//! Nobody is trusted to be quick or brief: a connection has a time to live, a request has a
//! greatest size, and of too many connections the oldest goes. So no client can keep the servers
//! from answering others.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http::request::Parts;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tracing::debug;

use super::answer::Answer;

/// From the beginning of a connection to its end.
const TIME_TO_LIVE: Duration = Duration::from_secs(10);
/// A request line with its headers, in bytes.
const GREATEST_HEAD: usize = 16 << 10;
/// What is read of a body, and not looked at, before the answer.
const GREATEST_BODY: usize = 64 << 10;
/// Connections at the same time, over all servers. A probe takes a millisecond.
const MOST_CONNECTIONS: usize = 128;
/// How long nothing is accepted when accepting failed: descriptors may have run out.
const REST: Duration = Duration::from_millis(100);

const WEIGHT: HeaderName = HeaderName::from_static("x-load-balancing-endpoint-weight");

/// The connections of all servers. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Connections {
    /// From the oldest to the youngest.
    all: Arc<Mutex<VecDeque<AbortHandle>>>,
    time_to_live: Duration,
}

impl Default for Connections {
    fn default() -> Self {
        Self { all: Arc::default(), time_to_live: TIME_TO_LIVE }
    }
}

impl Connections {
    /// The same, where an answer may take longer.
    pub(crate) fn living(time_to_live: Duration) -> Self {
        Self { time_to_live, ..Self::default() }
    }

    /// Takes in one more; if there are too many, the oldest ends.
    fn admit(&self, connection: AbortHandle) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST_CONNECTIONS {
            all.retain(|one| !one.is_finished());
        }
        if all.len() >= MOST_CONNECTIONS
            && let Some(oldest) = all.pop_front()
        {
            oldest.abort();
        }
        all.push_back(connection);
    }
}

/// What a client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    /// Without the query.
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    /// The header of this name.
    pub(crate) host: Option<String>,
    /// Where the client is; `None` if that is a socket of this machine.
    pub(crate) peer: Option<IpAddr>,
}

/// Where clients come from.
pub(crate) trait Listener {
    /// A client's connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next client, and where it is.
    fn next(&self) -> impl Future<Output = io::Result<(Self::Stream, Option<IpAddr>)>> + Send;
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn next(&self) -> io::Result<(TcpStream, Option<IpAddr>)> {
        let (stream, peer) = self.accept().await?;
        Ok((stream, Some(peer.ip())))
    }
}

impl Listener for UnixListener {
    type Stream = UnixStream;

    async fn next(&self) -> io::Result<(UnixStream, Option<IpAddr>)> {
        Ok((self.accept().await?.0, None))
    }
}

/// Answers at `listener` what `answer` says, until it is dropped.
pub(crate) async fn serve<F>(
    listener: impl Listener,
    connections: Connections,
    answer: impl Fn(Asked) -> F + Clone + Send + Sync + 'static,
) where
    F: Future<Output = Option<Answer>> + Send + 'static,
{
    loop {
        match listener.next().await {
            Ok((stream, peer)) => {
                let conversation = converse(stream, peer, answer.clone());
                let connection = tokio::spawn(timeout(connections.time_to_live, conversation));
                connections.admit(connection.abort_handle());
            }
            Err(error) => {
                debug!("accept a connection: {error}");
                sleep(REST).await;
            }
        }
    }
}

async fn converse<F>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Option<IpAddr>,
    answer: impl Fn(Asked) -> F + Send + Sync + 'static,
) where
    F: Future<Output = Option<Answer>> + Send + 'static,
{
    let service = service_fn(|request: Request<Incoming>| async {
        let (head, body) = request.into_parts();
        discard(body).await;
        let answer = answer(asked(head, peer)).await;
        Ok::<_, Infallible>(response(answer.unwrap_or_else(Answer::not_found)))
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(GREATEST_HEAD)
        .title_case_headers(true)
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        debug!("a request was not answered: {error}");
    }
}

fn asked(head: Parts, peer: Option<IpAddr>) -> Asked {
    let host = head.headers.get(HOST).and_then(|host| host.to_str().ok());
    Asked {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().map(str::to_owned),
        host: host.map(str::to_owned),
        peer,
    }
}

/// Reads on, up to a limit: a client that still sends when the connection is closed may not see the
/// answer.
async fn discard(mut body: Incoming) {
    let mut length = 0;
    while length < GREATEST_BODY {
        match poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            Some(Ok(frame)) => length += frame.data_ref().map_or(0, |data| data.len()),
            Some(Err(_)) | None => return,
        }
    }
}

fn response(answer: Answer) -> Response<Whole> {
    let Answer { status, content_type, weight, headers: others, body } = answer;
    let mut response = Response::new(Whole(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Some(weight) = weight {
        headers.insert(WEIGHT, weight.into());
    }
    for (name, value) in others {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}

/// A body that is there as a whole, and may be shared with other answers: a client that does not
/// read costs no copy of it.
struct Whole(Bytes);

impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = std::mem::take(&mut self.0);
        Poll::Ready((!data.is_empty()).then(|| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
