//! Who asks how this node is: `/healthz` and `/livez`, and the health-check node ports of Services.
//!
//! The servers live on a thread of their own and answer from what the driver last published. They
//! know nothing of how it gets there, and neither waits for the other.

mod answer;
mod node_ports;
mod publisher;
mod rfc3339;
mod state;

use std::io;
use std::net::SocketAddr;
use std::thread;

use tokio::runtime;
use tokio::sync::watch::Receiver;

pub(crate) use publisher::{Published, Publisher};
pub(crate) use rfc3339::rfc3339;
pub(crate) use state::{Condition, Eligibility, Now};

use crate::config::BindFailure;
use crate::metrics::Probes;
use crate::notice::Notices;
use crate::serve::{Asked, Connections, Place, serve};

/// Starts the thread that answers from what is published, until the publisher is gone.
///
/// # Errors
/// When `healthz` cannot be had and that is fatal, or the system gives no thread.
pub(crate) fn start(
    healthz: Option<SocketAddr>,
    failure: BindFailure,
    published: Receiver<Published>,
    probes: Probes,
    notices: Notices,
) -> io::Result<()> {
    let place = healthz.map(|address| Place::take(address, "/healthz", failure)).transpose()?;
    let runtime = runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    thread::Builder::new().name("health".to_owned()).spawn(move || {
        runtime.block_on(async move {
            let connections = Connections::default();
            if let Some(place) = place {
                tokio::spawn(answer_at(place, published.clone(), connections.clone(), probes));
            }
            node_ports::follow(published, connections, notices).await;
        });
    })?;
    Ok(())
}

/// Answers `/healthz` and `/livez`, as soon as the place can be had.
async fn answer_at(
    place: Place,
    published: Receiver<Published>,
    connections: Connections,
    probes: Probes,
) {
    let answer = move |Asked { path, .. }| {
        let verdict = published.borrow().proxy.verdict(Now::read());
        let answer = answer::at_path(&path, &verdict);
        if let Some(answer) = &answer {
            probes.answered(&path, answer.status.as_u16());
        }
        std::future::ready(answer)
    };
    serve(place.listen().await, connections, answer).await;
}
