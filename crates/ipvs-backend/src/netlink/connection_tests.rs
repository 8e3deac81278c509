//! The connection over a transport that does what a test wants.

use std::collections::VecDeque;
use std::sync::Mutex;

use super::*;
use crate::netlink::Errno;
use crate::netlink::message::{HEADER, NLM_F_ACK};

const EINTR: i32 = 4;
const EAGAIN: i32 = 11;
const DONE: u16 = 3;
const DATA: u16 = 0x1c;
const MULTI: u16 = 2;

/// What the socket does next, and what was done to it.
#[derive(Default)]
struct Script {
    send_errors: VecDeque<i32>,
    receives: VecDeque<Result<Vec<u8>, i32>>,
    after_reopen: VecDeque<Result<Vec<u8>, i32>>,
    sent: Vec<Vec<u8>>,
    reopened: usize,
}

#[derive(Clone, Default)]
struct Fake(Arc<Mutex<Script>>);

impl Fake {
    fn script(&self) -> std::sync::MutexGuard<'_, Script> {
        self.0.lock().expect("no test panics with it")
    }

    fn receives(&self, list: impl IntoIterator<Item = Result<Vec<u8>, i32>>) {
        self.script().receives.extend(list);
    }

    fn connection(&self) -> (Connection, Arc<Traffic>) {
        let traffic = Arc::new(Traffic::default());
        (Connection::over(Box::new(self.clone()), traffic.clone()), traffic)
    }
}

impl Transport for Fake {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        let mut script = self.script();
        if let Some(errno) = script.send_errors.pop_front() {
            return Err(io::Error::from_raw_os_error(errno));
        }
        script.sent.push(datagram.to_vec());
        Ok(())
    }

    fn receive(&mut self, datagram: &mut Vec<u8>) -> io::Result<()> {
        let next = self.script().receives.pop_front().expect("the script is long enough");
        *datagram = next.map_err(io::Error::from_raw_os_error)?;
        Ok(())
    }

    fn reopen(&mut self) -> io::Result<()> {
        let mut script = self.script();
        script.reopened += 1;
        script.receives = std::mem::take(&mut script.after_reopen);
        Ok(())
    }
}

fn frame(kind: u16, flags: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    message::append(&mut bytes, kind, flags, |end| end.extend_from_slice(body));
    bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
    bytes
}

fn answer(sequence: u32, code: i32) -> Vec<u8> {
    let mut body = (-code).to_ne_bytes().to_vec();
    body.extend(frame(0, 0, sequence, &[]));
    frame(2, 0x100, sequence, &body)
}

fn batch(requests: u32) -> Batch {
    let mut batch = Batch::new();
    for number in 0..requests {
        batch.push(DATA, 0, |bytes| bytes.extend_from_slice(&number.to_ne_bytes()));
    }
    batch
}

fn refused(answers: &[Result<(), Refusal>]) -> Vec<(usize, i32)> {
    let code = |answer: &Result<(), Refusal>| answer.as_ref().err().map(|refusal| refusal.code);
    answers.iter().enumerate().filter_map(|(index, a)| code(a).map(|c| (index, c))).collect()
}

/// Sequence number and wish for an acknowledgement of each message.
fn headers(mut datagram: &[u8]) -> Vec<(u32, bool)> {
    let mut list = Vec::new();
    while let Some(header) = datagram.first_chunk::<HEADER>() {
        let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]);
        let flags = u16::from_ne_bytes([header[6], header[7]]);
        let sequence = u32::from_ne_bytes([header[8], header[9], header[10], header[11]]);
        list.push((sequence, flags & NLM_F_ACK != 0));
        datagram = &datagram[length as usize..];
    }
    list
}

fn first_byte(_: u16, payload: &[u8]) -> Option<u8> {
    payload.first().copied()
}

#[test]
fn only_the_last_of_a_send_asks_for_an_answer() {
    let fake = Fake::default();
    fake.receives([Ok(answer(256, 0)), Ok(answer(300, 0))]);
    let (mut connection, traffic) = fake.connection();
    let answers = connection.run(&mut batch(300)).expect("works");
    assert_eq!(answers.len(), 300);
    assert_eq!(refused(&answers), []);
    let sent = fake.script().sent.iter().map(|datagram| headers(datagram)).collect::<Vec<_>>();
    assert_eq!(sent.iter().map(Vec::len).collect::<Vec<_>>(), [256, 44]);
    for (number, (sequence, acknowledge)) in (1..).zip(sent.concat()) {
        assert_eq!((sequence, acknowledge), (number, number == 256 || number == 300));
    }
    let counts = traffic.counts();
    assert_eq!((counts.sends, counts.requests, counts.mutations), (2, 300, 300));
    assert_eq!((counts.dumps, counts.replies), (0, 2));
}

