//! Refusals, in the form in which a server gives its reasons.

use std::time::Duration;

use serde_json::{Value, json};

use super::kind::Kind;
use super::store::Expired;

/// Why a request is not answered: an object of kind `Status` with an HTTP status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub code: u16,
    /// The word for programs, `Expired`.
    pub reason: &'static str,
    /// The sentence for people.
    pub message: String,
    details: Value,
    retry_after: Option<Duration>,
    form: Form,
}

/// What the body of a refusal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Status,
    /// The message alone, of a content type.
    Text(&'static str),
}

impl Refusal {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        let (message, details) = (message.into(), Value::Null);
        Self { code, reason, message, details, retry_after: None, form: Form::Status }
    }

    /// What is said with an HTTP status; `None` when no server answers with such a one.
    #[must_use]
    pub fn of_code(code: u16) -> Option<Self> {
        Some(match code {
            400 => Self::bad_request("the request was not understood"),
            401 => Self::unauthorized(),
            403 => Self::new(403, "Forbidden", "forbidden"),
            404 => Self::new(404, "NotFound", "the server could not find the requested resource"),
            409 => Self::new(409, "Conflict", "the object has been modified"),
            410 => Self::list_expired(),
            429 => Self::too_many_requests(Duration::from_secs(1)),
            500 => Self::internal("etcdserver: request timed out"),
            502 => Self::bad_gateway(),
            503 => Self::new(
                503,
                "ServiceUnavailable",
                "the server is currently unable to handle the request",
            ),
            504 => Self::new(504, "Timeout", "the server was unable to return a response in time"),
            _ => return None,
        })
    }

    /// Nobody can say who asks.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// The server has too much to do; the client shall wait.
    #[must_use]
    pub fn too_many_requests(retry_after: Duration) -> Self {
        let message =
            "the server has received too many requests and has asked us to try again later";
        let details = json!({ "retryAfterSeconds": retry_after.as_secs() });
        let retry_after = Some(retry_after);
        Self { details, retry_after, ..Self::new(429, "TooManyRequests", message) }
    }

    /// The server has more requests at the same time than it takes: told in plain text, before
    /// anything of the request was looked at.
    #[must_use]
    pub fn too_busy(retry_after: Duration) -> Self {
        let message = "Too many requests, please try again later.\n";
        let form = Form::Text("text/plain; charset=utf-8");
        let retry_after = Some(retry_after);
        Self { form, retry_after, ..Self::new(429, "TooManyRequests", message) }
    }

    /// What a load balancer says that finds no server behind it.
    #[must_use]
    pub fn bad_gateway() -> Self {
        let message = "<html><body><h1>502 Bad Gateway</h1></body></html>\n";
        Self { form: Form::Text("text/html"), ..Self::new(502, "", message) }
    }

    /// The server's fault.
    #[must_use]
    pub fn internal(cause: &str) -> Self {
        let details = json!({ "causes": [{ "message": cause }] });
        let message = format!("Internal error occurred: {cause}");
        Self { details, ..Self::new(500, "InternalError", message) }
    }

    /// A watch began too long ago.
    pub(super) fn watch_expired(asked: u64, expired: Expired) -> Self {
        let message = format!("too old resource version: {asked} ({})", expired.horizon + 1);
        Self::new(410, "Expired", message)
    }

    /// A list is asked for as of a revision that is forgotten.
    pub(super) fn list_expired() -> Self {
        let message = "The resourceVersion for the provided list is too old.";
        Self::new(410, "Expired", message)
    }

    /// A list is continued after its revision was forgotten.
    pub(super) fn continue_expired() -> Self {
        let message = "The provided continue parameter is too old to display a consistent list \
                       result. You must start a new list without the continue parameter.";
        Self::new(410, "Expired", message)
    }

    /// A revision is asked for that is not there yet.
    pub(super) fn too_large(asked: u64, current: u64) -> Self {
        let message = format!("Too large resource version: {asked}, current: {current}");
        let cause = "Too large resource version";
        let cause = json!({ "reason": "ResourceVersionTooLarge", "message": cause });
        let details = json!({ "causes": [cause], "retryAfterSeconds": 1 });
        let retry_after = Some(Duration::from_secs(1));
        let message = format!("Timeout: {message}");
        Self { details, retry_after, ..Self::new(504, "Timeout", message) }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// Options of a list or watch that do not go together.
    pub(super) fn invalid(message: &str) -> Self {
        let field = message.split(' ').next().unwrap_or_default();
        let text = format!("Forbidden: {message}");
        let cause = json!({ "reason": "FieldValueForbidden", "message": text, "field": field });
        let group = "meta.k8s.io";
        let details = json!({ "group": group, "kind": "ListOptions", "causes": [cause] });
        let message = format!("ListOptions.{group} \"\" is invalid: {field}: {text}");
        Self { details, ..Self::new(422, "Invalid", message) }
    }

    /// An object that breaks rules, each given as a field and what is wrong with it.
    pub(super) fn invalid_object(kind: &Kind, name: &str, faults: &[(&str, &str)]) -> Self {
        let group = if kind.group.is_empty() { String::new() } else { format!(".{}", kind.group) };
        let texts = faults.iter().map(|(field, fault)| format!("{field}: {fault}"));
        let texts = texts.collect::<Vec<_>>().join(", ");
        let texts = if faults.len() > 1 { format!("[{texts}]") } else { texts };
        let message = format!("{}{group} \"{name}\" is invalid: {texts}", kind.kind);
        let cause = |(field, fault): &(&str, &str)| {
            let is_missing = fault.starts_with("Required");
            let reason = if is_missing { "FieldValueRequired" } else { "FieldValueInvalid" };
            json!({ "reason": reason, "message": fault, "field": field })
        };
        let mut details = details(kind, name);
        details["kind"] = kind.kind.into();
        details["causes"] = faults.iter().map(cause).collect();
        Self { details, ..Self::new(422, "Invalid", message) }
    }

    pub(super) fn forbidden(kind: &Kind, name: &str, why: &str) -> Self {
        let message = match name {
            "" => format!("{} is forbidden: {why}", qualified(kind)),
            name => format!("{} \"{name}\" is forbidden: {why}", qualified(kind)),
        };
        Self { details: details(kind, name), ..Self::new(403, "Forbidden", message) }
    }

    pub(super) fn not_found(kind: &Kind, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", qualified(kind));
        Self { details: details(kind, name), ..Self::new(404, "NotFound", message) }
    }

    pub(super) fn already_exists(kind: &Kind, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", qualified(kind));
        Self { details: details(kind, name), ..Self::new(409, "AlreadyExists", message) }
    }

    pub(super) fn conflict(kind: &Kind, name: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{name}\": the object has been modified; please \
             apply your changes to the latest version and try again",
            qualified(kind)
        );
        Self { details: details(kind, name), ..Self::new(409, "Conflict", message) }
    }

    pub(super) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(405, "MethodNotAllowed", message)
    }

    pub(super) fn unsupported_media_type(given: &str) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: \
             application/json, application/json-patch+json, application/merge-patch+json, \
             application/strategic-merge-patch+json; given: {given}"
        );
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// Seconds for the header `Retry-After`.
    pub(super) fn retry_after(&self) -> Option<u64> {
        self.retry_after.map(|duration| duration.as_secs())
    }

    /// Its body, with the content type.
    pub(super) fn body(&self) -> (&'static str, Vec<u8>) {
        match self.form {
            Form::Status => ("application/json", self.status().to_string().into_bytes()),
            Form::Text(content_type) => (content_type, self.message.clone().into_bytes()),
        }
    }

    /// It as an object.
    #[must_use]
    pub fn status(&self) -> Value {
        let Self { code, reason, message, details, .. } = self;
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            "code": code,
        });
        if !details.is_null() {
            status["details"] = details.clone();
        }
        status
    }
}

/// `endpointslices.discovery.k8s.io`.
fn qualified(kind: &Kind) -> String {
    match kind.group {
        "" => kind.plural.to_owned(),
        group => format!("{}.{group}", kind.plural),
    }
}

fn details(kind: &Kind, name: &str) -> Value {
    let mut details = json!({ "kind": kind.plural });
    for (key, value) in [("name", name), ("group", kind.group)] {
        if !value.is_empty() {
            details[key] = value.into();
        }
    }
    details
}
