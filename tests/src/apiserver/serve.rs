//! One connection after another, one request after another.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HeaderName, USER_AGENT};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use super::answer::{AnyBody, bytes, get, json, list, refusal, watch};
use super::discovery::discovery;
use super::journal::Recorded;
use super::request::{Asked, Verb};
use super::shared::Shared;
use super::status::Refusal;
use super::write::write;

/// The largest object, in bytes: what etcd takes.
const GREATEST_BODY: usize = 3 << 20;

/// Who is at the other end of a connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Peer {
    /// The certificate that it showed, if any.
    pub(super) certificate: Option<Vec<u8>>,
}

/// Answers the requests of one connection, until it ends.
pub(super) async fn converse(
    shared: Arc<Shared>,
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    address: String,
) {
    let service = service_fn(|request: Request<Incoming>| async {
        Ok::<_, Infallible>(respond(&shared, request, &peer, &address).await)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(io), service);
    // What goes wrong with a connection is its client's to see.
    let _ = connection.await;
}

async fn respond(
    shared: &Arc<Shared>,
    request: Request<Incoming>,
    peer: &Peer,
    address: &str,
) -> Response<AnyBody> {
    let (head, body) = request.into_parts();
    let mut recorded = recorded(&head);
    let response = match open_to_all(&head, address) {
        Some(response) => response,
        None => {
            let answered = known(shared, &head, body, peer, address, &mut recorded).await;
            answered.unwrap_or_else(|reason| refusal(&reason))
        }
    };
    recorded.status = response.status().as_u16();
    shared.journal().record(recorded);
    response
}

/// What is answered whoever asks.
fn open_to_all(head: &Parts, address: &str) -> Option<Response<AnyBody>> {
    match head.uri.path() {
        "/healthz" | "/livez" | "/readyz" => {
            Some(bytes(StatusCode::OK, "text/plain; charset=utf-8", b"ok".to_vec()))
        }
        path @ "/version" => discovery(path, address).map(|value| json(StatusCode::OK, &value)),
        _ => None,
    }
}

/// What is answered to whom the server knows.
async fn known(
    shared: &Arc<Shared>,
    head: &Parts,
    body: Incoming,
    peer: &Peer,
    address: &str,
    recorded: &mut Recorded,
) -> Result<Response<AnyBody>, Refusal> {
    let authorization = header(head, &AUTHORIZATION);
    let user = shared.access().user(authorization, peer.certificate.as_deref())?;
    recorded.user.clone_from(&user);
    let Some(asked) = Asked::read(head) else {
        let found = (head.method == Method::GET).then(|| discovery(head.uri.path(), address));
        return Ok(match found.flatten() {
            Some(value) => json(StatusCode::OK, &value),
            None => {
                let text = b"404 page not found\n".to_vec();
                bytes(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", text)
            }
        });
    };
    let asked = asked?;
    describe(recorded, &asked);
    shared.access().check(&user, &asked)?;
    let refused = shared.faults().refusal(&asked);
    if let Some(refused) = refused {
        return Err(refused);
    }
    match asked.verb {
        Verb::Get => get(shared, &asked),
        Verb::List => list(shared, &asked),
        Verb::Watch => watch(shared, asked),
        _ => {
            let body = Limited::new(body, GREATEST_BODY).collect().await;
            let body = body.map_err(|error| Refusal::bad_request(error.to_string()))?;
            write(shared, &asked, head, &body.to_bytes())
        }
    }
}

fn header<'a>(head: &'a Parts, name: &HeaderName) -> Option<&'a str> {
    head.headers.get(name).and_then(|value| value.to_str().ok())
}

fn recorded(head: &Parts) -> Recorded {
    Recorded {
        verb: head.method.as_str().to_lowercase(),
        uri: head.uri.to_string(),
        user_agent: header(head, &USER_AGENT).unwrap_or_default().to_owned(),
        ..Recorded::default()
    }
}

fn describe(recorded: &mut Recorded, asked: &Asked) {
    asked.verb.name().clone_into(&mut recorded.verb);
    asked.kind.group.clone_into(&mut recorded.group);
    asked.kind.plural.clone_into(&mut recorded.resource);
    recorded.namespace.clone_from(&asked.namespace);
    recorded.name.clone_from(&asked.name);
    let query = &asked.query;
    recorded.label_selector.clone_from(&query.label_selector);
    recorded.field_selector.clone_from(&query.field_selector);
    recorded.resource_version.clone_from(&query.resource_version);
    recorded.streaming = query.send_initial_events == Some(true);
}

/// Bytes that went out on all connections.
pub(super) fn bytes_sent(shared: &Shared) -> u64 {
    shared.lines.sent.load(Ordering::Relaxed)
}
