//! What can go wrong with a request or a watch, and what follows from it.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use tokio::time::timeout;

/// An API server that has not begun to answer by then does not. Its own limit is a minute.
const ANSWER: Duration = Duration::from_secs(65);

/// Why something was not heard.
#[derive(Debug)]
pub(super) enum Failure {
    /// The request failed, or the watch broke.
    Request(kube::Error),
    /// No answer came in time.
    NoAnswer,
    /// The watch ended as soon as it began, or before the list was whole.
    Ended,
    /// Nothing came, not even a bookmark.
    Silence,
}

/// What follows from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// The same again.
    Retry,
    /// The same again with a client made anew: files with credentials may have changed.
    Reconnect,
    /// A list: where the watch was is not known any more, or not yet.
    Relist,
    /// A list, in pages.
    ListPaged,
}

/// What a request comes to, in time.
pub(super) async fn answer<T>(
    request: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, Failure> {
    timeout(ANSWER, request).await.map_err(|_| Failure::NoAnswer)?.map_err(Failure::Request)
}

impl Failure {
    pub(super) fn remedy(&self) -> Remedy {
        let status = match self {
            // A server that was restored from a backup says nothing until it comes to the version
            // from which on it was asked, and then goes on as if nothing had been between.
            Self::Silence => return Remedy::Relist,
            Self::NoAnswer | Self::Ended => return Remedy::Retry,
            Self::Request(kube::Error::Api(status)) => status,
            Self::Request(_) if self.is_about_certificates() => return Remedy::Reconnect,
            Self::Request(_) => return Remedy::Retry,
        };
        match status.code {
            401 => Remedy::Reconnect,
            410 => Remedy::Relist,
            // A server that was restored from a backup has yet to come to the version that is asked for.
            504 if status.message.contains("Too large resource version") => Remedy::Relist,
            // What `sendInitialEvents` says to a server that does not know it.
            400 | 422 => Remedy::ListPaged,
            _ => Remedy::Retry,
        }
    }

    /// Whether the API server answered at all.
    pub(super) const fn is_refusal(&self) -> bool {
        matches!(self, Self::Request(kube::Error::Api(_)))
    }

    /// What whoever runs the node can do, if that is known.
    pub(super) fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Request(kube::Error::Api(status)) => match status.code {
                401 => Some(
                    "the token or certificate of clientConnection.kubeconfig is none that this \
                     API server knows; renew it",
                ),
                403 => Some("give its user the ClusterRole system:node-proxier"),
                _ => None,
            },
            Self::Request(_) if self.is_about_certificates() => Some(
                "server and certificate-authority in clientConnection.kubeconfig must be of one \
                 cluster",
            ),
            _ => None,
        }
    }

    fn is_about_certificates(&self) -> bool {
        matches!(self, Self::Request(error) if words(error).contains("invalid peer certificate"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(error) => f.write_str(&words(error))?,
            Self::NoAnswer => write!(f, "no answer within {} s", ANSWER.as_secs())?,
            Self::Ended => f.write_str("it was ended as soon as it began")?,
            Self::Silence => {
                f.write_str("nothing is heard of it, not even that nothing changed")?
            }
        }
        self.advice().map_or(Ok(()), |advice| write!(f, "; {advice}"))
    }
}

/// The error with its causes, once each.
fn words(error: &kube::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !words.contains(&more) {
            words = format!("{words}: {more}");
        }
        cause = error.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[track_caller]
    fn check(code: u16, message: &str, expected: Remedy) {
        let status = Status::failure(message, "Reason").with_code(code).boxed();
        let failure = Failure::Request(kube::Error::Api(status));
        assert_eq!(failure.remedy(), expected, "{failure}");
    }

    #[test]
    fn what_follows_depends_on_what_was_said() {
        check(401, "Unauthorized", Remedy::Reconnect);
        check(403, "services is forbidden", Remedy::Retry);
        check(410, "too old resource version: 5 (9)", Remedy::Relist);
        check(422, "sendInitialEvents is forbidden", Remedy::ListPaged);
        check(500, "etcdserver: request timed out", Remedy::Retry);
        check(504, "Timeout: Too large resource version: 9, current: 5", Remedy::Relist);
        check(504, "the server was unable to return a response in time", Remedy::Retry);
        assert_eq!(Failure::Silence.remedy(), Remedy::Relist);
        assert_eq!(Failure::Ended.remedy(), Remedy::Retry);
    }

    #[test]
    fn a_refusal_comes_with_what_to_do_about_it() {
        let status = Status::failure("services is forbidden", "Forbidden").with_code(403).boxed();
        let words = Failure::Request(kube::Error::Api(status)).to_string();
        assert!(words.contains("services is forbidden"), "{words}");
        assert!(words.ends_with("; give its user the ClusterRole system:node-proxier"), "{words}");
    }
}
