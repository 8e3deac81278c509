//! The client over stand-ins for kernels that take filters, ignore them, refuse them, or have no
//! connection tracker to talk to.
#![cfg(target_endian = "little")]

use std::collections::VecDeque;
use std::sync::Mutex;

use super::super::Zone;
use super::*;
use crate::netlink::attribute::{AttributeWriter, Attributes};
use crate::netlink::message::{self, HEADER};
use crate::netlink::transport::Transport;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const EPERM: i32 = 1;
const EINVAL: i32 = 22;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filters {
    Taken,
    Ignored,
    Refused,
}

struct Kernel {
    flows: Vec<Flow>,
    filters: Filters,
    /// What every request is refused with.
    error: Option<i32>,
    /// For each dump, whether it asked for one destination, one protocol, or all.
    dumps: Vec<&'static str>,
    replies: VecDeque<Vec<u8>>,
}

#[derive(Clone)]
struct Fake(Arc<Mutex<Kernel>>);

impl Fake {
    fn new(filters: Filters, flows: &[Flow]) -> Self {
        let kernel = Kernel {
            flows: flows.to_vec(),
            filters,
            error: None,
            dumps: Vec::new(),
            replies: VecDeque::new(),
        };
        Self(Arc::new(Mutex::new(kernel)))
    }

    fn refusing(error: i32) -> Self {
        let fake = Self::new(Filters::Taken, &[]);
        fake.0.lock().unwrap().error = Some(error);
        fake
    }

    fn client(&self) -> Conntrack {
        let traffic = Arc::new(Traffic::default());
        Conntrack { connection: Connection::over(Box::new(self.clone()), traffic), filters: true }
    }

    fn dumps(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.0.lock().unwrap().dumps)
    }
}

impl Transport for Fake {
    fn send(&mut self, request: &[u8]) -> io::Result<()> {
        let mut kernel = self.0.lock().unwrap();
        let attributes = Attributes::new(&request[HEADER + 4..]);
        let proto =
            attributes.find(1).and_then(|tuple| tuple.nested().find(2)).map(|proto| proto.nested());
        let port = proto.clone().and_then(|proto| proto.find(3)?.u16_be());
        kernel.dumps.push(match (proto, port) {
            (None, _) => "all",
            (Some(_), None) => "UDP",
            (Some(_), Some(_)) => "one",
        });
        let is_filtered = attributes.find(25).is_some();
        let refused = is_filtered && kernel.filters == Filters::Refused;
        let reply = if let Some(code) = kernel.error.or_else(|| refused.then_some(EINVAL)) {
            let body = [&(-code).to_ne_bytes()[..], &request[..HEADER]].concat();
            frame(NLMSG_ERROR, 0x100, request, &body)
        } else {
            let port = port.filter(|_| kernel.filters == Filters::Taken);
            let matching = |flow: &&Flow| {
                let is_family = flow.destination.is_ipv4() == (request[HEADER] == 2);
                is_family && port.is_none_or(|port| port == flow.destination.port())
            };
            let flows = kernel.flows.iter().filter(matching);
            let frames = flows.map(|flow| frame(0x100, 2, request, &shown(flow)));
            let done = frame(NLMSG_DONE, 2, request, &[0; 4]);
            frames.chain([done]).flatten().collect()
        };
        kernel.replies.push_back(reply);
        Ok(())
    }

    fn receive(&mut self, datagram: &mut Vec<u8>) -> io::Result<()> {
        *datagram = self.0.lock().unwrap().replies.pop_front().expect("a request was sent");
        Ok(())
    }

    fn reopen(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn frame(kind: u16, flags: u16, request: &[u8], body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    message::append(&mut bytes, kind, flags, |end| end.extend_from_slice(body));
    bytes[8..12].copy_from_slice(&request[8..12]);
    bytes
}

/// A flow as a dump shows it.
fn shown(flow: &Flow) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec::emit_delete(&mut bytes, flow);
    let tuple = Attributes::new(&bytes[4..]).find(1).expect("written").payload.to_vec();
    AttributeWriter::new(&mut bytes).bytes(2, &tuple);
    bytes
}

fn to(text: &str) -> SocketAddr {
    text.parse().expect("an address and port")
}

fn flow(destination: &str) -> Flow {
    let destination = to(destination);
    let source = SocketAddr::new(destination.ip(), 9);
    Flow { source, destination, reply_source: source, zone: Zone::Default, id: None }
}

fn three() -> [Flow; 3] {
    [flow("10.96.0.1:53"), flow("10.96.0.2:54"), flow("[fd00:96::1]:53")]
}

fn found(client: &mut Conntrack, scope: Scope<'_>) -> Vec<Flow> {
    client.udp_flows(scope, &mut |_| true).expect("the kernel answers")
}

#[test]
fn few_destinations_are_asked_for_one_by_one_and_many_at_once() {
    let fake = Fake::new(Filters::Taken, &three());
    let mut client = fake.client();
    let few = [to("10.96.0.1:53"), to("[fd00:96::1]:53")];
    assert_eq!(found(&mut client, Scope::To(&few)), [three()[0], three()[2]]);
    assert_eq!(fake.dumps(), ["one", "one"]);
    let many: Vec<_> = (1..9).map(|port| SocketAddr::new(few[0].ip(), 50 + port)).collect();
    assert_eq!(found(&mut client, Scope::To(&many)), [three()[0]]);
    assert_eq!(fake.dumps(), ["UDP"]);
    assert_eq!(found(&mut client, Scope::To(&[])), []);
    assert_eq!(fake.dumps(), [""; 0]);
    assert_eq!(found(&mut client, Scope::Families(&Family::ALL)), three());
    assert_eq!(fake.dumps(), ["UDP", "UDP"]);
}

#[test]
fn what_is_not_picked_is_left_out() {
    let mut client = Fake::new(Filters::Taken, &three()).client();
    let mut pick = |flow: &Flow| flow.destination.port() == 54;
    let picked = client.udp_flows(Scope::Families(&[Family::Ipv4]), &mut pick);
    assert_eq!(picked.expect("the kernel answers"), [three()[1]]);
}

#[test]
fn a_kernel_that_refuses_filters_is_asked_for_everything_from_then_on() {
    let fake = Fake::new(Filters::Refused, &three());
    let mut client = fake.client();
    let one = [to("10.96.0.1:53")];
    assert_eq!(found(&mut client, Scope::To(&one)), [three()[0]]);
    assert_eq!(fake.dumps(), ["one", "all"]);
    assert_eq!(found(&mut client, Scope::To(&one)), [three()[0]]);
    assert_eq!(fake.dumps(), ["all"]);
}

#[test]
fn a_kernel_that_ignores_filters_is_noticed() {
    let fake = Fake::new(Filters::Ignored, &three());
    let mut client = fake.client();
    let both = [to("10.96.0.1:53"), to("10.96.0.2:54")];
    assert_eq!(found(&mut client, Scope::To(&both[..1])), [three()[0]]);
    assert_eq!(fake.dumps(), ["one"]);
    assert_eq!(found(&mut client, Scope::To(&both)), three()[..2]);
    assert_eq!(fake.dumps(), ["all"]);
}

#[test]
fn a_kernel_without_a_connection_tracker_says_so() {
    let kind = |error| {
        let answer = Fake::refusing(error)
            .client()
            .udp_flows(Scope::Families(&[Family::Ipv4]), &mut |_| true);
        answer.expect_err("refused").kind()
    };
    assert_eq!(kind(EINVAL), io::ErrorKind::Unsupported);
    assert_eq!(kind(EPERM), io::ErrorKind::PermissionDenied);
}
