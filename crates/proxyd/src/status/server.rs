//! Answers who looks at this node, over the daemon's socket.
//!
//! The driver is asked one thing at a time and answers with a copy; what the kernel holds and
//! counts is read on threads of the server's own. So nobody who asks slows the driver down.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use hyper::{Method, StatusCode};
use proxy_core::ServiceKey;
use serde::Serialize;
use tokio::runtime;
use tokio::task::{JoinError, spawn_blocking};

use super::compose::{self, Counted, Process};
use super::counts::Wanted;
use super::difference;
use super::document::{Refused, Status};
use super::inquiry::{Known, Scope};
use super::objects::Objects;
use super::questions::Questions;
use super::reader::{Reader, Wait};
use crate::config::BindFailure;
use crate::driver::Input;
use crate::health::Now;
use crate::logging::Lines;
use crate::metrics::Exposition;
use crate::reload::InEffect;
use crate::resolve::Document as Resolved;
use crate::serve::{Answer, Asked, Connections, LocalPlace, serve};

/// From the beginning of a connection to its end. To compare a large node takes a while.
const TIME_TO_LIVE: Duration = Duration::from_secs(120);

/// Starts the thread that answers at `path`, until the process ends.
///
/// # Errors
/// When the path cannot be had and that is fatal, or the system gives no thread.
pub(crate) fn start(path: &Path, failure: BindFailure, desk: Desk) -> io::Result<()> {
    let place = LocalPlace::take(path, failure)?;
    let runtime = runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    serve_at(place, desk, runtime)
}

fn serve_at(place: LocalPlace, desk: Desk, runtime: runtime::Runtime) -> io::Result<()> {
    thread::Builder::new().name("status".to_owned()).spawn(move || {
        runtime.block_on(async move {
            let answer = move |asked: Asked| {
                let desk = desk.clone();
                async move { desk.answer(asked).await }
            };
            serve(place.listen().await, Connections::living(TIME_TO_LIVE), answer).await;
        });
    })?;
    Ok(())
}

/// What is told besides, as it is.
#[derive(Clone, Debug)]
pub(crate) struct Pages {
    pub(crate) configuration: InEffect,
    pub(crate) metrics: Exposition,
    pub(crate) lines: Lines,
}

/// Where questions come in. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    questions: Questions,
    reader: Reader,
    process: Process,
    pages: Pages,
}

/// Why there is no answer: a status, and words.
pub(crate) type Failed = (StatusCode, String);

impl Desk {
    /// Questions go to the driver as `inputs`.
    pub(crate) fn new(inputs: Sender<Input>, pages: Pages) -> Self {
        let namespace = fs::read_link("/proc/self/ns/net").unwrap_or_default();
        let process = Process {
            pid: std::process::id(),
            network_namespace: namespace.to_string_lossy().into_owned(),
        };
        Self { questions: Questions::new(inputs), reader: Reader::of_kernel(), process, pages }
    }

    async fn answer(&self, asked: Asked) -> Option<Answer> {
        let path: Vec<_> = asked.path.strip_prefix("/v1/")?.split('/').collect();
        let is_get = asked.method == Method::GET;
        Some(match (path.as_slice(), is_get) {
            (["status"], true) => document(self.status(Scope::Everything).await),
            (["services", namespace, name], true) => {
                let service = ServiceKey::new(*namespace, *name);
                document(self.status(Scope::Service(service)).await)
            }
            (["diff"], true) => document(difference::difference(self).await),
            (["desired"], true) => document(self.desired().await),
            (["objects"], true) => self.objects().await,
            (["config"], true) => {
                Answer::json(StatusCode::OK, self.pages.configuration.borrow().to_string())
            }
            (["log"], true) => Answer::text(self.pages.lines.text()),
            (["metrics"], true) => Answer::text(self.pages.metrics.text().await?),
            (["repair"], false) if asked.method == Method::POST => {
                document(self.questions.repair().await)
            }
            _ => return None,
        })
    }

    /// What is known of everything, or of one Service.
    pub(crate) async fn status(&self, scope: Scope) -> Result<Status, Failed> {
        let mut known = self.ask(scope.clone()).await?;
        if let Scope::Service(service) = &scope
            && known.detail.is_none()
            && known.servers.is_empty()
        {
            let words = format!(
                "Service {service} is not known to this node: there is none of this name, or it \
                 is headless, an ExternalName, or another proxy's; `proxyd why {service}` says more"
            );
            return Err((StatusCode::NOT_FOUND, words));
        }
        let wanted = match &scope {
            Scope::Everything | Scope::Inputs => Wanted::BusyAnd(BTreeSet::new()),
            Scope::Service(_) => {
                Wanted::Only(known.servers.iter().map(|served| served.server.key).collect())
            }
        };
        if self.reader.ready().await == Wait::Some {
            known = self.ask(scope.clone()).await?;
        }
        let (numbers, process) = (self.reader.read(wanted).await, self.process.clone());
        // Of a large node it is much.
        let composed = spawn_blocking(move || {
            let counts = numbers.as_ref().map(|numbers| &*numbers.counts);
            let before = numbers.as_ref().ok().and_then(|numbers| numbers.before.as_deref());
            let counted = Counted { counts: counts.map_err(String::as_str), before };
            compose::status(&known, &counted, &scope, &process, Now::read())
        });
        composed.await.map_err(broken)
    }

    /// What is asked of the kernel, as `proxyd resolve` shows it.
    async fn desired(&self) -> Result<Resolved, Failed> {
        let known = self.ask(Scope::Everything).await?;
        let problems: Vec<_> = known.problems.iter().collect();
        Ok(Resolved::new(&known.node, &difference::desired(&known), &problems))
    }

    /// What the driver decides from. Much of it on a large node: others are answered meanwhile.
    async fn objects(&self) -> Answer {
        let known = match self.ask(Scope::Inputs).await {
            Ok(known) if !known.is_complete => return document(Err::<Objects, _>(incomplete())),
            Ok(known) => known,
            Err(failed) => return document(Err::<Objects, _>(failed)),
        };
        let configuration = self.pages.configuration.borrow().clone();
        let written = spawn_blocking(move || {
            let configuration = serde_json::from_str(&configuration).unwrap_or_default();
            let inputs = known.inputs.as_ref().expect("they were asked for");
            document(Ok(Objects::new(&known, inputs, configuration, Now::read())))
        });
        written.await.unwrap_or_else(|error| document(Err::<Objects, _>(broken(error))))
    }

    /// What the driver knows, as soon as it says so.
    pub(super) async fn ask(&self, scope: Scope) -> Result<Known, Failed> {
        self.questions.ask(scope).await
    }
}

pub(super) fn incomplete() -> Failed {
    let words = "not every object was read yet, so it is not known what should be there";
    (StatusCode::SERVICE_UNAVAILABLE, words.to_owned())
}

/// A mistake of ours.
fn broken(error: JoinError) -> Failed {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

fn document(answer: Result<impl Serialize, Failed>) -> Answer {
    let (status, body) = match answer {
        Ok(document) => (StatusCode::OK, serde_json::to_string(&document)),
        Err((status, error)) => (status, serde_json::to_string(&Refused { error })),
    };
    Answer::json(status, body.expect("all keys are texts"))
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
