//! Answers to requests that read: one object, a list in parts, a watch.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::io;
use std::sync::Arc;

use futures::stream::unfold;
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Bytes, Frame};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use serde_json::Value;

use super::kind::Kind;
use super::object::{Key, Object};
use super::request::Asked;
use super::shared::Shared;
use super::status::Refusal;
use super::store::{Page, Range};
use super::watch::{Mark, Start, Watch, refused};

/// The body of any answer.
pub(super) type AnyBody = UnsyncBoxBody<Bytes, io::Error>;

/// Bytes of a list that are handed over at once, about.
const CHUNK: usize = 128 << 10;

/// Answers with an object, or anything else in JSON.
pub(super) fn json(status: StatusCode, value: &Value) -> Response<AnyBody> {
    bytes(status, "application/json", value.to_string().into_bytes())
}

/// Answers with text of a kind.
pub(super) fn bytes(
    status: StatusCode,
    content_type: &'static str,
    text: Vec<u8>,
) -> Response<AnyBody> {
    let body = Full::new(Bytes::from(text)).map_err(|never: Infallible| match never {});
    answer(status, content_type, body.boxed_unsync())
}

/// Answers with a refusal.
pub(super) fn refusal(refusal: &Refusal) -> Response<AnyBody> {
    let status = StatusCode::from_u16(refusal.code).expect("refusals have statuses of HTTP");
    let (content_type, body) = refusal.body();
    let mut response = bytes(status, content_type, body);
    if let Some(seconds) = refusal.retry_after() {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

fn answer(status: StatusCode, content_type: &'static str, body: AnyBody) -> Response<AnyBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

/// One object.
pub(super) fn get(shared: &Shared, asked: &Asked) -> Result<Response<AnyBody>, Refusal> {
    let store = shared.store();
    let object = store.get(asked.kind, &asked.key());
    let object = object.ok_or_else(|| Refusal::not_found(asked.kind, &asked.name))?;
    Ok(whole(StatusCode::OK, asked.kind, object))
}

/// One object that is at hand.
pub(super) fn whole(status: StatusCode, kind: &Kind, object: &Object) -> Response<AnyBody> {
    let mut text = Vec::with_capacity(object.size());
    object.write(kind, object.revision, &mut text);
    bytes(status, "application/json", text)
}

/// A list, or a part of one.
pub(super) fn list(shared: &Shared, asked: &Asked) -> Result<Response<AnyBody>, Refusal> {
    let (kind, query) = (asked.kind, &asked.query);
    query.validate(shared.manners.streaming)?;
    let range = asked.range()?;
    let store = shared.store();
    let (revision, start) = match &query.continue_from[..] {
        "" => (list_revision(asked, store.revision())?, None),
        token => {
            let (revision, key) = read_continue(token)?;
            (revision, Some(key))
        }
    };
    // What is asked for without a wish about its age comes from memory, whole.
    let limit = if query.resource_version == "0" { 0 } else { query.limit };
    let page = store.list(kind, &range, revision, start.as_ref(), limit);
    let page = page.map_err(|_| match start {
        None => Refusal::list_expired(),
        Some(_) => Refusal::continue_expired(),
    })?;
    drop(store);
    let parts = list_parts(kind, revision, page);
    Ok(answer(StatusCode::OK, "application/json", StreamBody::new(parts).boxed_unsync()))
}

/// The revision of which a list is wanted.
fn list_revision(asked: &Asked, current: u64) -> Result<u64, Refusal> {
    let query = &asked.query;
    let Some(wanted) = query.revision()? else { return Ok(current) };
    if wanted > current {
        return Err(Refusal::too_large(wanted, current));
    }
    let is_exact = query.resource_version_match == "Exact"
        || (query.resource_version_match.is_empty() && query.limit > 0 && wanted > 0);
    Ok(if is_exact { wanted } else { current })
}

fn list_parts(
    kind: &'static Kind,
    revision: u64,
    page: Page,
) -> impl futures::Stream<Item = io::Result<Frame<Bytes>>> + Send {
    let (name, api_version) = (kind.kind, kind.api_version());
    let mut head = format!(
        r#"{{"kind":"{name}List","apiVersion":"{api_version}","metadata":{{"resourceVersion":"{revision}""#
    );
    if let Some(next) = &page.next {
        let _ = write!(head, r#","continue":"{}""#, continue_token(revision, next));
    }
    if let Some(remaining) = page.remaining {
        let _ = write!(head, r#","remainingItemCount":{remaining}"#);
    }
    head.push_str(r#"},"items":["#);
    let objects = page.objects.into_iter();
    unfold((head.into_bytes(), Some(objects), true), |(head, objects, first)| async move {
        let (mut chunk, mut objects, mut first) = (head, objects?, first);
        while chunk.len() < CHUNK {
            let Some(object) = objects.next() else {
                chunk.extend_from_slice(b"]}\n");
                return Some((Ok(Frame::data(chunk.into())), (Vec::new(), None, false)));
            };
            if !first {
                chunk.push(b',');
            }
            first = false;
            object.write_item(&mut chunk);
        }
        let rest = (Vec::with_capacity(CHUNK * 2), Some(objects), first);
        Some((Ok(Frame::data(chunk.into())), rest))
    })
}

/// What a client sends back, without knowing what it means, to get the next part.
fn continue_token(revision: u64, next: &Key) -> String {
    format!("{revision}:{}/{}", next.namespace, next.name)
}

fn read_continue(token: &str) -> Result<(u64, Key), Refusal> {
    let read = || {
        let (revision, key) = token.split_once(':')?;
        let (namespace, name) = key.split_once('/')?;
        let key = Key { namespace: namespace.to_owned(), name: name.to_owned() };
        Some((revision.parse().ok()?, key))
    };
    read().ok_or_else(|| Refusal::bad_request("continue key is not valid"))
}

/// A watch.
pub(super) fn watch(shared: &Arc<Shared>, asked: Asked) -> Result<Response<AnyBody>, Refusal> {
    asked.query.validate(shared.manners.streaming)?;
    let range = asked.range()?;
    let content = "application/json";
    let body = match watch_start(shared, &asked, &range)? {
        Ok(start) => {
            let watch = Watch::new(Arc::clone(shared), asked, range, start);
            StreamBody::new(watch.body()).boxed_unsync()
        }
        Err(refusal) => {
            let body = StreamBody::new(refused(&refusal));
            body.map_err(|never| match never {}).boxed_unsync()
        }
    };
    Ok(answer(StatusCode::OK, content, body))
}

/// Where a watch begins. A revision that expired is refused inside of the watch, as servers do.
fn watch_start(
    shared: &Shared,
    asked: &Asked,
    range: &Range,
) -> Result<Result<Start, Refusal>, Refusal> {
    let store = shared.store();
    let (current, query) = (store.revision(), &asked.query);
    let wanted = query.revision()?;
    let begins_with_objects = match (query.send_initial_events, wanted) {
        (Some(sends), _) => sends,
        (None, wanted) => wanted.is_none_or(|wanted| wanted == 0),
    };
    if begins_with_objects {
        let wanted = wanted.unwrap_or_default();
        if wanted > current {
            return Err(Refusal::too_large(wanted, current));
        }
        let all = store.list(asked.kind, range, current, None, 0);
        let initial = all.expect("the current revision does not expire").objects;
        let is_marked = query.send_initial_events == Some(true) && query.bookmarks;
        let mark = if is_marked { Mark::Due } else { Mark::No };
        return Ok(Ok(Start { initial, mark, told: current }));
    }
    let told = wanted.filter(|wanted| *wanted > 0).unwrap_or(current);
    Ok(match store.changes(asked.kind, told, 0) {
        Ok(_) => Ok(Start { initial: Vec::new(), mark: Mark::No, told }),
        Err(expired) => Err(Refusal::watch_expired(told, expired)),
    })
}
