//! A kernel that is empty, agrees to everything, and remembers what it was asked.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use ipvs_backend::kernel::Kernel;
use ipvs_backend::netlink::Errno;
use ipvs_backend::netlink::conntrack::{Flow, Scope};
use ipvs_backend::netlink::ipset::{Request as SetRequest, SetError};
use ipvs_backend::netlink::ipvs::{DestinationStatus, Request, ServiceId};
use ipvs_backend::netlink::route::Request as RouteRequest;
use ipvs_backend::observe::Observed;
use proxy_core::Family;

/// Requests that were made together.
#[derive(Clone, Debug)]
pub(super) enum Sent {
    Ipvs(Vec<Request>),
    Sets(Vec<SetRequest>),
    Routes(Vec<RouteRequest>),
}

/// What a [`Recorder`] was asked so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Recording(Arc<Mutex<Vec<Sent>>>);

impl Recording {
    /// All of it.
    pub(super) fn take(&self) -> Vec<Sent> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, sent: Sent) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(sent);
    }
}

/// The kernel.
#[derive(Debug)]
pub(super) struct Recorder(Recording);

impl Recorder {
    pub(super) fn new(recording: &Recording) -> Self {
        Self(recording.clone())
    }
}

/// The index that `lo` has in every namespace.
const LOOPBACK: u32 = 1;

impl Kernel for Recorder {
    fn observe(&mut self) -> io::Result<Observed> {
        self.observe_network()
    }

    fn observe_network(&mut self) -> io::Result<Observed> {
        Ok(Observed { loopback: LOOPBACK, ..Observed::default() })
    }

    fn has_service(&mut self, _: &ServiceId) -> io::Result<bool> {
        Ok(false)
    }

    fn destinations(&mut self, _: &ServiceId) -> io::Result<Vec<DestinationStatus>> {
        Ok(Vec::new())
    }

    fn ipvs(&mut self, requests: &[Request]) -> io::Result<Vec<Result<(), Errno>>> {
        self.0.note(Sent::Ipvs(requests.to_vec()));
        Ok(vec![Ok(()); requests.len()])
    }

    fn ipset(&mut self, requests: &[SetRequest]) -> io::Result<Vec<Result<(), SetError>>> {
        self.0.note(Sent::Sets(requests.to_vec()));
        Ok(requests.iter().map(|_| Ok(())).collect())
    }

    fn route(&mut self, requests: &[RouteRequest]) -> io::Result<Vec<Result<(), Errno>>> {
        self.0.note(Sent::Routes(requests.to_vec()));
        Ok(vec![Ok(()); requests.len()])
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

    fn udp_flows(
        &mut self,
        _: Scope<'_>,
        _: &mut dyn FnMut(&Flow) -> bool,
    ) -> io::Result<Vec<Flow>> {
        Ok(Vec::new())
    }

    fn forget_flows(&mut self, flows: &[Flow]) -> io::Result<Vec<Result<(), Errno>>> {
        Ok(vec![Ok(()); flows.len()])
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
