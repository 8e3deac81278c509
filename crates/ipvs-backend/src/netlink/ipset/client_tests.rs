//! The client over a stand-in for the kernel: however requests are packed, split and sent again,
//! the outcome is that of one request after the other.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Mutex;

use proptest::prelude::*;

use super::*;
use crate::netlink::attribute::{AttributeWriter, Attributes};
use crate::netlink::ipset::{Entry, SetSpec};
use crate::netlink::message::{self, HEADER, NLM_F_ACK};
use crate::netlink::transport::Transport;

const NAMES: [&str; 3] = ["a", "b", "c"];
const FULL: i32 = 4352;
const NLMSG_ERROR: u16 = 2;

/// Three bitmap sets. A port that seven divides is always refused; a set takes `room` members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Sets {
    members: [BTreeSet<u16>; 3],
    room: usize,
}

impl Sets {
    fn add(&mut self, set: usize, port: u16) -> Result<(), i32> {
        let members = &mut self.members[set];
        if port.is_multiple_of(7) || (members.len() >= self.room && !members.contains(&port)) {
            return Err(FULL);
        }
        members.insert(port);
        Ok(())
    }

    fn apply(&mut self, request: &Request) -> Result<(), i32> {
        match *request {
            Request::Add(set, Member { entry: Entry::Port(port), .. }) => {
                self.add(index(set), port)
            }
            Request::Delete(set, Entry::Port(port)) => {
                self.members[index(set)].remove(&port);
                Ok(())
            }
            Request::Flush(set) => {
                self.members[index(set)].clear();
                Ok(())
            }
            Request::Swap(one, other) => {
                self.members.swap(index(one), index(other));
                Ok(())
            }
            _ => Err(22),
        }
    }

    /// Carries out a message as the kernel does; the error comes with the line it is about.
    fn carry_out(&mut self, command: u16, attributes: &Attributes<'_>) -> Result<(), (i32, u32)> {
        let name = |kind| attributes.find(kind).and_then(|a| a.text()).map(set);
        let first = name(2).expect("every message names a set");
        match command {
            4 => self.apply(&Request::Flush(first)).map_err(|code| (code, 0)),
            6 => self
                .apply(&Request::Swap(first, name(3).expect("the other set")))
                .map_err(|code| (code, 0)),
            _ => {
                let data = attributes.find(7).into_iter();
                let list = attributes.find(8).into_iter().flat_map(|list| list.nested());
                for entry in data.chain(list) {
                    let port = entry.nested().find(4).and_then(|a| a.u16_be()).expect("a port");
                    let line = entry.nested().find(9).and_then(|a| a.u32_be()).unwrap_or(0);
                    let request = match command {
                        9 => Request::Add(first, Entry::Port(port).into()),
                        _ => Request::Delete(first, Entry::Port(port)),
                    };
                    self.apply(&request).map_err(|code| (code, line))?;
                }
                Ok(())
            }
        }
    }
}

#[derive(Default)]
struct Kernel {
    sets: Sets,
    replies: VecDeque<Vec<u8>>,
    sends: usize,
}

#[derive(Clone, Default)]
struct Fake(Arc<Mutex<Kernel>>);

impl Transport for Fake {
    fn send(&mut self, mut datagram: &[u8]) -> io::Result<()> {
        let mut kernel = self.0.lock().expect("no test panics with it");
        kernel.sends += 1;
        while let Some(header) = datagram.first_chunk::<HEADER>() {
            let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
            let command = u16::from_ne_bytes([header[4], header[5]]) & 0xff;
            let flags = u16::from_ne_bytes([header[6], header[7]]);
            let request = &datagram[..length];
            let outcome = kernel.sets.carry_out(command, &Attributes::new(&request[HEADER + 4..]));
            if outcome.is_err() || flags & NLM_F_ACK != 0 {
                kernel.replies.push_back(answer(request, outcome));
            }
            datagram = &datagram[length.next_multiple_of(4)..];
        }
        Ok(())
    }

    fn receive(&mut self, datagram: &mut Vec<u8>) -> io::Result<()> {
        let reply = self.0.lock().expect("no test panics with it").replies.pop_front();
        *datagram = reply.expect("a reply is due");
        Ok(())
    }

