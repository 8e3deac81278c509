//! The ipset client: requests in, values out.

use std::io;
use std::sync::Arc;

use netlink_sys::protocols::NETLINK_NETFILTER;

use super::codec::{self, Command, Revisions};
use super::listing::Listing;
use super::pack::{self, EntryKind, Packet, Queue};
use super::{Member, Request, SetError, SetKind, SetName, SetState};
use crate::netlink::{Batch, Connection, Errno, Refusal, Traffic};

/// A connection to the sets of one network namespace.
#[derive(Debug)]
pub struct Ipset {
    connection: Connection,
    /// What the kernel offers of the kinds asked for so far; `None` if it does not know one.
    revisions: Vec<(SetKind, Option<Revisions>)>,
}

impl Ipset {
    /// Connects to the sets of the calling thread's network namespace.
    ///
    /// # Errors
    /// The socket failed; `EPROTONOSUPPORT` if the kernel has no netfilter netlink.
    pub fn open(traffic: Arc<Traffic>) -> io::Result<Self> {
        // Refusals must echo the request (no NETLINK_CAP_ACK): the line number is in there.
        let connection = Connection::open(NETLINK_NETFILTER, traffic)?;
        Ok(Self { connection, revisions: Vec::new() })
    }

    /// Every set of the namespace with its members; sets of a kind or with options this client
    /// does not speak come as [`SetKind::Other`] and without members.
    ///
    /// # Errors
    /// The kernel refused, or the socket failed.
    pub fn list(&mut self) -> io::Result<Vec<SetState>> {
        Ok(self.dump(codec::emit_list)??)
    }

