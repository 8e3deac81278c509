//! A server that says who it is and which source address it sees.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};

use super::{Namespace, sctp};

/// Answers over TCP, UDP and, where the kernel has it, SCTP, in both families, on one port: to each
/// line, or datagram, a line with its name and the client's address. A connection stays open until
/// the client ends it.
#[derive(Debug)]
pub struct Server {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// How often a waiting server looks whether it should stop.
const LOOK: Duration = Duration::from_millis(20);

impl Server {
    /// Starts in `namespace`, on all addresses.
    ///
    /// # Panics
    /// When the port is taken.
    #[must_use]
    pub fn start(namespace: &Namespace, name: &str, port: u16) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (listeners, socket) = namespace.enter(move || {
            let any = SocketAddr::from(([0_u16; 8], port));
            let tcp = TcpListener::bind(any).expect("the TCP port is free");
            let listeners: Vec<_> = [tcp].into_iter().chain(sctp::listener(port)).collect();
            (listeners, UdpSocket::bind(any).expect("the UDP port is free"))
        });
        let connections = listeners.into_iter().map(|listener| {
            let (name, stop) = (name.to_owned(), stop.clone());
            thread::spawn(move || serve_connections(&listener, &name, &stop))
        });
        let datagrams = {
            let (name, stop) = (name.to_owned(), stop.clone());
            thread::spawn(move || serve_datagrams(&socket, &name, &stop))
        };
        let threads = connections.chain([datagrams]).collect();
        Self { stop, threads }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn serve_connections(listener: &TcpListener, name: &str, stop: &Arc<AtomicBool>) {
    set_socket_timeout(listener, Timeout::Recv, Some(LOOK)).expect("a socket can have a timeout");
    while !stop.load(Ordering::Relaxed) {
        if let Ok((stream, peer)) = listener.accept() {
            let (name, stop) = (name.to_owned(), stop.clone());
            thread::spawn(move || converse(&stream, &line(&name, peer), &stop));
        }
    }
}

/// Answers each line of one connection.
fn converse(stream: &TcpStream, answer: &str, stop: &AtomicBool) {
    let _ = stream.set_read_timeout(Some(LOOK));
    let mut reader = BufReader::new(stream);
    let mut asked = String::new();
    while !stop.load(Ordering::Relaxed) {
        match reader.read_line(&mut asked) {
            Ok(0) => return,
            Ok(_) => {
                asked.clear();
                let mut writer = stream;
                if writer.write_all(answer.as_bytes()).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

fn serve_datagrams(socket: &UdpSocket, name: &str, stop: &AtomicBool) {
    socket.set_read_timeout(Some(LOOK)).expect("a socket can have a timeout");
    let mut buffer = [0; 64];
    while !stop.load(Ordering::Relaxed) {
        if let Ok((_, peer)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(line(name, peer).as_bytes(), peer);
        }
    }
}

fn line(name: &str, peer: SocketAddr) -> String {
    format!("{name} {}\n", canonical(peer.ip()))
}

/// IPv4 clients of a socket for both families show as mapped IPv6 addresses.
fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}
