//! The conntrack client: requests in, flows out.

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use netlink_sys::protocols::NETLINK_NETFILTER;
use proxy_core::Family;

use super::Flow;
use super::codec::{self, Command, Filter};
use crate::netlink::transport::Options;
use crate::netlink::{Batch, Connection, Errno, Refusal, Traffic};

/// Up to so many destinations are asked for one by one; more are found in a dump of all UDP flows.
/// The kernel walks its whole table for every dump. Of 20,000 flows, looking for those to one
/// destination took 2 to 20 ms, and reading all of them 60 to 100 ms.
pub const FILTERED_DUMPS: usize = 3;

/// Which flows to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope<'a> {
    /// All, of these families.
    Families(&'a [Family]),
    /// Those whose first packet was sent to one of these.
    To(&'a [SocketAddr]),
}

/// A connection to the tracked flows of one network namespace.
#[derive(Debug)]
pub struct Conntrack {
    connection: Connection,
    /// Whether the kernel takes filters, as far as is known.
    filters: bool,
}

impl Conntrack {
    /// Connects to the connection tracker of the calling thread's network namespace. Whether it
    /// can be talked to shows with the first request.
    ///
    /// # Errors
    /// The socket failed; `EPROTONOSUPPORT` if the kernel has no netfilter netlink.
    pub fn open(traffic: Arc<Traffic>) -> io::Result<Self> {
        let options = Options { protocol: NETLINK_NETFILTER, cap_ack: true, strict: false };
        Ok(Self { connection: Connection::with_options(options, traffic)?, filters: true })
    }

    /// The UDP flows in `scope` that `pick` picks; the others are dropped as they come. A flow may
    /// come twice.
    ///
    /// # Errors
    /// The kernel refused, or the socket failed. [`io::ErrorKind::Unsupported`] if the kernel
    /// cannot show its flows at all.
    pub fn udp_flows(
        &mut self,
        scope: Scope<'_>,
        pick: &mut dyn FnMut(&Flow) -> bool,
    ) -> io::Result<Vec<Flow>> {
        let mut flows = Vec::new();
        match scope {
            Scope::To(destinations) if self.filters && destinations.len() <= FILTERED_DUMPS => {
                for &destination in destinations {
                    flows.extend(self.dump(Filter::UdpTo(destination), pick)?);
                }
            }
            Scope::To(destinations) => {
                let wanted: HashSet<_> = destinations.iter().collect();
                let mut pick = |flow: &Flow| wanted.contains(&flow.destination) && pick(flow);
                for family in families(destinations) {
                    flows.extend(self.dump(Filter::Udp(family), &mut pick)?);
                }
            }
            Scope::Families(families) => {
                for &family in families {
                    flows.extend(self.dump(Filter::Udp(family), pick)?);
                }
            }
        }
        Ok(flows)
    }

    /// Makes the connection tracker forget flows, going on after one that is refused; one answer
    /// each. `ENOENT`: there is no such flow, or it is another one by now.
    ///
    /// # Errors
    /// The socket failed or answers were lost: nothing is known about single flows.
    pub fn delete(&mut self, flows: &[Flow]) -> io::Result<Vec<Result<(), Errno>>> {
        let mut batch = Batch::new();
        for flow in flows {
            batch.push(Command::Delete.message_type(), 0, |bytes| codec::emit_delete(bytes, flow));
        }
        let outcomes = self.connection.run(&mut batch)?;
        Ok(outcomes.into_iter().map(|outcome| outcome.map_err(errno)).collect())
    }

    /// A dump with a filter, or without one where the kernel refuses it. One that a kernel ignored
    /// is not tried again either.
    fn dump(
        &mut self,
        filter: Filter,
        pick: &mut dyn FnMut(&Flow) -> bool,
    ) -> io::Result<Vec<Flow>> {
        let mut ignored = false;
        let mut pick = |flow: &Flow| {
            ignored |= filter.is_ignored(flow);
            filter.passes(flow) && pick(flow)
        };
        if self.filters {
            match self.dump_once(filter, &mut pick)? {
                Err(Errno::INVAL | Errno::OPNOTSUPP) => {}
                answer => {
                    self.filters = !ignored;
                    return Ok(answer?);
                }
            }
        }
        match self.dump_once(Filter::Family(filter.family()), &mut pick)? {
            // What netfilter netlink says to messages of a part that is not there.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => {
                let what = "the kernel has no netlink interface to its connection tracker";
                Err(io::Error::new(io::ErrorKind::Unsupported, what))
            }
            answer => {
                self.filters = false;
                Ok(answer?)
            }
        }
    }

    fn dump_once(
        &mut self,
        filter: Filter,
        pick: &mut impl FnMut(&Flow) -> bool,
    ) -> io::Result<Result<Vec<Flow>, Errno>> {
        let flows = self.connection.dump(
            Command::Get.message_type(),
            |bytes| codec::emit_dump(bytes, filter),
            |_, payload| codec::parse_flow(payload).filter(|flow| pick(flow)),
        )?;
        Ok(flows.map_err(errno))
    }
}

fn errno(refusal: Refusal) -> Errno {
    Errno::from_raw(refusal.code)
}

/// The families of these, each once.
fn families(destinations: &[SocketAddr]) -> impl Iterator<Item = Family> {
    let has = |family| destinations.iter().any(|to| Family::of(to.ip()) == family);
    Family::ALL.into_iter().filter(move |&family| has(family))
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
