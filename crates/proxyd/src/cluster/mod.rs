//! Services, EndpointSlices and this node's Node, or every one, from an API server, and every change of them.
//!
//! ```text
//! client      the way there, as kubeconfig or the pod's service account says
//! kind        what is asked for                                                        pure
//! watch       one kind of object: list, then watch, then both again when that fails    one stream a kind
//! open_watch  whether a watch that is open works, ended, or went dumb
//! failure     what can go wrong, and what follows from it                              pure
//! outage      when it is tried again                                                   pure
//! tracker     what the streams say, as events for the model                            pure
//! events      what the proxy has to say, as Events of the cluster
//! ```
//!
//! Nothing is told to be complete before every kind was listed once. From then on what is known
//! stays until the API server says otherwise: a watch that fails takes nothing away.

mod client;
mod counted;
mod events;
mod failure;
mod first_node;
mod kind;
mod object;
mod open_watch;
mod outage;
mod tracker;
mod watch;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::SystemTime;

use anyhow::Context;
use futures::StreamExt as _;
use futures::stream::{BoxStream, select_all};
use kube::Api;
use proxy_core::api;
use tokio::runtime::{self, Runtime};
use tracing::{debug, info, warn};

use crate::config::{Settings, WatchedNodes};
use crate::driver::Input;
use crate::metrics::{Connection, Requests, Resource, Sources};
use crate::notice::Notices;
use crate::source::{Changes, Parser};

use client::ApiServer;
use failure::answer;
pub(crate) use first_node::FirstNode;
use kind::{Kind, Selection};
use object::{Watchable, Watched};
use tracker::Tracker;
use watch::{Condition, News, Watch};

/// News that came at once are handed on together, so many at most.
const BATCH: usize = 1024;

/// So many notices wait to become Events at most.
const NOTICES: usize = 256;

/// An API server, and the node that asks.
pub(crate) struct Cluster {
    runtime: Runtime,
    server: Arc<ApiServer>,
    node_name: String,
    nodes: WatchedNodes,
}

impl Cluster {
    /// Prepares to ask; connects to nobody yet.
    ///
    /// # Errors
    /// The kubeconfig, or the pod's service account, cannot be used.
    pub(crate) fn new(settings: &Settings, node_name: &str) -> anyhow::Result<Self> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .context("start the client of the API server")?;
        let server = Arc::new(runtime.block_on(ApiServer::new(&settings.client))?);
        Ok(Self { runtime, server, node_name: node_name.to_owned(), nodes: settings.nodes })
    }

    /// Addresses of API servers, of those that are not given by name.
    pub(crate) fn addresses(&self) -> &[IpAddr] {
        self.server.addresses()
    }

    /// What was asked of the API server.
    pub(crate) fn requests(&self) -> Requests {
        self.server.requests()
    }

    /// This node's Node, as soon as it is there; `None` if it does not come.
    ///
    /// # Errors
    /// It lacks what the configuration cannot do without.
    pub(crate) fn first_node(&self, wanted: FirstNode) -> anyhow::Result<Option<api::Node>> {
        self.runtime.block_on(first_node::wait(&self.server, &self.node_name, wanted))
    }

    /// This node's Node as it is now, if there is one.
    ///
    /// # Errors
    /// The API server does not answer, or refuses.
    pub(crate) fn node(&self) -> anyhow::Result<Option<api::Node>> {
        let nodes: Api<Watched<api::Node>> = Api::all(self.server.client());
        let found = self.runtime.block_on(answer(nodes.get_opt(&self.node_name)));
        let found =
            found.map_err(|failure| anyhow::anyhow!("read Node {}: {failure}", self.node_name));
        Ok(found?.map(|node| node.object))
    }

    /// Everything there is now.
    ///
    /// # Errors
    /// The API server does not answer.
    pub(crate) fn read(&self, parser: Parser) -> anyhow::Result<Changes> {
        let mut tracker = Tracker::new(parser);
        let mut changes = Changes::default();
        let mut streams = self.streams();
        self.runtime.block_on(async {
            while !tracker.is_complete() {
                let News { kind, heard } = streams.next().await.context("watch the API server")?;
                if let watch::Heard::Condition(Condition::Failing(error)) = &heard {
                    anyhow::bail!("list {kind}: {error}");
                }
                tracker.take(kind, heard, &mut changes);
            }
            Ok(changes)
        })
    }

    /// Starts the thread that hands on what the API server says, until nobody wants it. It also
    /// makes Events of notices.
    ///
    /// # Errors
    /// No thread can be started.
    pub(crate) fn start(
        self,
        parser: Parser,
        sources: Sources,
        inputs: Sender<Input>,
    ) -> anyhow::Result<Notices> {
        let (sender, notices) = tokio::sync::mpsc::channel(NOTICES);
        let sender = Notices::to(sender);
        let said = sender.clone();
        let follow = move || {
            let streams = self.streams();
            self.runtime.block_on(async {
                tokio::spawn(events::publish(Arc::clone(&self.server), self.node_name, notices));
                // A task that is woken goes on at once. What the runtime itself waits for does so
                // only after it has looked for news of all sockets and timers.
                let follow = follow(streams, Tracker::new(parser), said, sources, inputs);
                // That it panicked has been said.
                let _ = tokio::spawn(follow).await;
            });
        };
        thread::Builder::new()
            .name("cluster".to_owned())
            .spawn(follow)
            .context("start the thread that follows the API server")?;
        Ok(sender)
    }

    fn streams(&self) -> impl futures::Stream<Item = News> + Unpin + use<> {
        let services = Selection::services();
        let slices = Selection::slices();
        let node = Selection::nodes(self.nodes, &self.node_name);
        select_all([
            self.watch::<api::Service>(services),
            self.watch::<api::EndpointSlice>(slices),
            self.watch::<api::Node>(node),
        ])
    }

    fn watch<T: Watchable>(&self, selection: Selection) -> BoxStream<'static, News> {
        Watch::<T>::new(&self.server, selection).stream().boxed()
    }
}

