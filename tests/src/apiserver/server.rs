//! The thread on which a server listens and answers.
//!
//! It lives as long as the handle, also while nobody listens: a thread that has entered a network
//! namespace opens every listener there.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;
use std::{io, mem};

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::serve::{Peer, converse};
use super::shared::Shared;
use super::wire::Wire;

/// How long nothing is accepted when accepting failed: descriptors may have run out.
const REST: Duration = Duration::from_millis(100);

/// What the handle wants of the thread. Each is answered when it is done.
pub(super) enum Command {
    /// Listen at an address.
    Listen(SocketAddr, mpsc::Sender<io::Result<SocketAddr>>),
    /// Listen no more; connections stay.
    Close(mpsc::Sender<()>),
    /// Reset all connections.
    Cut(mpsc::Sender<()>),
}

/// Carries out commands, and answers requests in between, until the handle is gone.
pub(super) fn run(
    shared: Arc<Shared>,
    tls: Option<TlsAcceptor>,
    mut commands: UnboundedReceiver<Command>,
) {
    let runtime = Builder::new_current_thread().enable_io().enable_time().build();
    let runtime = runtime.expect("a runtime needs some file descriptors");
    let connections = Connections::default();
    runtime.block_on(async move {
        let mut listening: Option<JoinHandle<()>> = None;
        while let Some(command) = commands.recv().await {
            match command {
                Command::Listen(address, done) => {
                    end(listening.take()).await;
                    let listener = TcpListener::bind(address).await;
                    let bound = listener.and_then(|listener| {
                        let address = listener.local_addr()?;
                        let (shared, tls) = (Arc::clone(&shared), tls.clone());
                        let accepting = accept(listener, address, shared, tls, connections.clone());
                        listening = Some(tokio::spawn(accepting));
                        Ok(address)
                    });
                    let _ = done.send(bound);
                }
                Command::Close(done) => {
                    end(listening.take()).await;
                    let _ = done.send(());
                }
                Command::Cut(done) => {
                    shared.lines.resetting.store(true, Ordering::Relaxed);
                    for connection in connections.take() {
                        end(Some(connection)).await;
                    }
                    shared.lines.resetting.store(false, Ordering::Relaxed);
                    let _ = done.send(());
                }
            }
        }
    });
}

/// Ends a task, and waits until what it had is closed.
async fn end(task: Option<JoinHandle<()>>) {
    if let Some(task) = task {
        task.abort();
        let _ = task.await;
    }
}

/// The connections that may be open.
#[derive(Clone, Debug, Default)]
struct Connections(Arc<Mutex<Vec<JoinHandle<()>>>>);

impl Connections {
    fn add(&self, connection: JoinHandle<()>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|one| !one.is_finished());
        all.push(connection);
    }

    fn take(&self) -> Vec<JoinHandle<()>> {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn accept(
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
    tls: Option<TlsAcceptor>,
    connections: Connections,
) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let conversation = connection(stream, address, Arc::clone(&shared), tls.clone());
                connections.add(tokio::spawn(conversation));
            }
            Err(_) => tokio::time::sleep(REST).await,
        }
    }
}

async fn connection(
    stream: TcpStream,
    address: SocketAddr,
    shared: Arc<Shared>,
    tls: Option<TlsAcceptor>,
) {
    let _ = stream.set_nodelay(true);
    let wire = Wire::new(stream, Arc::clone(&shared.lines));
    let address = address.to_string();
    let Some(tls) = tls else {
        return converse(shared, wire, Peer::default(), address).await;
    };
    // A client that does not trust the server goes away.
    if let Ok(stream) = tls.accept(wire).await {
        let shown = stream.get_ref().1.peer_certificates();
        let certificate = shown.and_then(|chain| chain.first()).map(|first| first.to_vec());
        converse(shared, stream, Peer { certificate }, address).await;
    }
}
