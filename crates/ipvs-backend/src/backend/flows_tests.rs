//! What is looked at when, over a kernel that tracks flows and does nothing else.

use std::net::SocketAddr;

use proxy_core::ObjectError;

use super::*;
use crate::marks::MarkRange;
use crate::netlink::conntrack::Zone;
use crate::netlink::ipset::{self, SetError};
use crate::netlink::ipvs::{self, DestinationStatus, ServiceId};
use crate::netlink::route;
use crate::op::{Op, Phase};

#[derive(Default)]
struct Tracker {
    flows: Vec<Flow>,
    /// What reading is answered with.
    unreadable: Option<io::ErrorKind>,
    /// What deleting a flow is answered with.
    refuses: Option<Errno>,
    looks: usize,
    deletions: usize,
}

impl Kernel for Tracker {
    fn udp_flows(
        &mut self,
        scope: Scope<'_>,
        pick: &mut dyn FnMut(&Flow) -> bool,
    ) -> io::Result<Vec<Flow>> {
        self.looks += 1;
        if let Some(kind) = self.unreadable {
            return Err(kind.into());
        }
        let in_scope = |flow: &&Flow| match scope {
            Scope::To(addresses) => addresses.contains(&flow.destination),
            Scope::Families(families) => families.contains(&Family::of(flow.destination.ip())),
        };
        Ok(self.flows.iter().filter(in_scope).filter(|flow| pick(flow)).copied().collect())
    }

    fn forget_flows(&mut self, flows: &[Flow]) -> io::Result<Vec<Result<(), Errno>>> {
        self.deletions += flows.len();
        if self.refuses.is_none() {
            self.flows.retain(|flow| !flows.contains(flow));
        }
        Ok(flows.iter().map(|_| self.refuses.map_or(Ok(()), Err)).collect())
    }

    fn observe(&mut self) -> io::Result<Observed> {
        Ok(Observed::default())
    }

    fn observe_network(&mut self) -> io::Result<Observed> {
        Ok(Observed::default())
    }

    fn has_service(&mut self, _: &ServiceId) -> io::Result<bool> {
        Ok(false)
    }

    fn destinations(&mut self, _: &ServiceId) -> io::Result<Vec<DestinationStatus>> {
        Ok(Vec::new())
    }

    fn ipvs(&mut self, requests: &[ipvs::Request]) -> io::Result<Vec<Result<(), Errno>>> {
        Ok(requests.iter().map(|_| Ok(())).collect())
    }

    fn ipset(&mut self, requests: &[ipset::Request]) -> io::Result<Vec<Result<(), SetError>>> {
        Ok(requests.iter().map(|_| Ok(())).collect())
    }

    fn route(&mut self, requests: &[route::Request]) -> io::Result<Vec<Result<(), Errno>>> {
        Ok(requests.iter().map(|_| Ok(())).collect())
    }

