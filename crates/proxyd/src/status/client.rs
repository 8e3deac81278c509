//! Asks a daemon over its socket.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use serde::de::DeserializeOwned;

use super::document::Refused;

/// The daemon answers in this time, or says why not.
const PATIENCE: Duration = Duration::from_secs(120);

/// The way to a daemon.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    socket: PathBuf,
}

impl Client {
    pub(crate) fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// The document at a path.
    ///
    /// # Errors
    /// No daemon answers, with the remedy, or it says why it cannot.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let text = self.text("GET", path)?;
        serde_json::from_str(&text)
            .with_context(|| format!("understand what the daemon says of {path}"))
    }

    /// What the daemon did.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) fn post<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let text = self.text("POST", path)?;
        serde_json::from_str(&text)
            .with_context(|| format!("understand what the daemon says of {path}"))
    }

    /// The body at a path.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) fn text(&self, method: &str, path: &str) -> anyhow::Result<String> {
        let mut stream =
            UnixStream::connect(&self.socket).map_err(|error| unreachable(&self.socket, &error))?;
        let asked = || format!("ask the daemon at {}", self.socket.display());
        stream.set_read_timeout(Some(PATIENCE)).with_context(asked)?;
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: proxyd\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(request.as_bytes()).with_context(asked)?;
        let mut response = Vec::new();
        stream.read_to_end(&mut response).with_context(asked)?;
        let response = String::from_utf8(response).with_context(asked)?;
        let (head, body) = response.split_once("\r\n\r\n").with_context(|| {
            format!("the daemon at {} broke off; see its log", self.socket.display())
        })?;
        match head.split(' ').nth(1) {
            Some("200") => Ok(body.to_owned()),
            status => {
                let refused = serde_json::from_str::<Refused>(body).ok();
                match refused.filter(|refused| !refused.error.is_empty()) {
                    Some(Refused { error }) => bail!("{error}"),
                    None => bail!(
                        "the daemon at {} does not know {path} (status {}): it is of another \
                         version than this program, {}",
                        self.socket.display(),
                        status.unwrap_or_default(),
                        env!("CARGO_PKG_VERSION")
                    ),
                }
            }
        }
    }
}

fn unreachable(socket: &Path, error: &io::Error) -> anyhow::Error {
    let socket = socket.display();
    let remedy = match error.kind() {
        io::ErrorKind::NotFound => {
            "there is no such socket. Start `proxyd run` on this node; if it runs, run this where \
             it does (in its pod, say), or give --socket as it is given there"
        }
        io::ErrorKind::ConnectionRefused => {
            "the one that did is gone. Start it again; `proxyd diff` with --manifests or --config \
             works without it, and so does `proxyd bundle`"
        }
        io::ErrorKind::PermissionDenied => "only root may ask. Run this as root",
        _ => return anyhow::anyhow!("no proxyd answers at {socket}: {error}"),
    };
    anyhow::anyhow!("no proxyd answers at {socket}: {remedy}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::testing::Scratch;

    #[test]
    fn nobody_who_answers_is_an_error_with_the_remedy() {
        let scratch = Scratch::new();
        let path = scratch.path().join("proxyd.sock");
        let error = Client::new(&path).text("GET", "/v1/status").unwrap_err().to_string();
        assert!(error.contains("there is no such socket. Start `proxyd run`"), "{error}");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let error = Client::new(&path).text("GET", "/v1/status").unwrap_err().to_string();
        assert!(error.contains("the one that did is gone"), "{error}");
    }
}
