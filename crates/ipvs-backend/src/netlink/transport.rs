//! The only place that makes system calls: netlink sockets.

use std::io;
use std::time::Duration;

use netlink_sys::{Socket, SocketAddr};
use rustix::net::sockopt::{self, Timeout};
use socket2::{SockFilter, SockRef};

/// The longest wait for a reply. The kernel answers before `send` returns, so this is only ever
/// reached when a reply was lost.
pub const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// Room for the replies of some sends. A refusal may echo a whole request of 16 KiB.
const RECEIVE_BUFFER: usize = 8 << 20;
/// The kernel fills at most 32 KiB of a dump into one datagram.
const DATAGRAM: usize = 64 << 10;
/// `MSG_TRUNC` of `include/linux/socket.h`: report the datagram's length, not the part that fit.
const MSG_TRUNC: i32 = 0x20;

/// What a connection needs of a socket; the seam at which tests inject faults.
pub(super) trait Transport: Send {
    /// Sends one datagram.
    fn send(&mut self, datagram: &[u8]) -> io::Result<()>;
    /// Receives one datagram in place of what is in `datagram`.
    fn receive(&mut self, datagram: &mut Vec<u8>) -> io::Result<()>;
    /// Starts over with a socket that has no replies queued and no dump under way.
    fn reopen(&mut self) -> io::Result<()>;
}

/// A netlink socket of one protocol, connected to the kernel.
pub(super) struct NetlinkSocket {
    options: Options,
    socket: Socket,
}

/// How a socket is set up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    /// `NETLINK_*`.
    pub(super) protocol: isize,
    /// Leave the request out of refusals (`NETLINK_CAP_ACK`).
    pub(super) cap_ack: bool,
    /// Check the header of dump requests, which makes filters work (`NETLINK_GET_STRICT_CHK`).
    pub(super) strict: bool,
}

impl NetlinkSocket {
    pub(super) fn open(options: Options) -> io::Result<Self> {
        Ok(Self { options, socket: open(options)? })
    }
}

fn open(options: Options) -> io::Result<Socket> {
    let mut socket = Socket::new(options.protocol)?;
    socket.bind_auto()?;
    // Connected, the kernel drops messages that other processes address to this socket.
    socket.connect(&SocketAddr::new(0, 0))?;
    sockopt::set_socket_timeout(&socket, Timeout::Recv, Some(REPLY_TIMEOUT))?;
    // Past the limit of `rmem_max` with CAP_NET_ADMIN in the first user namespace, else up to it.
    sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER)
        .or_else(|_| sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER))?;
    if options.cap_ack {
        // Unknown before Linux 4.3; without it replies are longer and no different.
        let _ = socket.set_cap_ack(true);
    }
    // Unknown before 4.12 and 4.20; without them there are no texts, and dumps are unfiltered.
    let _ = socket.set_ext_ack(true);
    if options.strict {
        let _ = socket.set_netlink_get_strict_chk(true);
    }
    Ok(socket)
}

/// A socket that hears what the kernel announces to groups.
pub(super) struct Subscription {
    socket: Socket,
}

impl Subscription {
    /// Hears everything announced from now on that `filter` lets through, which is all if it is
    /// empty. It saves work, no more: a kernel that does not take it lets everything through.
    pub(super) fn open(protocol: isize, groups: &[u32], filter: &[SockFilter]) -> io::Result<Self> {
        let socket = open(Options { protocol, cap_ack: false, strict: false })?;
        if !filter.is_empty() {
            let _ = SockRef::from(&socket).attach_filter(filter);
        }
        for &group in groups {
            socket.add_membership(group)?;
        }
        Ok(Self { socket })
    }

    /// Receives one datagram in place of what is in `datagram`; [`io::ErrorKind::WouldBlock`] if
    /// none comes within `timeout`.
    pub(super) fn receive(&mut self, datagram: &mut Vec<u8>, timeout: Duration) -> io::Result<()> {
        // None at all would be to wait for ever.
        let timeout = timeout.max(Duration::from_millis(1));
        sockopt::set_socket_timeout(&self.socket, Timeout::Recv, Some(timeout))?;
        receive(&self.socket, datagram)
    }
}

impl Transport for NetlinkSocket {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        self.socket.send(datagram, 0).map(drop)
    }

    fn receive(&mut self, datagram: &mut Vec<u8>) -> io::Result<()> {
        receive(&self.socket, datagram)
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.socket = open(self.options)?;
        Ok(())
    }
}

fn receive(socket: &Socket, datagram: &mut Vec<u8>) -> io::Result<()> {
    datagram.clear();
    datagram.reserve(DATAGRAM);
    let length = socket.recv(datagram, MSG_TRUNC)?;
    if length > datagram.len() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a netlink message was cut off"));
    }
    Ok(())
}
