//! The handle by which tests hold a server.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::access::{Access, Token};
use super::kubeconfig::{Credentials, kubeconfig};
use super::request::Streaming;
use super::server::{Command, run};
use super::shared::{Manners, Shared};
use super::store::Store;
use super::tls::Authority;
use crate::lab::Namespace;

mod access;
mod faults;
mod objects;

/// What kind of server it is.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it listens; port 0 is any that is free.
    pub address: SocketAddr,
    /// Whether connections are secure.
    pub security: Security,
    /// The tokens that are good. Without any, and without client certificates, nobody is asked who
    /// he is.
    pub tokens: Vec<Token>,
    /// Changes that it remembers of each resource.
    pub history: usize,
    /// How often an idle watch is told the revision. Real servers: about a minute.
    pub bookmark_every: Duration,
    /// Whether watches may begin with what is there.
    pub streaming: Streaming,
}

/// Whether connections are secure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Security {
    /// HTTP.
    #[default]
    Plain,
    /// HTTPS, with an authority of its own, for the address and for these names and addresses.
    Tls(Vec<String>),
}

impl Default for Options {
    /// A plain server on loopback that knows nobody.
    fn default() -> Self {
        Self {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            security: Security::Plain,
            tokens: Vec::new(),
            history: 100_000,
            bookmark_every: Duration::from_mins(1),
            streaming: Streaming::Served,
        }
    }
}

/// What becomes of a server's history when it starts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum History {
    /// Watches go on where they were.
    Kept,
    /// What happened before the start is forgotten: watches expired.
    Dropped,
}

/// What a cluster was at a time, revision included.
#[derive(Clone, Debug)]
pub struct Backup(Store);

/// A running server. It is gone when dropped.
pub struct ApiServer {
    shared: Arc<Shared>,
    address: SocketAddr,
    authority: Option<Authority>,
    /// `None` ends the thread.
    commands: Option<UnboundedSender<Command>>,
    thread: Option<JoinHandle<()>>,
}

impl ApiServer {
    /// Starts one.
    ///
    /// # Panics
    /// When it cannot listen there.
    #[must_use]
    pub fn start(options: Options) -> Self {
        Self::start_by(options, thread::spawn)
    }

    /// Starts one in a namespace.
    ///
    /// # Panics
    /// When it cannot listen there, or the namespace cannot be entered.
    #[must_use]
    pub fn start_in(namespace: &Namespace, options: Options) -> Self {
        Self::start_by(options, |job| namespace.spawn(job))
    }

    fn start_by(
        options: Options,
        spawn: impl FnOnce(Box<dyn FnOnce() + Send>) -> JoinHandle<()>,
    ) -> Self {
        let Options { address, security, tokens, history, bookmark_every, streaming } = options;
        let authority = match security {
            Security::Plain => None,
            Security::Tls(names) => Some(Authority::new(address.ip(), &names)),
        };
        let mut access = Access::default();
        access.set_tokens(&tokens);
        let manners = Manners { bookmark_every, streaming };
        let shared = Arc::new(Shared::new(Store::new(history), access, manners));
        let (commands, todo): (_, UnboundedReceiver<Command>) = unbounded_channel();
        let thread = {
            let (shared, tls) = (Arc::clone(&shared), authority.as_ref().map(Authority::acceptor));
            spawn(Box::new(move || run(shared, tls, todo)))
        };
        let (commands, thread) = (Some(commands), Some(thread));
        let mut server = Self { shared, address, authority, commands, thread };
        server.address = server.bind();
        server
    }

    /// Where it listens, or did.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address as clients have it.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// The certificate of its authority in PEM; none when it is plain.
    #[must_use]
    pub fn authority(&self) -> Option<String> {
        self.authority.as_ref().map(Authority::pem)
    }

    /// The text of a kubeconfig file.
    #[must_use]
    pub fn kubeconfig(&self, credentials: &Credentials) -> String {
        kubeconfig(&self.url(), self.authority().as_deref(), credentials)
    }

    /// Refuses new connections; those that are open stay.
    pub fn refuse_connections(&self) {
        self.command(Command::Close);
    }

    /// Listens again, at the same address.
    ///
    /// # Panics
    /// When somebody else listens there by now.
    pub fn listen(&self) {
        self.bind();
    }

    fn bind(&self) -> SocketAddr {
        let address = self.address;
        let bound = self.command(|done| Command::Listen(address, done));
        bound.unwrap_or_else(|error| panic!("listen at {address}: {error}"))
    }

    /// Stops: no connection, and nobody listens. What is there stays.
    pub fn stop(&self) {
        self.refuse_connections();
        self.cut_connections();
    }

    /// Starts a stopped one again, at the same address.
    ///
    /// # Panics
    /// When somebody else listens there by now.
    pub fn start_again(&self, history: History) {
        if history == History::Dropped {
            self.drop_history();
        }
        self.listen();
    }

    fn command<T>(&self, command: impl FnOnce(mpsc::Sender<T>) -> Command) -> T {
        let (done, answer) = mpsc::channel();
        let commands = self.commands.as_ref().expect("it is running");
        assert!(commands.send(command(done)).is_ok(), "the server's thread panicked");
        answer.recv().expect("the server's thread answers")
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
