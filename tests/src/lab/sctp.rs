//! SCTP sockets in the one-to-one style, which behave like those of TCP (RFC 6458, section 4): once
//! made, the standard library's types for TCP can use them.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, ipproto, listen};

/// Listens on a port of all addresses, in both families.
pub(super) fn listener(port: u16) -> io::Result<TcpListener> {
    let any = SocketAddr::from(([0_u16; 8], port));
    let socket = socket(any)?;
    bind(&socket, &any)?;
    listen(&socket, 64)?;
    Ok(socket.into())
}

/// Connects, or gives up after `patience`.
pub(super) fn stream(target: SocketAddr, patience: Duration) -> io::Result<TcpStream> {
    let socket = socket(target)?;
    set_socket_timeout(&socket, Timeout::Send, Some(patience))?;
    match connect(&socket, &target) {
        Ok(()) => Ok(socket.into()),
        Err(Errno::INPROGRESS) => Err(io::ErrorKind::TimedOut.into()),
        Err(error) => Err(error.into()),
    }
}

fn socket(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let (kind, flags) = (SocketType::STREAM, SocketFlags::CLOEXEC);
    Ok(rustix::net::socket_with(family, kind, flags, Some(ipproto::SCTP))?)
}
