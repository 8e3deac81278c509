//! The route client: requests in, values out.

use std::collections::HashSet;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use netlink_sys::protocols::NETLINK_ROUTE;
use proxy_core::Family;

use super::codec::{self, Purpose, message_type};
use super::{InterfaceAddress, Link, LocalRoute, Request};
use crate::netlink::message::{NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use crate::netlink::transport::Options;
use crate::netlink::{Batch, Connection, Errno, Refusal, Traffic};

/// `RTPROT_KERNEL` of `include/uapi/linux/rtnetlink.h`: routes of addresses on links.
const KERNEL_PROTOCOL: u8 = 2;

/// Milliseconds between looks for an address to become local: a second in all.
const LOCAL_PAUSES: [u64; 11] = [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

/// A connection to the routes, addresses and links of one network namespace.
#[derive(Debug)]
pub struct Route {
    connection: Connection,
}

impl Route {
    /// Connects to the calling thread's network namespace.
    ///
    /// # Errors
    /// The socket failed.
    pub fn open(traffic: Arc<Traffic>) -> io::Result<Self> {
        let options = Options { protocol: NETLINK_ROUTE, cap_ack: true, strict: true };
        Ok(Self { connection: Connection::with_options(options, traffic)? })
    }

    /// The routes of both families in table `local`, of type `local`, to a single address, that
    /// were made by `protocol`.
    ///
    /// # Errors
    /// The kernel refused, or the socket failed.
    pub fn local_routes(&mut self, protocol: u8) -> io::Result<Vec<LocalRoute>> {
        let mut routes = Vec::new();
        for family in Family::ALL {
            routes.extend(self.local_routes_of(family, protocol)?);
        }
        Ok(routes)
    }

    fn local_routes_of(&mut self, family: Family, protocol: u8) -> io::Result<Vec<LocalRoute>> {
        let found = self.connection.dump(
            message_type::GET_ROUTE,
            |bytes| codec::emit_route_dump(bytes, family, protocol),
            // A kernel without IPv6 answers with the routes of all other families.
            |_, payload| {
                codec::parse_route(payload, protocol)
                    .filter(|route| Family::of(route.address) == family)
            },
        )?;
        match found {
            // The kernel was started without IPv6.
            Err(refusal) if refusal.code == Errno::OPNOTSUPP.raw() => Ok(Vec::new()),
            found => Ok(found?),
        }
    }

    /// Every address on every interface, both families.
    ///
    /// # Errors
    /// The kernel refused, or the socket failed.
    pub fn addresses(&mut self) -> io::Result<Vec<InterfaceAddress>> {
        let mut addresses = self.connection.dump(
            message_type::GET_ADDR,
            codec::emit_address_dump,
            |_, payload| codec::parse_address(payload),
        )??;
        let links = self.links()?;
        for address in &mut addresses {
            if let Some(link) = links.iter().find(|link| link.index == address.index) {
                address.name.clone_from(&link.name);
            }
        }
        Ok(addresses)
    }

    /// Every interface.
    ///
    /// # Errors
    /// The kernel refused, or the socket failed.
    pub fn links(&mut self) -> io::Result<Vec<Link>> {
        let links =
            self.connection.dump(message_type::GET_LINK, codec::emit_link_dump, |_, payload| {
                codec::parse_link(payload)
            })?;
        Ok(links?)
    }

    /// Adds a dummy link, down; `EEXIST` if the name is taken, `EOPNOTSUPP` if the kernel has no
    /// dummy module.
    ///
    /// # Errors
    /// The kernel refused, or the socket failed.
    pub fn add_dummy_link(&mut self, name: &str) -> io::Result<()> {
        self.run_one(message_type::NEW_LINK, NLM_F_CREATE | NLM_F_EXCL, |bytes| {
            codec::emit_dummy_link(bytes, name);
        })
    }

    /// Deletes a link with its addresses; `ENODEV` if it is missing.
    ///
    /// # Errors
    /// The kernel refused, or the socket failed.
    pub fn delete_link(&mut self, index: u32) -> io::Result<()> {
        self.run_one(message_type::DEL_LINK, 0, |bytes| codec::emit_link(bytes, index))
    }

    /// Makes changes in order, going on after one that is refused; one answer each. What a
    /// [`Request::Replace`] leaves to delete is deleted at the end. An address that was put on a
    /// link is local when this returns; `ETIMEDOUT` if it is not within a second.
    ///
    /// # Errors
    /// The socket failed or answers were lost: nothing is known about single requests.
    pub fn run(&mut self, requests: &[Request]) -> io::Result<Vec<Result<(), Errno>>> {
        let mut answers = self.send(&mut Self::encode(requests))?;
        self.delete_replaced(requests, &mut answers)?;
        self.await_local(requests, &mut answers)?;
        Ok(answers)
    }

    /// The messages of requests, for [`Self::send`]; of a [`Request::Replace`] the one that adds.
    #[must_use]
    pub fn encode(requests: &[Request]) -> Batch {
        let mut batch = Batch::new();
        for request in requests {
            push(&mut batch, request);
        }
        batch
    }

    /// Sends messages in order, going on after one that is refused; one answer each.
    ///
    /// # Errors
    /// The socket failed or answers were lost: nothing is known about single requests.
    pub fn send(&mut self, messages: &mut Batch) -> io::Result<Vec<Result<(), Errno>>> {
        let outcomes = self.connection.run(messages)?;
        Ok(outcomes.into_iter().map(|outcome| outcome.map_err(errno)).collect())
    }

    /// Second half of replacing IPv4 routes: the new one is ahead, so the old one can go. It is
    /// kept where the kernel refused the new one.
    fn delete_replaced(
        &mut self,
        requests: &[Request],
        answers: &mut [Result<(), Errno>],
    ) -> io::Result<()> {
        let mut batch = Batch::new();
        let mut deleted = Vec::new();
        for (request, answer) in requests.iter().zip(answers) {
            let Request::Replace { old, new } = request else {
                continue;
            };
            if *answer == Err(Errno::EXIST) {
                *answer = Ok(());
            }
            if answer.is_ok() && old != new && old.address.is_ipv4() {
                batch.push(message_type::DEL_ROUTE, 0, |bytes| {
                    codec::emit_route(bytes, old, Purpose::Delete);
                });
                deleted.push(answer);
            }
        }
        for (answer, outcome) in deleted.into_iter().zip(self.connection.run(&mut batch)?) {
            *answer = match outcome.map_err(errno) {
                Err(Errno::SRCH) => Ok(()),
                outcome => outcome,
            };
        }
        Ok(())
    }

    /// Waits until the IPv6 addresses that were put on a link are local. The kernel answers first
    /// and adds their routes later, in a work queue (`addrconf_dad_work` of `net/ipv6/addrconf.c`),
    /// even where no duplicate is looked for.
    #[expect(clippy::disallowed_methods, reason = "a request is done when the kernel has done it")]
    fn await_local(
        &mut self,
        requests: &[Request],
        answers: &mut [Result<(), Errno>],
    ) -> io::Result<()> {
        let answered = requests.iter().zip(answers);
        let mut waiting: Vec<_> = answered
            .filter(|(_, answer)| answer.is_ok())
            .filter_map(|(request, answer)| match *request {
                Request::AddAddress { device, address: address @ IpAddr::V6(_) } => {
                    Some(((device, address), answer))
                }
                _ => None,
            })
            .collect();
        for pause in LOCAL_PAUSES {
            if waiting.is_empty() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(pause));
            let routes = self.local_routes_of(Family::Ipv6, KERNEL_PROTOCOL)?;
            let local: HashSet<_> = routes.iter().map(|it| (it.device, it.address)).collect();
            waiting.retain(|(address, _)| !local.contains(address));
        }
        for (_, answer) in waiting {
            *answer = Err(Errno::TIMEDOUT);
        }
        Ok(())
    }

    fn run_one(
        &mut self,
        kind: u16,
        flags: u16,
        body: impl FnOnce(&mut Vec<u8>),
    ) -> io::Result<()> {
        let mut batch = Batch::new();
        batch.push(kind, flags, body);
        self.connection.run(&mut batch)?.into_iter().collect::<Result<(), _>>()?;
        Ok(())
    }
}

/// Appends the message of a request; of a [`Request::Replace`] the first, which adds.
fn push(batch: &mut Batch, request: &Request) {
    match request {
        // Neither EXCL nor APPEND nor REPLACE: the kernel puts it ahead of its equals.
        Request::Add(route) => push_route(batch, NLM_F_CREATE, route),
        Request::Replace { old, new } => push_route(batch, replace_flags(old), new),
        Request::Delete(route) => batch.push(message_type::DEL_ROUTE, 0, |bytes| {
            codec::emit_route(bytes, route, Purpose::Delete);
        }),
        Request::AddAddress { device, address } => {
            push_address(
                batch,
                message_type::NEW_ADDR,
                NLM_F_CREATE | NLM_F_EXCL,
                *device,
                *address,
            );
        }
        Request::DeleteAddress { device, address } => {
            push_address(batch, message_type::DEL_ADDR, 0, *device, *address);
        }
    }
}

/// How the new route comes in beside or over `old`.
///
/// IPv4: `NLM_F_REPLACE` would replace whatever is first for the address, the kernel's own route
/// even; so the new route goes ahead of the old, which is deleted by its preferred source. An old
/// one without any would be matched by the new one too: then the new one goes behind.
/// IPv6: the kernel replaces the route of the same metric, which is ours alone.
fn replace_flags(old: &LocalRoute) -> u16 {
    match (Family::of(old.address), old.preferred_source) {
        (Family::Ipv4, Some(_)) => NLM_F_CREATE,
        (Family::Ipv4, None) => NLM_F_CREATE | NLM_F_APPEND,
        (Family::Ipv6, _) => NLM_F_CREATE | NLM_F_REPLACE,
    }
}

fn push_route(batch: &mut Batch, flags: u16, route: &LocalRoute) {
    batch.push(message_type::NEW_ROUTE, flags, |bytes| {
        codec::emit_route(bytes, route, Purpose::Create);
    });
}

fn push_address(batch: &mut Batch, kind: u16, flags: u16, device: u32, address: IpAddr) {
    batch.push(kind, flags, |bytes| codec::emit_address(bytes, device, address));
}

fn errno(refusal: Refusal) -> Errno {
    Errno::from_raw(refusal.code)
}
