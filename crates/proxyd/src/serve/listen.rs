//! Sockets to be asked at.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use proxy_core::Family;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};

/// Whom a socket hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hears {
    OwnFamily,
    BothFamilies,
}

/// Listens at `address`. One that is unspecified stands for all of the node's addresses of both
/// families, as it does in Go.
pub(crate) fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    if !address.ip().is_unspecified() {
        return open(address, Hears::OwnFamily);
    }
    match open((Ipv6Addr::UNSPECIFIED, address.port()).into(), Hears::BothFamilies) {
        // The node has no IPv6.
        Err(error) if Errno::from_io_error(&error) == Some(Errno::AFNOSUPPORT) => {
            open((Ipv4Addr::UNSPECIFIED, address.port()).into(), Hears::OwnFamily)
        }
        opened => opened,
    }
}

/// Listens at all of the node's addresses of one family.
pub(crate) fn listener_of_family(family: Family, port: u16) -> io::Result<TcpListener> {
    match family {
        Family::Ipv4 => open((Ipv4Addr::UNSPECIFIED, port).into(), Hears::OwnFamily),
        Family::Ipv6 => open((Ipv6Addr::UNSPECIFIED, port).into(), Hears::OwnFamily),
    }
}

fn open(address: SocketAddr, hears: Hears) -> io::Result<TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    // Connections of before that are not quite over yet are no reason not to listen.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, hears == Hears::OwnFamily)?;
    }
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;