    /// One set with its members, if it is there.
    ///
    /// # Errors
    /// The kernel refused, or the socket failed.
    pub fn set(&mut self, name: SetName) -> io::Result<Option<SetState>> {
        match self.dump(|bytes| codec::emit_about(bytes, name))? {
            Ok(sets) => Ok(sets.into_iter().find(|set| set.spec.name == name)),
            Err(refusal) if refusal.code == Errno::NOENT.raw() => Ok(None),
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// Makes changes, going on after one that is refused; one answer each. Requests about one
    /// set take effect in the order given.
    ///
    /// # Errors
    /// The socket failed or answers were lost: nothing is known about single requests.
    pub fn run(&mut self, requests: &[Request]) -> io::Result<Vec<Result<(), SetError>>> {
        let mut answers = Vec::with_capacity(requests.len());
        for request in requests {
            answers.push(match request {
                Request::Create(spec) => self.revision(spec.kind, spec.skbinfo)?.map(drop),
                _ => Ok(()),
            });
        }
        let mut queue = Queue::new(requests, |index| answers[index].is_ok());
        loop {
            let round = queue.next_round();
            if round.is_empty() {
                return Ok(answers);
            }
            let mut batch = Batch::new();
            for packet in &round {
                self.push(&mut batch, requests, packet);
            }
            let outcomes = self.connection.run(&mut batch)?;
            // From the back, so that what is put back in front keeps its order.
            for (packet, outcome) in round.iter().zip(outcomes).rev() {
                if let Err(refusal) = outcome {
                    settle(&mut answers, &mut queue, packet, &refusal);
                }
            }
        }
    }

    /// The messages of requests, for [`Self::send`]: each batch is sent when the one before it was
    /// answered.
    ///
    /// # Errors
    /// The kernel cannot be asked which form of a set it speaks.
    pub fn encode(&mut self, requests: &[Request]) -> io::Result<Vec<Batch>> {
        for request in requests {
            if let Request::Create(spec) = request {
                let _ = self.revision(spec.kind, spec.skbinfo)?;
            }
        }
        let mut queue = Queue::new(requests, |_| true);
        let rounds = std::iter::from_fn(|| Some(queue.next_round()).filter(|it| !it.is_empty()));
        Ok(rounds
            .map(|round| {
                let mut batch = Batch::new();
                round.iter().for_each(|packet| self.push(&mut batch, requests, packet));
                batch
            })
            .collect())
    }

    /// Sends messages in order; one answer each, also where a message has several entries.
    ///
    /// # Errors
    /// The socket failed or answers were lost: nothing is known about single requests.
    pub fn send(&mut self, messages: &mut Batch) -> io::Result<Vec<Result<(), SetError>>> {
        let answers = self.connection.run(messages)?;
        let error = |refusal: Refusal| SetError::from_code(refusal.code);
        Ok(answers.into_iter().map(|answer| answer.map_err(error)).collect())
    }

    fn push(&self, batch: &mut Batch, requests: &[Request], packet: &Packet) {
        let members: Vec<(EntryKind, SetName, Member)> =
            packet.requests.iter().filter_map(|&index| pack::entry(&requests[index])).collect();
        if let Some(&(kind, set, _)) = members.first() {
            let command = match kind {
                EntryKind::Add => Command::Add,
                EntryKind::Delete => Command::Delete,
            };
            let members: Vec<Member> = members.into_iter().map(|(_, _, member)| member).collect();
            batch
                .push(command.message_type(), 0, |bytes| codec::emit_members(bytes, set, &members));
            return;
        }
        for &index in &packet.requests {
            match requests[index] {
                Request::Create(spec) => {
                    let revision = self
                        .known_revisions(spec.kind)
                        .and_then(|offered| spec.kind.revision(offered, spec.skbinfo))
                        .unwrap_or(0);
                    batch.push(Command::Create.message_type(), 0, |bytes| {
                        codec::emit_create(bytes, &spec, revision);
                    });
                }
                Request::Destroy(set) => batch.push(Command::Destroy.message_type(), 0, |bytes| {
                    codec::emit_about(bytes, set)
                }),
                Request::Flush(set) => batch
                    .push(Command::Flush.message_type(), 0, |bytes| codec::emit_about(bytes, set)),
                Request::Swap(one, other) => batch.push(Command::Swap.message_type(), 0, |bytes| {
                    codec::emit_swap(bytes, one, other);
                }),
                Request::Add(..) | Request::Delete(..) => {}
            }
        }
    }

    fn dump(
        &mut self,
        request: impl Fn(&mut Vec<u8>),
    ) -> io::Result<Result<Vec<SetState>, Refusal>> {
        // The messages are kept whole until the dump is complete, for it may begin again.
        let messages =
            self.connection
                .dump(Command::List.message_type(), request, |_, payload| Some(payload.to_vec()))?;
        Ok(messages.map(|messages| {
            let mut listing = Listing::default();
            for message in messages {
                listing.push(&message);
            }
            listing.into_sets()
        }))
    }

    fn known_revisions(&self, kind: SetKind) -> Option<Revisions> {
        self.revisions.iter().find(|(known, _)| *known == kind).and_then(|(_, offered)| *offered)
    }

    /// The revision to ask for when a set of `kind` is created, asking the kernel once.
    fn revision(&mut self, kind: SetKind, skbinfo: bool) -> io::Result<Result<u8, SetError>> {
        if kind == SetKind::Other {
            return Ok(Err(SetError::UnsupportedKind));
        }
        if !self.revisions.iter().any(|(known, _)| *known == kind) {
            let answer = self.connection.query(
                Command::Type.message_type(),
                |bytes| codec::emit_type(bytes, kind),
                |_, payload| codec::parse_type(payload),
            )?;
            let offered = match answer {
                Ok(found) => found.into_iter().next(),
                Err(refusal) => match SetError::from_code(refusal.code) {
                    SetError::UnknownType => None,
                    error => return Ok(Err(error)),
                },
            };
            self.revisions.push((kind, offered));
        }
        let revision =
            self.known_revisions(kind).and_then(|offered| kind.revision(offered, skbinfo));
        Ok(revision.ok_or(SetError::UnknownType))
    }
}

/// Notes a refusal: for the entry whose line it names, whose successors go again; or for all.
fn settle(
    answers: &mut [Result<(), SetError>],
    queue: &mut Queue<'_>,
    packet: &Packet,
    refusal: &Refusal,
) {
    let error = SetError::from_code(refusal.code);
    let line = codec::parse_line(&refusal.echo)
        .and_then(|line| usize::try_from(line).ok())
        .and_then(|line| line.checked_sub(1))
        .filter(|&line| line < packet.requests.len());
    if let (Some(line), true) = (line, packet.requests.len() > 1) {
        answers[packet.requests[line]] = Err(error);
        queue.put_back(packet, line);
    } else {
        for &index in &packet.requests {
            answers[index] = Err(error);
        }
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
