//! The IPVS client: requests in, values out.

use std::io;
use std::sync::Arc;

use netlink_sys::protocols::NETLINK_GENERIC;

use super::codec::{self, command};
use super::{Config, DestinationStatus, Info, Request, ServiceId, ServiceStatus, family};
use crate::netlink::transport::Options;
use crate::netlink::{Batch, Connection, Errno, Refusal, Traffic};

/// Why IPVS cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The kernel has no family of that name, and could not load a module that brings it.
    #[error("the kernel does not offer IPVS: the ip_vs module is missing or not loaded")]
    Unavailable,
    /// The process may not speak to it.
    #[error("access to IPVS is denied: CAP_NET_ADMIN is missing")]
    Denied,
    /// The socket failed.
    #[error("open a netlink socket to IPVS")]
    Socket(#[from] io::Error),
}

/// A connection to IPVS of one network namespace.
#[derive(Debug)]
pub struct Ipvs {
    connection: Connection,
    family: u16,
}

impl Ipvs {
    /// Connects to IPVS of the calling thread's network namespace, and makes sure that it is
    /// there and may be spoken to.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(traffic: Arc<Traffic>) -> Result<Self, OpenError> {
        let options = Options { protocol: NETLINK_GENERIC, cap_ack: true, strict: false };
        let mut connection = Connection::with_options(options, traffic)?;
        let family = family::resolve(&mut connection, "IPVS")?.ok_or(OpenError::Unavailable)?;
        let mut ipvs = Self { connection, family };
        match ipvs.info() {
            Ok(_) => Ok(ipvs),
            Err(error) if error.raw_os_error() == Some(Errno::PERM.raw()) => Err(OpenError::Denied),
            Err(error) => Err(error.into()),
        }
    }

    /// Every service of the namespace that is keyed by mark or by a protocol a Kubernetes
    /// Service can name, in the kernel's order.
    ///
    /// A service that is added or deleted by somebody else meanwhile may be missing or shown
    /// twice: the kernel does not mark such a dump.
    ///
    /// # Errors
    /// The kernel refused, or the socket failed.
    pub fn services(&mut self) -> io::Result<Vec<ServiceStatus>> {
        let services = self.connection.dump(
            self.family,
            |bytes| codec::emit_bare(bytes, command::GET_SERVICE),
            |_, payload| codec::parse_service(payload),
        )?;
        Ok(services?)
    }

    /// One service, if it is there.
    ///
    /// # Errors
    /// The kernel refused, or the socket failed.
    pub fn service(&mut self, id: &ServiceId) -> io::Result<Option<ServiceStatus>> {
        let answer = self.connection.query(
            self.family,
            |bytes| codec::emit_about(bytes, command::GET_SERVICE, id),
            |_, payload| codec::parse_service(payload),
        )?;
        match answer {
            Ok(found) => Ok(found.into_iter().next()),
            Err(refusal) if refusal.code == Errno::SRCH.raw() => Ok(None),
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// The destinations of one service, in the kernel's order; none if there is no such service.
    ///
    /// # Errors
    /// The kernel refused, or the socket failed.
    pub fn destinations(&mut self, service: &ServiceId) -> io::Result<Vec<DestinationStatus>> {
        let destinations = self.connection.dump(
            self.family,
            |bytes| codec::emit_about(bytes, command::GET_DEST, service),
            |_, payload| codec::parse_destination(payload, service.family()),
        )?;
        Ok(destinations?)
    }

    /// The idle timeouts of the namespace.
    ///
    /// # Errors
    /// The kernel refused, or the socket failed.
    pub fn config(&mut self) -> io::Result<Config> {
        self.query_one(command::GET_CONFIG, codec::parse_config)
    }

    /// Version and size of IPVS.
    ///
    /// # Errors
    /// The kernel refused, or the socket failed.
    pub fn info(&mut self) -> io::Result<Info> {
        self.query_one(command::GET_INFO, codec::parse_info)
    }

    /// Makes changes in order, going on after one that is refused; one answer each.
    ///
    /// # Errors
    /// The socket failed or answers were lost: nothing is known about single requests.
    pub fn run(&mut self, requests: &[Request]) -> io::Result<Vec<Result<(), Errno>>> {
        self.send(&mut self.encode(requests))
    }

    /// The messages of requests, for [`Self::send`].
    #[must_use]
    pub fn encode(&self, requests: &[Request]) -> Batch {
        let mut batch = Batch::new();
        for request in requests {
            batch.push(self.family, 0, |bytes| codec::emit_request(bytes, request));
        }
        batch
    }

    /// Sends messages as [`Self::run`] does.
    ///
    /// # Errors
    /// The socket failed or answers were lost: nothing is known about single requests.
    pub fn send(&mut self, messages: &mut Batch) -> io::Result<Vec<Result<(), Errno>>> {
        let answers = self.connection.run(messages)?;
        Ok(answers.into_iter().map(|answer| answer.map_err(errno)).collect())
    }

    fn query_one<T>(&mut self, command: u8, parse: impl Fn(&[u8]) -> Option<T>) -> io::Result<T> {
        let answers = self.connection.query(
            self.family,
            |bytes| codec::emit_bare(bytes, command),
            |_, payload| parse(payload),
        )?;
        let unexpected = || io::Error::new(io::ErrorKind::InvalidData, "IPVS gave no such answer");
        answers?.into_iter().next().ok_or_else(unexpected)
    }
}

fn errno(refusal: Refusal) -> Errno {
    Errno::from_raw(refusal.code)
}
