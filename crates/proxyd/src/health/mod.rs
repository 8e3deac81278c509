//! Who asks how this node is: `/healthz` and `/livez`, and the health-check node ports of Services.
//!
//! The servers live on a thread of their own and answer from what the driver last published. They
//! know nothing of how it gets there, and neither waits for the other.

mod answer;
mod http;
mod listen;
mod node_ports;
mod publisher;
mod rfc3339;
mod state;

use std::io;
use std::net::SocketAddr;
use std::thread;

use tokio::net::TcpListener;
use tokio::runtime;
use tokio::sync::watch::Receiver;
use tokio::time::sleep;
use tracing::{info, warn};

pub(crate) use publisher::{Published, Publisher};
pub(crate) use state::Now;

use crate::notice::Notices;
use http::{Connections, serve};
use node_ports::RETRY;

/// Starts the thread that answers from what is published, until the publisher is gone.
pub(crate) fn start(
    healthz: Option<SocketAddr>,
    published: Receiver<Published>,
    notices: Notices,
) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    thread::Builder::new().name("health".to_owned()).spawn(move || {
        runtime.block_on(async move {
            let connections = Connections::default();
            if let Some(address) = healthz {
                tokio::spawn(answer_at(address, published.clone(), connections.clone()));
            }
            node_ports::follow(published, connections, notices).await;
        });
    })?;
    Ok(())
}

/// Answers `/healthz` and `/livez` at `address`, as soon as it can be had.
async fn answer_at(address: SocketAddr, published: Receiver<Published>, connections: Connections) {
    let mut said = None;
    let listener = loop {
        match listen::listener(address).and_then(TcpListener::from_std) {
            Ok(listener) => break listener,
            Err(error) => {
                let words = error.to_string();
                if said.as_ref() != Some(&words) {
                    warn!(
                        "/healthz is not answered at {address}, which is tried again every \
                         {RETRY:?}: {words}"
                    );
                    said = Some(words);
                }
                sleep(RETRY).await;
            }
        }
    };
    info!(%address, "answering /healthz and /livez");
    let answer = move |path: &str| {
        let verdict = published.borrow().proxy.verdict(Now::read());
        answer::at_path(path, &verdict)
    };
    serve(listener, connections, answer).await;
}