    fn reopen(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The answer to a request: its echo, with the line number written over if there is one.
fn answer(request: &[u8], outcome: Result<(), (i32, u32)>) -> Vec<u8> {
    let (code, line) = outcome.err().unwrap_or_default();
    let mut body = (-code).to_ne_bytes().to_vec();
    body.extend_from_slice(request);
    let mut lineno = Vec::new();
    AttributeWriter::new(&mut lineno).u32_be(9, 0);
    // The first in the message is the top-level one: it goes before the entries.
    if let Some(at) = body.windows(lineno.len()).position(|window| window == lineno) {
        body[at + 4..at + 8].copy_from_slice(&line.to_be_bytes());
    }
    let mut reply = Vec::new();
    message::append(&mut reply, NLMSG_ERROR, 0, |bytes| bytes.extend_from_slice(&body));
    reply[8..12].copy_from_slice(&request[8..12]);
    reply
}

fn set(name: &str) -> SetName {
    SetName::try_from(name).expect("short")
}

fn index(name: SetName) -> usize {
    NAMES.iter().position(|known| *known == name.as_str()).expect("a known set")
}

fn run(room: usize, requests: &[Request]) -> (Vec<Result<(), SetError>>, Sets, usize) {
    let fake = Fake::default();
    fake.0.lock().expect("new").sets.room = room;
    let connection = Connection::over(Box::new(fake.clone()), Arc::new(Traffic::default()));
    let mut ipset = Ipset { connection, revisions: Vec::new() };
    let answers = ipset.run(requests).expect("the fake never fails");
    let kernel = fake.0.lock().expect("no test panics with it");
    (answers, kernel.sets.clone(), kernel.sends)
}

fn add(name: &str, port: u16) -> Request {
    Request::Add(set(name), Entry::Port(port).into())
}

#[test]
fn a_full_set_costs_two_rounds_and_not_one_per_entry() {
    let requests: Vec<_> =
        (1..=150).filter(|port| port % 7 != 0).map(|port| add("a", port)).collect();
    let (answers, sets, sends) = run(10, &requests);
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 10);
    assert_eq!(sets.members[0].len(), 10);
    assert_eq!(sends, 2);
}

#[test]
fn a_set_of_an_unknown_kind_is_refused_unsent() {
    let spec = SetSpec::new(set("a"), SetKind::Other);
    let (answers, _, sends) = run(10, &[Request::Create(spec)]);
    assert_eq!((answers, sends), (vec![Err(SetError::UnsupportedKind)], 0));
}

fn request() -> impl Strategy<Value = Request> {
    let name = || prop::sample::select(NAMES.to_vec()).prop_map(set);
    prop_oneof![
        8 => (name(), 1_u16..40).prop_map(|(set, port)| Request::Add(set, Entry::Port(port).into())),
        4 => (name(), 1_u16..40).prop_map(|(set, port)| Request::Delete(set, Entry::Port(port))),
        1 => name().prop_map(Request::Flush),
        1 => (name(), name()).prop_map(|(one, other)| Request::Swap(one, other)),
    ]
}

proptest! {
    #[test]
    fn packing_changes_nothing(
        room in 0_usize..20,
        // Runs of the same make shared messages likely.
        requests in prop::collection::vec((request(), 1_usize..6), 0..60),
    ) {
        let requests: Vec<Request> = requests
            .into_iter()
            .flat_map(|(request, count)| (0..count).map(move |step| match request {
                Request::Add(set, Member { entry: Entry::Port(port), .. }) => {
                    Request::Add(set, Entry::Port(port + u16::try_from(step).unwrap_or(0)).into())
                }
                other => other,
            }))
            .collect();
        let mut expected = Sets { room, ..Sets::default() };
        let wanted: Vec<_> = requests
            .iter()
            .map(|request| expected.apply(request).map_err(SetError::from_code))
            .collect();
        let (answers, sets, _) = run(room, &requests);
        prop_assert_eq!(answers, wanted);
        prop_assert_eq!(sets, expected);
    }
}
