//! One server for each health-check node port and family: opened, closed and opened again as the
//! Services want it.

use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroU16;
use std::sync::Arc;

use proxy_core::{Family, HealthCheck, ServiceKey};
use tokio::net::TcpListener;
use tokio::sync::watch::Receiver;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use super::answer;
use super::publisher::Published;
use super::state::Now;
use crate::notice::{Notices, Reason};
use crate::serve::{Connections, RETRY, listener_of_family, serve};

/// Which server: the port counts, since at another port it is another.
type Place = (ServiceKey, Family, NonZeroU16);

#[derive(Debug)]
enum Server {
    Open(JoinHandle<()>),
    /// This was said.
    Failed(String),
}

/// Keeps the servers at what is published, until nothing will be published any more.
pub(super) async fn follow(
    mut published: Receiver<Published>,
    connections: Connections,
    notices: Notices,
) {
    let all = BTreeMap::new();
    let mut servers = Servers { published: published.clone(), connections, notices, all };
    let mut known = None;
    let mut retry_at = None;
    loop {
        let checks = published.borrow_and_update().checks.clone();
        let is_new = known.as_ref().is_none_or(|known| !Arc::ptr_eq(known, &checks));
        if is_new || retry_at.is_some_and(|at| at <= Instant::now()) {
            servers.update(&checks).await;
            known = Some(checks);
            retry_at = servers.has_failed().then(|| Instant::now() + RETRY);
        }
        let changed = match retry_at {
            Some(at) => timeout_at(at, published.changed()).await.unwrap_or(Ok(())),
            None => published.changed().await,
        };
        if changed.is_err() {
            return;
        }
    }
}

struct Servers {
    published: Receiver<Published>,
    connections: Connections,
    notices: Notices,
    all: BTreeMap<Place, Server>,
}

impl Servers {
    /// Closes what is not wanted any more, then opens what is wanted and not open.
    async fn update(&mut self, checks: &[HealthCheck]) {
        let place = |check: &HealthCheck| (check.service.clone(), check.family, check.port);
        let wanted: BTreeMap<Place, &HealthCheck> =
            checks.iter().map(|check| (place(check), check)).collect();
        let unwanted = self.all.extract_if(.., |place, _| !wanted.contains_key(place));
        for (_, server) in unwanted.collect::<Vec<_>>() {
            server.close().await;
        }
        for (place, check) in wanted {
            match self.all.get(&place) {
                Some(Server::Open(_)) => {}
                Some(Server::Failed(_)) | None => self.open(place, check),
            }
        }
    }

    fn open(&mut self, place: Place, check: &HealthCheck) {
        let (service, family, port) = &place;
        let before = self.all.get(&place);
        let server = match listener_of_family(*family, port.get()).and_then(TcpListener::from_std) {
            Ok(listener) => {
                if before.is_some() {
                    info!("Service {service}: health checks are answered on {family} port {port}");
                }
                Server::Open(self.serve(listener, check.clone()))
            }
            Err(error) => self.failed(&error, &place),
        };
        self.all.insert(place, server);
    }

    fn serve(&self, listener: TcpListener, check: HealthCheck) -> JoinHandle<()> {
        let published = self.published.clone();
        let answer = move |_asked| {
            // The driver may want to publish: nothing is borrowed while the answer is written.
            let (count, verdict) = {
                let Published { proxy, checks } = &*published.borrow();
                (answer::count(checks, &check), proxy.verdict(Now::read()))
            };
            std::future::ready(Some(answer::node_port(&check.service, count, &verdict)))
        };
        tokio::spawn(serve(listener, self.connections.clone(), answer))
    }

    /// Says so, unless it was said.
    fn failed(&self, error: &io::Error, place: &Place) -> Server {
        let (service, family, port) = place;
        let words = error.to_string();
        if !matches!(self.all.get(place), Some(Server::Failed(said)) if *said == words) {
            let lack = format!("health checks are not answered on {family} port {port}");
            warn!("Service {service}: {lack}, which is tried again every {RETRY:?}: {words}");
            let reason = Reason::FailedToStartServiceHealthcheck;
            self.notices.service(service, reason, format!("{lack}: {words}"));
        }
        Server::Failed(words)
    }

    fn has_failed(&self) -> bool {
        self.all.values().any(|server| matches!(server, Server::Failed(_)))
    }
}

impl Server {
    /// Its port is free when this is done.
    async fn close(self) {
        if let Self::Open(task) = self {
            task.abort();
            // It ends by being aborted, and nothing else is worth knowing.
            let _ = task.await;
        }
    }
}
