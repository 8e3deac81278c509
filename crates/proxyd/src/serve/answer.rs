//! What a client is answered.

use hyper::StatusCode;
use hyper::body::Bytes;

/// JSON, as kube-proxy's health servers call it.
const JSON: &str = "application/json";
/// Text.
const TEXT: &str = "text/plain; charset=utf-8";

/// What a client is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: &'static str,
    /// How much of a load balancer's traffic this node can take.
    pub(crate) weight: Option<usize>,
    /// Others, with names in lower case.
    pub(crate) headers: &'static [(&'static str, &'static str)],
    /// Clones share it.
    pub(crate) body: Bytes,
}

impl Answer {
    /// A document in JSON.
    pub(crate) fn json(status: StatusCode, body: String) -> Self {
        Self { status, content_type: JSON, ..Self::text(body) }
    }

    /// All is well, in words.
    pub(crate) fn text(body: impl Into<Bytes>) -> Self {
        let (status, body) = (StatusCode::OK, body.into());
        Self { status, content_type: TEXT, weight: None, headers: &[], body }
    }

    /// There is nothing at this path.
    pub(crate) fn not_found() -> Self {
        Self { status: StatusCode::NOT_FOUND, ..Self::text("404 page not found\n") }
    }

    /// The body as text.
    #[cfg(test)]
    pub(crate) fn words(&self) -> String {
        String::from_utf8(self.body.to_vec()).expect("all answers are text")
    }
}