#[test]
fn a_send_is_bounded_in_bytes() {
    let fake = Fake::default();
    fake.receives([Ok(answer(2, 0)), Ok(answer(3, 0))]);
    let (mut connection, _) = fake.connection();
    let mut batch = Batch::new();
    for _ in 0..3 {
        batch.push(DATA, 0, |bytes| bytes.resize(bytes.len() + 60_000, 0));
    }
    assert_eq!(connection.run(&mut batch).expect("works").len(), 3);
}

#[test]
fn nothing_to_do_makes_no_system_call() {
    let fake = Fake::default();
    let (mut connection, traffic) = fake.connection();
    assert_eq!(connection.run(&mut batch(0)).expect("works"), []);
    assert_eq!(traffic.counts().sends, 0);
}

#[test]
fn errors_find_their_requests() {
    let fake = Fake::default();
    // Two of them in one datagram, and the last request is refused as well.
    fake.receives([Ok([answer(2, 17), answer(5, 2)].concat()), Ok(answer(10, 3))]);
    let (mut connection, _) = fake.connection();
    let answers = connection.run(&mut batch(10)).expect("works");
    assert_eq!(refused(&answers), [(1, 17), (4, 2), (9, 3)]);
}

#[test]
fn sequence_numbers_wrap() {
    let fake = Fake::default();
    fake.receives([Ok(answer(u32::MAX, 17)), Ok(answer(1, 0))]);
    let (mut connection, _) = fake.connection();
    connection.sequence = u32::MAX - 1;
    let answers = connection.run(&mut batch(4)).expect("works");
    assert_eq!(refused(&answers), [(1, 17)]);
    assert_eq!(connection.sequence, 2);
}

#[test]
fn foreign_replies_are_skipped() {
    let fake = Fake::default();
    fake.receives([
        Ok(answer(0, 17)),
        Ok(answer(900, 1)),
        Ok(frame(1, 0, 1, &[])),
        Ok(answer(1, 0)),
    ]);
    let (mut connection, _) = fake.connection();
    assert_eq!(refused(&connection.run(&mut batch(1)).expect("works")), []);
}

#[test]
fn interrupted_calls_are_made_again() {
    let fake = Fake::default();
    fake.script().send_errors.extend([EINTR, EINTR]);
    fake.receives([Err(EINTR), Ok(answer(1, 2)), Err(EINTR), Ok(answer(2, 0))]);
    let (mut connection, traffic) = fake.connection();
    assert_eq!(refused(&connection.run(&mut batch(2)).expect("works")), [(0, 2)]);
    assert_eq!(traffic.counts().sends, 1);
    assert_eq!(fake.script().reopened, 0);
}

/// After a fault the call fails, and the next starts on a fresh socket and works.
#[track_caller]
fn check_fault(
    replies: impl IntoIterator<Item = Result<Vec<u8>, i32>>,
    kind: io::ErrorKind,
) -> io::Error {
    let fake = Fake::default();
    fake.receives(replies);
    let (mut connection, _) = fake.connection();
    let error = connection.run(&mut batch(2)).expect_err("nothing is known");
    assert_eq!(error.kind(), kind);
    assert_eq!(fake.script().reopened, 0);
    // The rest of the script belongs to the socket that comes after.
    fake.script().after_reopen.extend([Ok(answer(3, 0))]);
    connection.run(&mut batch(1)).expect("works again");
    assert_eq!(fake.script().reopened, 1);
    fake.receives([Ok(answer(4, 0))]);
    connection.run(&mut batch(1)).expect("still works");
    assert_eq!(fake.script().reopened, 1);
    error
}

#[test]
fn an_overrun_receive_buffer_fails_the_call() {
    let error =
        check_fault([Ok(answer(1, 17)), Err(105)], io::Error::from_raw_os_error(105).kind());
    assert_eq!(error.raw_os_error(), Some(Errno::NOBUFS.raw()));
}

#[test]
fn an_overrun_message_fails_the_call() {
    let error = check_fault([Ok(frame(4, 0, 1, &[]))], io::Error::from_raw_os_error(105).kind());
    assert_eq!(error.raw_os_error(), Some(Errno::NOBUFS.raw()));
}

#[test]
fn a_lost_reply_fails_the_call_in_the_end() {
    check_fault([Ok(answer(1, 17)), Err(EAGAIN)], io::ErrorKind::TimedOut);
}

#[test]
fn a_truncated_reply_fails_the_call() {
    let mut cut = answer(2, 0);
    cut.truncate(30);
    check_fault([Ok(cut)], io::ErrorKind::InvalidData);
}

#[test]
fn a_send_that_fails_fails_the_call() {
    let fake = Fake::default();
    fake.script().send_errors.extend([12]);
    let (mut connection, traffic) = fake.connection();
    let error = connection.run(&mut batch(2)).expect_err("nothing was sent");
    assert_eq!(error.raw_os_error(), Some(12));
    assert_eq!(traffic.counts().requests, 0);
}

