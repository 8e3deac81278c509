//! Answers at `/page`, for those who may look.

use std::net::IpAddr;
use std::sync::Arc;

use hyper::{Method, StatusCode};
use proxy_core::ServiceKey;
use tokio::task::spawn_blocking;

use super::detail::detail;
use super::frame::{apology, framed};
use super::list::list;
use super::looks::Looks;
use super::query::{PATH, Query};
use crate::config::PageFor;
use crate::serve::{Answer, Asked};
use crate::status::{Desk, Failed, Scope};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const STYLE: &str = include_str!("style.css");

/// Nothing is loaded from elsewhere or run, nobody frames it, and its addresses, which name Services,
/// go nowhere.
const HEADERS: &[(&str, &str)] = &[
    (
        "content-security-policy",
        "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'",
    ),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cache-control", "no-store"),
];

/// What can be done here (RFC 9110, section 15.5.6).
const ALLOW: &[(&str, &str)] = &[("allow", "GET, HEAD")];

/// The page. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    desk: Desk,
    audience: PageFor,
    names: Names,
    looks: Looks,
}

/// Under which names the page is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    /// Under this machine's own: a web site could have its own name lead here, and its readers' browsers
    /// read along for it.
    Local,
    Any,
}

impl Page {
    /// A page for an audience, at a server that listens at `address`; `None` if that is nobody.
    pub(crate) fn new(desk: Desk, audience: PageFor, address: IpAddr) -> Option<Self> {
        let names = match audience {
            PageFor::Nobody => return None,
            PageFor::Loopback => Names::Local,
            // Who may look is on this machine, or came through something on it.
            PageFor::Everybody if address.to_canonical().is_loopback() => Names::Local,
            PageFor::Everybody => Names::Any,
        };
        Some(Self { desk, audience, names, looks: Looks::default() })
    }

    /// What there is at a path; `None` if it is not the page's, or whoever asks may not look.
    pub(crate) async fn answer(&self, asked: &Asked) -> Option<Answer> {
        let is_style = asked.path.strip_prefix(PATH)? == ".css";
        if !is_style && asked.path != PATH || !self.may_look(asked.peer) {
            return None;
        }
        if self.names == Names::Local && !is_local(asked.host.as_deref()) {
            let words = "this is a page for localhost only\n";
            return Some(Answer { status: StatusCode::MISDIRECTED_REQUEST, ..Answer::text(words) });
        }
        if asked.method != Method::GET && asked.method != Method::HEAD {
            let words = "this page can be looked at, and nothing else\n";
            let status = StatusCode::METHOD_NOT_ALLOWED;
            return Some(Answer { status, headers: ALLOW, ..Answer::text(words) });
        }
        if is_style {
            return Some(style());
        }
        let query = Query::read(asked.query.as_deref().unwrap_or_default());
        let (status, page) = match self.view(query.clone()).await {
            Ok(page) => (StatusCode::OK, page),
            Err((status, words)) => (status, apology(&words, &query)),
        };
        Some(Answer { status, ..shown(page) })
    }

    fn may_look(&self, peer: Option<IpAddr>) -> bool {
        match self.audience {
            PageFor::Nobody => false,
            PageFor::Loopback => peer.is_some_and(|peer| peer.to_canonical().is_loopback()),
            PageFor::Everybody => true,
        }
    }

    async fn view(&self, query: Query) -> Result<String, Failed> {
        let service = query.service.clone();
        let (status, history) = match &service {
            None => self.looks.everything(&self.desk).await?,
            Some(service) => {
                let status = self.desk.status(Scope::Service(key(service)?)).await?;
                (Arc::new(status), self.looks.history())
            }
        };
        // Rows of a large node take a while to sort.
        let written = spawn_blocking(move || {
            let content = match &service {
                None => list(&status, &history, &query),
                Some(service) => detail(&status, service, &history),
            };
            framed(&status, &query, &content)
        });
        written.await.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
    }
}

/// A view as an answer.
pub(super) fn shown(page: String) -> Answer {
    Answer { content_type: HTML, headers: HEADERS, ..Answer::text(page) }
}

/// What all views look like.
pub(super) fn style() -> Answer {
    Answer { content_type: CSS, headers: HEADERS, ..Answer::text(STYLE) }
}

/// Whether a request is for this machine by its own name, and not for a name that somebody made lead
/// here.
fn is_local(host: Option<&str>) -> bool {
    let Some(host) = host else { return false };
    let name = host.rsplit_once(':').map_or(host, |(name, port)| {
        let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
        if is_port && !name.ends_with(':') { name } else { host }
    });
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|it| it.is_loopback())
}

fn key(service: &str) -> Result<ServiceKey, Failed> {
    let key = service.split_once('/').map(|(namespace, name)| ServiceKey::new(namespace, name));
    key.ok_or_else(|| {
        (StatusCode::BAD_REQUEST, format!("{service:?} is no Service; write NAMESPACE/NAME"))
    })
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
