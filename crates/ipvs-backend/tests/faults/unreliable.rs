//! Any kernel, made to fail.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipvs_backend::kernel::Kernel;
use ipvs_backend::netlink::ipset::{self, SetError};
use ipvs_backend::netlink::ipvs::{self, DestinationStatus, ServiceId};
use ipvs_backend::netlink::{Errno, conntrack, route};
use ipvs_backend::observe::Observed;
use proxy_core::Family;

/// How one call to the kernel goes wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// After a part of the requests, in quarters, all that comes back is this error. A dump just
    /// fails.
    Lost(u8, Errno),
    /// Every so many-th request is refused with this error. A dump goes well.
    Refused(u8, Errno),
}

/// What befalls the next calls, one after the other. The test keeps a handle.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults(Arc<Mutex<VecDeque<Option<Fault>>>>);

impl Faults {
    pub(crate) fn befall(&self, faults: impl IntoIterator<Item = Option<Fault>>) {
        self.open().extend(faults);
    }

    pub(crate) fn end(&self) {
        self.open().clear();
    }

    fn next(&self) -> Option<Fault> {
        self.open().pop_front().flatten()
    }

    fn open(&self) -> MutexGuard<'_, VecDeque<Option<Fault>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A kernel whose calls are befallen by faults.
#[derive(Debug)]
pub(crate) struct Unreliable<K> {
    pub(crate) kernel: K,
    pub(crate) faults: Faults,
}

impl<K: Kernel> Unreliable<K> {
    /// Reads, or is interrupted.
    fn read<T>(&mut self, read: impl FnOnce(&mut K) -> io::Result<T>) -> io::Result<T> {
        match self.faults.next() {
            Some(Fault::Lost(_, errno)) => Err(errno.into()),
            Some(Fault::Refused(..)) | None => read(&mut self.kernel),
        }
    }

    /// Carries out requests, as far as the fault that is due lets it.
    fn run<R: Copy, E>(
        &mut self,
        requests: &[R],
        refusal: impl Fn(Errno) -> E,
        run: impl FnOnce(&mut K, &[R]) -> io::Result<Vec<Result<(), E>>>,
    ) -> io::Result<Vec<Result<(), E>>> {
        match self.faults.next() {
            Some(Fault::Lost(quarters, errno)) => {
                let done = requests.len() * usize::from(quarters.min(4)) / 4;
                run(&mut self.kernel, &requests[..done])?;
                Err(errno.into())
            }
            Some(Fault::Refused(nth, errno)) => {
                let nth = usize::from(nth.max(1));
                let is_refused = |index: &usize| (index + 1).is_multiple_of(nth);
                let numbered = requests.iter().enumerate();
                let sound: Vec<_> = numbered
                    .filter(|(index, _)| !is_refused(index))
                    .map(|(_, request)| *request)
                    .collect();
                let mut answers = run(&mut self.kernel, &sound)?.into_iter();
                let indexes = 0..requests.len();
                Ok(indexes
                    .map(|index| {
                        let answer = (!is_refused(&index)).then(|| answers.next()).flatten();
                        answer.unwrap_or_else(|| Err(refusal(errno)))
                    })
                    .collect())
            }
            None => run(&mut self.kernel, requests),
        }
    }

    /// Carries out one request that has no other answer.
    fn run_one(&mut self, run: impl FnOnce(&mut K) -> io::Result<()>) -> io::Result<()> {
        match self.faults.next() {
            Some(Fault::Lost(0..4, errno) | Fault::Refused(_, errno)) => Err(errno.into()),
            Some(Fault::Lost(_, errno)) => {
                run(&mut self.kernel)?;
                Err(errno.into())
            }
            None => run(&mut self.kernel),
        }
    }
}

impl<K: Kernel> Kernel for Unreliable<K> {
    fn another(&self) -> io::Result<Self> {
        Ok(Self { kernel: self.kernel.another()?, faults: self.faults.clone() })
    }

    fn observe(&mut self) -> io::Result<Observed> {
        self.read(Kernel::observe)
    }

    fn observe_network(&mut self) -> io::Result<Observed> {
        self.read(Kernel::observe_network)
    }

    fn has_service(&mut self, service: &ServiceId) -> io::Result<bool> {
        self.read(|kernel| kernel.has_service(service))
    }

    fn destinations(&mut self, service: &ServiceId) -> io::Result<Vec<DestinationStatus>> {
        self.read(|kernel| kernel.destinations(service))
    }

    fn ipvs(&mut self, requests: &[ipvs::Request]) -> io::Result<Vec<Result<(), Errno>>> {
        self.run(requests, |errno| errno, Kernel::ipvs)
    }

    fn ipset(&mut self, requests: &[ipset::Request]) -> io::Result<Vec<Result<(), SetError>>> {
        self.run(requests, |errno| SetError::from_code(errno.raw()), Kernel::ipset)
    }

    fn route(&mut self, requests: &[route::Request]) -> io::Result<Vec<Result<(), Errno>>> {
        self.run(requests, |errno| errno, Kernel::route)
    }

    fn create_device(&mut self) -> io::Result<()> {
        self.run_one(Kernel::create_device)
    }

    fn remove_device(&mut self) -> io::Result<()> {
        self.run_one(Kernel::remove_device)
    }

    fn device_index(&mut self) -> io::Result<Option<u32>> {
        self.read(Kernel::device_index)
    }

    fn udp_flows(
        &mut self,
        scope: conntrack::Scope<'_>,
        pick: &mut dyn FnMut(&conntrack::Flow) -> bool,
    ) -> io::Result<Vec<conntrack::Flow>> {
        self.read(|kernel| kernel.udp_flows(scope, pick))
    }

    fn forget_flows(&mut self, flows: &[conntrack::Flow]) -> io::Result<Vec<Result<(), Errno>>> {
        self.run(flows, |errno| errno, Kernel::forget_flows)
    }

    fn saved_rules(&mut self, family: Family) -> io::Result<String> {
        self.read(|kernel| kernel.saved_rules(family))
    }

    fn rules_generation(&mut self) -> io::Result<Option<u32>> {
        self.read(Kernel::rules_generation)
    }

    fn change_rules(
        &mut self,
        family: Family,
        saved: Option<String>,
        input: &mut dyn FnMut(&str) -> Option<String>,
    ) -> io::Result<()> {
        self.run_one(|kernel| kernel.change_rules(family, saved, input))
    }

    fn remove_table(&mut self, family: Family, name: &str) -> io::Result<()> {
        self.run_one(|kernel| kernel.remove_table(family, name))
    }
}
