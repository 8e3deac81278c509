//! Decides which requests share a message, and which messages share a send. Pure.
//!
//! 1. Adds of one set that follow each other share a message, up to [`ENTRIES`]; so do deletes.
//! 2. Messages go into one round, which is sent as a whole, until one touches a set that a
//!    shared message before it touches as well: were that one refused half way, its rest would
//!    come after. So requests about a set take effect in their order, whatever is refused.
//! 3. After a refusal inside a shared message the rest of it goes again, each entry in a message
//!    of its own: a full set then costs one message per entry left, not one round trip each.

use std::collections::VecDeque;

use super::{Member, Request, SetName};

/// Most entries in one message: about 14 KiB, so that a refusal's echo fits a read.
const ENTRIES: usize = 200;

/// One message: the indices of the requests in it, which all are of one kind and set if more
/// than one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) requests: Vec<usize>,
}

/// Requests that still have to be sent, in order.
#[derive(Debug)]
pub(super) struct Queue<'a> {
    requests: &'a [Request],
    pending: VecDeque<Pending>,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    index: usize,
    alone: bool,
}

impl<'a> Queue<'a> {
    /// A queue of those of `requests` that `include` names by index.
    pub(super) fn new(requests: &'a [Request], include: impl Fn(usize) -> bool) -> Self {
        let pending = (0..requests.len())
            .filter(|&index| include(index))
            .map(|index| Pending { index, alone: false })
            .collect();
        Self { requests, pending }
    }

    /// Takes the messages of the next round from the queue; none when all is sent.
    pub(super) fn next_round(&mut self) -> Vec<Packet> {
        let mut round = Vec::new();
        let mut shared: Vec<SetName> = Vec::new();
        while let Some(&first) = self.pending.front() {
            let request = &self.requests[first.index];
            if sets(request).into_iter().flatten().any(|set| shared.contains(&set)) {
                break;
            }
            let length = if first.alone { 1 } else { self.run_length(request) };
            let requests: Vec<usize> = self.pending.drain(..length).map(|p| p.index).collect();
            if length > 1 {
                shared.extend(sets(request).into_iter().flatten());
            }
            round.push(Packet { requests });
        }
        round
    }

    /// Puts the entries after `refused` of a shared message back, to be sent one by one.
    pub(super) fn put_back(&mut self, packet: &Packet, refused: usize) {
        let rest = packet.requests.iter().skip(refused + 1).rev();
        for &index in rest {
            self.pending.push_front(Pending { index, alone: true });
        }
    }

    fn run_length(&self, first: &Request) -> usize {
        let Some((kind, set, _)) = entry(first) else {
            return 1;
        };
        self.pending
            .iter()
            .take(ENTRIES)
            .take_while(|pending| {
                !pending.alone
                    && entry(&self.requests[pending.index])
                        .is_some_and(|(other, name, _)| other == kind && name == set)
            })
            .count()
            .max(1)
    }
}

/// What an entry request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EntryKind {
    Add,
    Delete,
}

/// The parts of a request about one entry.
pub(super) fn entry(request: &Request) -> Option<(EntryKind, SetName, Member)> {
    match *request {
        Request::Add(set, member) => Some((EntryKind::Add, set, member)),
        Request::Delete(set, entry) => Some((EntryKind::Delete, set, entry.into())),
        _ => None,
    }
}

fn sets(request: &Request) -> [Option<SetName>; 2] {
    match *request {
        Request::Create(spec) => [Some(spec.name), None],
        Request::Swap(one, other) => [Some(one), Some(other)],
        Request::Destroy(set)
        | Request::Flush(set)
        | Request::Add(set, _)
        | Request::Delete(set, _) => [Some(set), None],
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Entry;
    use super::*;

    fn set(name: &str) -> SetName {
        SetName::try_from(name).expect("short")
    }

    fn add(name: &str, port: u16) -> Request {
        Request::Add(set(name), Entry::Port(port).into())
    }

    fn rounds(requests: &[Request]) -> Vec<Vec<Vec<usize>>> {
        let mut queue = Queue::new(requests, |_| true);
        std::iter::from_fn(|| Some(queue.next_round()).filter(|round| !round.is_empty()))
            .map(|round| round.into_iter().map(|packet| packet.requests).collect())
            .collect()
    }

    #[test]
    fn neighbours_share_a_message() {
        let requests = [add("a", 1), add("a", 2), add("b", 1), Request::Flush(set("c"))];
        assert_eq!(rounds(&requests), [[vec![0, 1], vec![2], vec![3]]]);
    }

    #[test]
    fn adds_and_deletes_do_not_mix() {
        let requests = [add("a", 1), Request::Delete(set("a"), Entry::Port(1)), add("a", 1)];
        assert_eq!(rounds(&requests), [[vec![0], vec![1], vec![2]]]);
    }

    #[test]
    fn a_shared_message_is_a_barrier_for_its_set() {
        let requests = [add("a", 1), add("a", 2), Request::Swap(set("b"), set("a"))];
        assert_eq!(rounds(&requests), [vec![vec![0, 1]], vec![vec![2]]]);
    }

    #[test]
    fn long_runs_are_cut() {
        let requests: Vec<_> = (0..450).map(|port| add("a", port)).collect();
        let lengths: Vec<_> = rounds(&requests).concat().iter().map(Vec::len).collect();
        assert_eq!(lengths, [200, 200, 50]);
    }

    #[test]
    fn after_a_refusal_the_rest_goes_one_by_one() {
        let requests = [add("a", 1), add("a", 2), add("a", 3), add("a", 4), add("a", 5)];
        let mut queue = Queue::new(&requests, |index| index != 4);
        let round = queue.next_round();
        queue.put_back(&round[0], 1);
        let packets: Vec<_> = queue.next_round().into_iter().map(|p| p.requests).collect();
        assert_eq!(packets, [[2], [3]]);
    }

    proptest! {
        #[test]
        fn every_request_is_sent_once_and_in_order(
            list in prop::collection::vec((0_u8..3, 0_u16..4, any::<bool>()), 0..60),
        ) {
            let requests: Vec<_> = list
                .iter()
                .map(|&(name, port, delete)| match (["a", "b", "c"][usize::from(name)], delete) {
                    (name, true) => Request::Delete(set(name), Entry::Port(port)),
                    (name, false) => add(name, port),
                })
                .collect();
            let order = rounds(&requests).concat().concat();
            prop_assert_eq!(order, (0..requests.len()).collect::<Vec<_>>());
        }
    }
}