/// Hands on what the streams say.
async fn follow(
    streams: impl futures::Stream<Item = News> + Unpin,
    mut tracker: Tracker,
    notices: Notices,
    sources: Sources,
    inputs: Sender<Input>,
) {
    let mut batches = streams.ready_chunks(BATCH);
    let mut was_complete = false;
    while let Some(batch) = batches.next().await {
        let mut changes = Changes::default();
        let now = SystemTime::now();
        for News { kind, heard } in batch {
            if let watch::Heard::Condition(condition) = &heard {
                say_condition(kind, condition);
            }
            count(kind, &heard, &sources, now);
            tracker.take(kind, heard, &mut changes);
        }
        changes.say_problems(&notices);
        if !(changes.problems.is_empty() && changes.solved.is_empty()) {
            for resource in Resource::ALL {
                sources.rejected(resource, tracker.rejected(resource));
            }
        }
        let mut news = Vec::from_iter(Input::of_problems(&mut changes));
        if !changes.events.is_empty() {
            debug!(events = changes.events.len(), "the API server has news");
            news.push(Input::Events(changes.events));
        }
        if tracker.is_complete() && !was_complete {
            was_complete = true;
            info!("everything is listed");
            news.push(Input::Complete);
        }
        if news.into_iter().any(|input| inputs.send(input).is_err()) {
            return;
        }
    }
}

fn count(kind: Kind, heard: &watch::Heard, sources: &Sources, now: SystemTime) {
    match heard {
        watch::Heard::Condition(Condition::Failing(_)) => {
            sources.connection(kind.resource(), Connection::Down);
        }
        watch::Heard::Condition(Condition::Watched { .. }) => {
            sources.connection(kind.resource(), Connection::Up);
        }
        watch::Heard::Condition(Condition::Unreadable(_)) => {}
        _ => sources.heard(kind.resource(), now),
    }
}

fn say_condition(kind: Kind, condition: &Condition) {
    match condition {
        Condition::Failing(error) => {
            warn!("{kind} cannot be watched, what is known stays: {error}")
        }
        Condition::Unreadable(error) => warn!("a change of {kind} cannot be read: {error}"),
        Condition::Watched { again: false } => debug!("{kind} are watched"),
        Condition::Watched { again: true } => info!("{kind} are watched again"),
    }
}