#[test]
fn a_dump_is_collected_to_its_end() {
    let fake = Fake::default();
    fake.receives([
        Ok([frame(DATA, MULTI, 1, &[7]), frame(DATA, MULTI, 9, &[0]), frame(DATA, MULTI, 1, &[8])]
            .concat()),
        Err(EINTR),
        Ok([frame(DATA, MULTI, 1, &[9]), frame(DONE, MULTI, 1, &[0; 4])].concat()),
    ]);
    let (mut connection, traffic) = fake.connection();
    let found = connection.dump(DATA, |_| {}, first_byte).expect("works").expect("not refused");
    assert_eq!(found, [7, 8, 9]);
    let counts = traffic.counts();
    assert_eq!((counts.dumps, counts.mutations, counts.replies), (1, 0, 5));
}

#[test]
fn an_interrupted_dump_begins_again() {
    let fake = Fake::default();
    let done = |flags, sequence| frame(DONE, MULTI | flags, sequence, &[0; 4]);
    fake.receives([
        Ok(frame(DATA, MULTI | NLM_F_DUMP_INTR, 1, &[7])),
        Ok(done(0, 1)),
        Ok([frame(DATA, MULTI, 2, &[7]), done(NLM_F_DUMP_INTR, 2)].concat()),
        Ok([frame(DATA, MULTI, 3, &[8]), done(0, 3)].concat()),
    ]);
    let (mut connection, traffic) = fake.connection();
    assert_eq!(connection.dump(DATA, |_| {}, first_byte).expect("works"), Ok(vec![8]));
    assert_eq!(traffic.counts().dumps, 3);
}

#[test]
fn a_dump_that_is_always_interrupted_gives_up() {
    let fake = Fake::default();
    fake.receives((1..=16).map(|number| Ok(frame(DONE, NLM_F_DUMP_INTR, number, &[0; 4]))));
    let (mut connection, _) = fake.connection();
    let error = connection.dump(DATA, |_| {}, first_byte).expect_err("gives up");
    assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
}

#[test]
fn a_dump_can_be_refused_at_its_start_and_at_its_end() {
    let fake = Fake::default();
    fake.receives([
        Ok(answer(1, 2)),
        Ok([frame(DATA, MULTI, 2, &[7]), frame(DONE, MULTI, 2, &(-12_i32).to_ne_bytes())].concat()),
    ]);
    let (mut connection, _) = fake.connection();
    for expected in [2, 12] {
        let refusal =
            connection.dump(DATA, |_| {}, first_byte).expect("works").expect_err("refused");
        assert_eq!(refusal.code, expected);
    }
}

#[test]
fn a_query_gives_its_data_or_the_refusal() {
    let fake = Fake::default();
    fake.receives([
        Ok(frame(DATA, 0, 1, &[5])),
        Ok(frame(DATA, 0, 7, &[6])),
        Ok(answer(1, 0)),
        Ok(answer(2, 4098)),
    ]);
    let (mut connection, traffic) = fake.connection();
    assert_eq!(connection.query(DATA, |_| {}, first_byte).expect("works"), Ok(vec![5]));
    let refusal = connection.query(DATA, |_| {}, first_byte).expect("works").expect_err("refused");
    assert_eq!(refusal.code, 4098);
    let counts = traffic.counts();
    assert_eq!((counts.requests, counts.mutations, counts.dumps), (2, 0, 0));
}

#[test]
fn a_transaction_is_answered_by_its_body_or_by_whatever_was_refused() {
    for (receives, expected) in [
        // A frame that is well may be answered or not, and strangers' answers are skipped.
        (vec![answer(9, 1), answer(2, 0)], None),
        (vec![answer(1, 0), answer(2, 0), answer(3, 0)], None),
        (vec![answer(2, 2)], Some(2)),
        (vec![answer(1, 95)], Some(95)),
        // A commit that fails is told of the first, before the answers.
        (vec![answer(1, 16), answer(2, 0)], Some(16)),
    ] {
        let fake = Fake::default();
        fake.receives([Ok(receives.concat())]);
        let (mut connection, traffic) = fake.connection();
        let outcome = connection.transact(&mut batch(3)).expect("the socket works");
        assert_eq!(outcome.err().map(|refusal| refusal.code), expected);
        let script = fake.script();
        assert_eq!(script.sent.len(), 1, "the kernel takes it as one or not at all");
        let acknowledged = script.sent[0]
            .chunks(HEADER + 4)
            .map(|request| u16::from_ne_bytes([request[6], request[7]]) & NLM_F_ACK != 0);
        assert!(acknowledged.eq([false, true, false]));
        assert_eq!(traffic.counts().mutations, 3);
    }
}
