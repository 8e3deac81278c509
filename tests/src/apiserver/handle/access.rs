//! Who may do what, and who did, by the handle.

use std::sync::atomic::Ordering;
use std::time::SystemTime;

use super::ApiServer;
use crate::apiserver::access::{Policy, Token};
use crate::apiserver::journal::Recorded;
use crate::apiserver::serve::bytes_sent;
use crate::apiserver::tls::ClientCertificate;

impl ApiServer {
    /// From now on only these tokens are good.
    pub fn set_tokens(&self, tokens: &[Token]) {
        self.shared.access().set_tokens(tokens);
    }

    /// From now on a user may do only what a policy says; without one, everything.
    pub fn limit(&self, user: &str, policy: Option<Policy>) {
        self.shared.access().limit(user, policy);
    }

    /// A new certificate of a user.
    ///
    /// # Panics
    /// When the server is plain.
    #[must_use]
    pub fn client_certificate(&self, user: &str) -> ClientCertificate {
        let authority = self.authority.as_ref().expect("only a secure server sees certificates");
        let client = authority.client_certificate(user);
        self.shared.access().know(client.der.clone(), user);
        client
    }

    /// The requests so far, from the oldest.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.journal().latest().cloned().collect()
    }

    /// How many requests there ever were.
    #[must_use]
    pub fn request_count(&self) -> u64 {
        self.shared.journal().count()
    }

    /// Forgets the requests so far.
    pub fn forget_requests(&self) {
        self.shared.journal().clear();
    }

    /// Bytes that went out on all connections.
    #[must_use]
    pub fn bytes_sent(&self) -> u64 {
        bytes_sent(&self.shared)
    }

    /// When bytes last began to go out, on whichever connection.
    #[must_use]
    pub fn sent_at(&self) -> SystemTime {
        self.shared.lines.sent_at()
    }

    /// Connections that are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.lines.open.load(Ordering::Relaxed)
    }
}