    fn create_device(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn remove_device(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn device_index(&mut self) -> io::Result<Option<u32>> {
        Ok(None)
    }

    fn saved_rules(&mut self, _: Family) -> io::Result<String> {
        Ok(String::new())
    }

    fn change_rules(
        &mut self,
        _: Family,
        _: Option<String>,
        _: &mut dyn FnMut(&str) -> Option<String>,
    ) -> io::Result<()> {
        Ok(())
    }

    fn remove_table(&mut self, _: Family, _: &str) -> io::Result<()> {
        Ok(())
    }
}

fn socket(text: &str) -> SocketAddr {
    text.parse().expect("an address and port")
}

fn udp(at: &str) -> VirtualServerKey {
    let at = socket(at);
    let port = at.port().try_into().expect("a port");
    VirtualServerKey { address: at.ip(), protocol: Protocol::Udp, port }
}

fn flow(destination: &str) -> Flow {
    Flow {
        source: socket("10.244.1.20:40000"),
        destination: socket(destination),
        reply_source: socket(destination),
        zone: Zone::Default,
        id: None,
    }
}

const ONE: &str = "10.96.0.1:53";
const OTHER: &str = "10.96.0.2:53";

/// Nothing is wanted, so whatever is suspect is a frontend that is gone.
struct Bench {
    flows: Flows,
    tracker: Tracker,
    ledger: Ledger,
}

impl Bench {
    fn new(flows: &[&str]) -> Self {
        let flows = flows.iter().map(|to| flow(to)).collect();
        let tracker = Tracker { flows, ..Tracker::default() };
        Self { flows: Flows::default(), tracker, ledger: Ledger::new(MarkRange::default()) }
    }

    fn remove(&mut self, frontend: &str) {
        let key = udp(frontend);
        let id = crate::object::service_id(&key);
        let op = Op::DeleteService(id);
        let step = Step { phase: Phase::RemoveServices, op, server: Some(key) };
        self.flows.suspect(&[step], &self.ledger, &Observed::default());
    }

    /// Looks. Returns for which virtual servers that failed.
    fn forget(&mut self) -> Vec<Option<VirtualServerKey>> {
        self.forget_after(&[])
    }

    fn forget_after(&mut self, failed: &[Failure]) -> Vec<Option<VirtualServerKey>> {
        let failures = self.flows.forget(&mut self.tracker, &self.ledger, failed);
        failures.into_iter().map(|failure| failure.server).collect()
    }

    fn looks(&mut self) -> usize {
        std::mem::take(&mut self.tracker.looks)
    }
}

#[test]
fn only_what_is_suspect_is_looked_at_and_only_once() {
    let mut bench = Bench::new(&[ONE, OTHER]);
    assert_eq!(bench.forget(), []);
    assert_eq!(bench.looks(), 0);
    bench.remove(ONE);
    assert_eq!(bench.forget(), []);
    assert_eq!((bench.looks(), bench.flows.forgotten()), (1, 1));
    assert_eq!(bench.tracker.flows, [flow(OTHER)]);
    assert_eq!(bench.forget(), []);
    assert_eq!(bench.looks(), 0);
}

#[test]
fn nothing_is_deleted_when_nothing_is_stale() {
    let mut bench = Bench::new(&[OTHER]);
    bench.remove(ONE);
    bench.flows.suspect_all();
    assert_eq!(bench.forget(), []);
    assert_eq!((bench.looks(), bench.tracker.deletions), (1, 0));
}

#[test]
fn what_could_not_be_read_is_looked_at_again() {
    let mut bench = Bench::new(&[ONE, OTHER]);
    bench.tracker.unreadable = Some(io::ErrorKind::TimedOut);
    bench.remove(ONE);
    assert_eq!(bench.forget(), [Some(udp(ONE))]);
    bench.remove(OTHER);
    assert_eq!(bench.forget(), [Some(udp(ONE)), Some(udp(OTHER))]);
    bench.tracker.unreadable = None;
    assert_eq!(bench.forget(), []);
    assert_eq!(bench.tracker.flows, []);
}

#[test]
fn all_stay_suspect_until_they_are_looked_at() {
    let mut bench = Bench::new(&[ONE]);
    bench.tracker.unreadable = Some(io::ErrorKind::TimedOut);
    bench.remove(ONE);
    bench.flows.suspect_all();
    assert_eq!(bench.forget(), [None], "the node as a whole");
    bench.tracker.unreadable = None;
    assert_eq!(bench.forget(), []);
    assert_eq!(bench.tracker.flows, []);
}

#[test]
fn a_flow_that_is_not_deleted_is_tried_again_and_one_that_is_gone_is_fine() {
    let mut bench = Bench::new(&[ONE, OTHER]);
    bench.tracker.refuses = Some(Errno::BUSY);
    bench.remove(ONE);
    assert_eq!(bench.forget(), [Some(udp(ONE))]);
    bench.tracker.refuses = Some(Errno::NOENT);
    assert_eq!(bench.forget(), []);
    assert_eq!((bench.looks(), bench.flows.forgotten()), (2, 0));
    assert_eq!(bench.forget(), []);
    assert_eq!(bench.looks(), 0);
}

#[test]
fn a_frontend_that_could_not_be_programmed_stays_suspect() {
    let mut bench = Bench::new(&[]);
    bench.remove(ONE);
    bench.remove(OTHER);
    let failed = Failure {
        server: Some(udp(ONE)),
        object: "- service".to_owned(),
        error: ObjectError::Conflict,
    };
    assert_eq!(bench.forget_after(&[failed]), []);
    bench.tracker.flows = vec![flow(ONE), flow(OTHER)];
    assert_eq!(bench.forget(), []);
    assert_eq!(bench.tracker.flows, [flow(OTHER)]);
}

#[test]
fn a_kernel_that_shows_no_flows_is_reported_once_and_asked_at_the_next_resync() {
    for kind in [io::ErrorKind::Unsupported, io::ErrorKind::PermissionDenied] {
        let mut bench = Bench::new(&[ONE]);
        bench.tracker.unreadable = Some(kind);
        bench.flows.suspect_all();
        bench.remove(ONE);
        assert_eq!(bench.forget(), [None]);
        bench.remove(OTHER);
        assert_eq!(bench.forget(), []);
        assert_eq!(bench.looks(), 1);
        bench.flows.suspect_all();
        assert_eq!(bench.forget(), []);
        bench.tracker.unreadable = None;
        bench.flows.suspect_all();
        bench.remove(ONE);
        assert_eq!(bench.forget(), []);
        assert_eq!(bench.tracker.flows, []);
    }
}
