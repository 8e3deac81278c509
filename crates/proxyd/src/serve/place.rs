//! A place to be asked at, which may be taken when it is wanted.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::sleep;
use tracing::{info, warn};

use super::listen::listener;
use crate::config::BindFailure;

/// What could not be opened is tried again after this long.
pub(crate) const RETRY: Duration = Duration::from_secs(5);

/// A server's address, with the socket if it could be had at once.
#[derive(Debug)]
pub(crate) struct Place {
    address: SocketAddr,
    /// What is answered there, for the log.
    what: &'static str,
    listener: Option<std::net::TcpListener>,
    /// This was said.
    said: Option<String>,
}

impl Place {
    /// Takes `address` for a server that answers `what`. An unspecified one stands for all
    /// addresses of both families.
    ///
    /// # Errors
    /// When it cannot be had and that is fatal.
    pub(crate) fn take(
        address: SocketAddr,
        what: &'static str,
        failure: BindFailure,
    ) -> io::Result<Self> {
        let mut place = Self { address, what, listener: None, said: None };
        match (listener(address), failure) {
            (Ok(listener), _) => place.listener = Some(listener),
            (Err(error), BindFailure::Fatal) => {
                let words = format!("{what} cannot be answered at {address}: {error}");
                return Err(io::Error::new(error.kind(), words));
            }
            (Err(error), BindFailure::Retry) => place.say(&error),
        }
        Ok(place)
    }

    /// Where it is.
    #[cfg(test)]
    pub(crate) fn local_address(&self) -> Option<SocketAddr> {
        self.listener.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// Listens, as soon as that is possible.
    pub(crate) async fn listen(mut self) -> TcpListener {
        loop {
            let listener = self.listener.take().map_or_else(|| listener(self.address), Ok);
            match listener.and_then(TcpListener::from_std) {
                Ok(listener) => {
                    info!(address = %self.address, "answering {}", self.what);
                    return listener;
                }
                Err(error) => self.say(&error),
            }
            sleep(RETRY).await;
        }
    }

    /// Says why it is not answered, unless that was said.
    fn say(&mut self, error: &io::Error) {
        let words = error.to_string();
        if self.said.as_ref() != Some(&words) {
            let Self { address, what, .. } = self;
            warn!(
                "{what} is not answered at {address}, which is tried again every {RETRY:?}: {words}"
            );
            self.said = Some(words);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_is_taken_is_waited_for_or_is_fatal() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = Place::take(address, "/x", BindFailure::Fatal).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        let text = format!("/x cannot be answered at {address}: ");
        assert!(error.to_string().starts_with(&text), "{error}");
        let place = Place::take(address, "/x", BindFailure::Retry).unwrap();
        assert_eq!(place.local_address(), None);
        drop(taken);
        let place = Place::take(address, "/x", BindFailure::Fatal).unwrap();
        assert_eq!(place.local_address(), Some(address));
    }
}
