//! Where metrics are told, and a few things that scripts ask a kube-proxy there.

use std::io;
use std::net::SocketAddr;
use std::thread;

use hyper::StatusCode;
use prometheus_client::encoding::prometheus_text::CONTENT_TYPE;
use tokio::runtime;
use tokio::sync::watch::Receiver;

use super::exposition::Exposition;
use crate::config::BindFailure;
use crate::health::{Condition, Eligibility, Now, Published};
use crate::page::Page;
use crate::reload::InEffect;
use crate::serve::{Answer, Asked, Connections, Place, serve};

/// What is told besides metrics.
#[derive(Debug)]
pub(crate) struct Pages {
    pub(crate) configuration: InEffect,
    pub(crate) published: Receiver<Published>,
    pub(crate) page: Option<Page>,
}

impl Exposition {
    /// Starts the thread that tells metrics at `address`, until the process ends.
    ///
    /// # Errors
    /// When the address cannot be had and that is fatal, or the system gives no thread.
    pub(crate) fn serve(
        &self,
        address: SocketAddr,
        failure: BindFailure,
        pages: Pages,
    ) -> io::Result<()> {
        let place = Place::take(address, "/metrics", failure)?;
        let server = Server::new(self.clone(), pages);
        let runtime = runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        thread::Builder::new().name("metrics".to_owned()).spawn(move || {
            runtime.block_on(async move {
                let answer = move |asked: Asked| {
                    let server = server.clone();
                    async move { server.answer(&asked).await }
                };
                serve(place.listen().await, Connections::default(), answer).await;
            });
        })?;
        Ok(())
    }
}

/// Clones are the same.
#[derive(Clone, Debug)]
struct Server {
    exposition: Exposition,
    configuration: InEffect,
    published: Receiver<Published>,
    page: Option<Page>,
}

impl Server {
    fn new(exposition: Exposition, Pages { configuration, published, page }: Pages) -> Self {
        Self { exposition, configuration, published, page }
    }

    async fn answer(&self, asked: &Asked) -> Option<Answer> {
        Some(match &*asked.path {
            "/metrics" => match self.exposition.text().await {
                Some(text) => exposed(text),
                None => Answer {
                    status: StatusCode::INTERNAL_SERVER_ERROR,
                    ..Answer::text("metrics cannot be told, see the log\n")
                },
            },
            "/metrics/slis" => exposed(self.health()),
            "/healthz" | "/healthz/ping" => Answer::text("ok"),
            "/proxyMode" => Answer::text("ipvs"),
            "/configz" => Answer::json(StatusCode::OK, self.configz()),
            _ => return self.page.as_ref()?.answer(asked).await,
        })
    }

    /// The configuration in effect, as kube-proxy tells it.
    fn configz(&self) -> String {
        format!(r#"{{"kubeproxy.config.k8s.io":{}}}"#, self.configuration.borrow().trim())
    }

    /// What `/healthz` and `/livez` of the health server would answer now, in numbers.
    fn health(&self) -> String {
        let verdict = self.published.borrow().proxy.verdict(Now::read());
        let is_live = verdict.condition() == Condition::Healthy;
        let is_healthy = is_live && verdict.node == Eligibility::Eligible;
        format!(
            "# HELP kubernetes_healthcheck Whether a health check is passed.\n\
             # TYPE kubernetes_healthcheck gauge\n\
             kubernetes_healthcheck{{name=\"proxy\",type=\"healthz\"}} {}\n\
             kubernetes_healthcheck{{name=\"proxy\",type=\"livez\"}} {}\n",
            u8::from(is_healthy),
            u8::from(is_live)
        )
    }
}

fn exposed(text: impl Into<hyper::body::Bytes>) -> Answer {
    Answer { content_type: CONTENT_TYPE, ..Answer::text(text) }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
