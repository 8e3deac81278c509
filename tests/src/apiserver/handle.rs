//! The handle by which tests hold a server.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::access::{Access, Policy, Token};
use super::fault::{Cut, Requests, Telling};
use super::journal::Recorded;
use super::kind::{KINDS, Kind};
use super::kubeconfig::{Credentials, kubeconfig};
use super::object::Key;
use super::objects::read_objects;
use super::request::Streaming;
use super::serve::bytes_sent;
use super::server::{Command, run};
use super::shared::{Manners, Shared, now};
use super::status::Refusal;
use super::store::{Range, Store, Writing};
use super::tls::{Authority, ClientCertificate};
use crate::lab::Namespace;

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

/// Starting, stopping, and where it is.
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

/// Objects.
impl ApiServer {
    /// Makes or replaces an object, status and all. Returns the revision of the object.
    ///
    /// # Errors
    /// When it is no object of a resource that is served.
    pub fn try_apply(&self, object: &Value) -> Result<u64, Refusal> {
        let unknown = || {
            let (version, kind) = (&object["apiVersion"], &object["kind"]);
            Refusal::bad_request(format!("no matches for kind {kind} in version {version}"))
        };
        let kind = Kind::of_object(object).ok_or_else(unknown)?;
        let name = object["metadata"]["name"].as_str();
        let name = name.ok_or_else(|| Refusal::bad_request("name is required"))?;
        let namespace = object["metadata"]["namespace"].as_str();
        let key = key(kind, namespace.unwrap_or("default"), name);
        let written = self.shared.store().put(kind, key, object, Writing { now: &now() });
        self.shared.announce();
        Ok(written.revision)
    }

    /// Makes or replaces an object, status and all. Returns the revision of the object.
    ///
    /// # Panics
    /// When it is no object of a resource that is served.
    pub fn apply(&self, object: &Value) -> u64 {
        self.try_apply(object).unwrap_or_else(|refusal| panic!("{}: {object}", refusal.message))
    }

    /// Makes or replaces the objects of a text in YAML, with `---` in between, or in lists.
    ///
    /// # Panics
    /// When it is not YAML, or not of objects that are served.
    pub fn apply_yaml(&self, text: &str) {
        for object in read_objects(text).expect("it is YAML") {
            self.apply(&object);
        }
    }

    /// Removes an object, `services` or `endpointslices` or the like. Says whether it was there.
    ///
    /// # Panics
    /// When no such resource is served.
    pub fn delete(&self, resource: &str, namespace: &str, name: &str) -> bool {
        let kind = by_name(resource);
        let removed = self.shared.store().remove(kind, &key(kind, namespace, name));
        self.shared.announce();
        removed.is_some()
    }

    /// One object, as it would be read.
    ///
    /// # Panics
    /// When no such resource is served.
    #[must_use]
    pub fn object(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        let kind = by_name(resource);
        let store = self.shared.store();
        store.get(kind, &key(kind, namespace, name)).map(|object| object.value(kind))
    }

    /// All objects of a resource, of all groups that have one of that name.
    ///
    /// # Panics
    /// When no such resource is served.
    #[must_use]
    pub fn objects(&self, resource: &str) -> Vec<Value> {
        let _ = by_name(resource);
        let store = self.shared.store();
        let everything = Range { namespace: String::new(), selector: Default::default() };
        let kinds = KINDS.iter().filter(|kind| kind.plural == resource);
        let all = kinds.flat_map(|kind| {
            let page = store.list(kind, &everything, store.revision(), None, 0);
            let objects = page.expect("the current revision does not expire").objects;
            objects.into_iter().map(|object| object.value(kind))
        });
        all.collect()
    }

    /// How many objects of a resource there are.
    ///
    /// # Panics
    /// When no such resource is served.
    #[must_use]
    pub fn count(&self, resource: &str) -> usize {
        self.shared.store().count(by_name(resource))
    }

    /// The revision of the latest change.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.shared.store().revision()
    }

    /// What is there now.
    #[must_use]
    pub fn backup(&self) -> Backup {
        Backup(self.shared.store().clone())
    }

    /// Goes back to a backup, as when etcd is restored and servers are started again: the revision
    /// is lower, there is no history, and every connection was cut.
    pub fn restore(&self, backup: &Backup) {
        self.shared.store().restore(&backup.0);
        self.cut_connections();
    }

    /// Forgets what changed so far: who asks for an older revision is told that it expired.
    pub fn drop_history(&self) {
        self.shared.store().forget_history();
        self.shared.announce();
    }
}

/// Who may do what, and who did.
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

    /// Connections that are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.lines.open.load(Ordering::Relaxed)
    }
}

/// Faults.
impl ApiServer {
    /// Resets all connections that are open now.
    pub fn cut_connections(&self) {
        self.command(Command::Cut);
    }

    /// From now on watches break off after so much; those that said more, at once.
    pub fn cut_watches(&self, requests: Requests, cut: Cut) {
        self.shared.faults().cut_watches(requests, cut);
        self.shared.announce();
    }

    /// From now on some watches say nothing, although they are open.
    pub fn mute_watches(&self, requests: Requests) {
        self.shared.faults().mute(requests);
        self.shared.announce();
    }

    /// Ends all watches that are open now in good order, as when their time is over.
    pub fn end_watches(&self) {
        self.shared.faults().ended += 1;
        self.shared.announce();
    }

    /// Tells all watches that are open now that their revision expired.
    pub fn expire_watches(&self) {
        self.shared.faults().expired += 1;
        self.shared.announce();
    }

    /// From now on watches tell each event once, or twice.
    pub fn tell(&self, telling: Telling) {
        self.shared.faults().telling = telling;
    }

    /// Refuses the next `count` of some requests.
    pub fn refuse_next(&self, count: usize, requests: Requests, refusal: Refusal) {
        self.shared.faults().refuse_next(count, requests, refusal);
    }

    /// Moves no byte on any connection, old or new, until told to go on. None is closed.
    pub fn stall(&self) {
        self.shared.lines.stalled.store(true, Ordering::Relaxed);
    }

    /// Goes on after a stall.
    pub fn go_on(&self) {
        self.shared.lines.stalled.store(false, Ordering::Relaxed);
    }

    /// From now on so many bytes a second go out on each connection; 0: as fast as possible.
    pub fn slow_down(&self, bytes_a_second: u64) {
        self.shared.lines.rate.store(bytes_a_second, Ordering::Relaxed);
    }

    /// Ends all faults: of requests, of watches and of connections.
    pub fn end_faults(&self) {
        self.shared.faults().clear();
        self.go_on();
        self.slow_down(0);
        self.shared.announce();
    }
}

/// A resource by its plural; the core's before another group's.
fn by_name(resource: &str) -> &'static Kind {
    let kind = KINDS.iter().find(|kind| kind.plural == resource);
    kind.unwrap_or_else(|| panic!("no resource {resource} is served"))
}

fn key(kind: &Kind, namespace: &str, name: &str) -> Key {
    let namespace = if kind.namespaced { namespace } else { "" };
    Key { namespace: namespace.to_owned(), name: name.to_owned() }
}
