//! What is done ahead of the first resync, while nobody knows yet what is wanted: most of what a
//! fresh node has to wait for are programs that load the static rules.

use proxy_core::{BackendError, Report};

use super::IpvsBackend;
use super::survey::{Seen, look, observe};
use super::wish::adopt_marks;
use crate::kernel::Kernel;
use crate::ledger::{Ledger, Touched};
use crate::observe::Observed;

impl<K: Kernel> IpvsBackend<K> {
    /// Reads the kernel, and puts sets, static rules and device in place.
    pub(super) fn lay_ahead(&mut self) -> Result<Option<Report>, BackendError> {
        let Seen { observed, saved } = look(&mut self.kernel, &self.capabilities.families, None)?;
        if is_served_by_another(&observed) {
            return Ok(None);
        }
        self.ledger = Ledger::new(self.ownership.marks);
        adopt_marks(self.ledger.marks_mut(), &observed);
        self.observed = observed;
        let (mut report, _) = self.lay_foundations(saved)?;
        let device = Touched { everything: true, ..Touched::default() };
        report.merge(self.change(&device, &mut |_| {})?);
        self.is_laid_ahead = true;
        Ok(Some(report))
    }

    /// Brings everything in `touched` to what is wanted. Stale flows and what drains are left to the
    /// resync that follows, which looks for all of them.
    pub(super) fn change_ahead(&mut self, touched: &Touched) -> Result<Report, BackendError> {
        self.read_destinations(touched)?;
        self.change(touched, &mut |_| {})
    }

    /// Reads the servers of services that are about to be changed, which is left out of a look.
    fn read_destinations(&mut self, touched: &Touched) -> Result<(), BackendError> {
        for id in touched.services.keys() {
            if self.observed.services.contains_key(id) {
                let found = self.destinations(id)?;
                if let Some(service) = self.observed.services.get_mut(id) {
                    service.destinations = found;
                }
            }
        }
        Ok(())
    }

    /// The kernel as it is, and its rules unless they were put in place ahead and nothing speaks
    /// against them.
    pub(super) fn look_again(&mut self) -> Result<Seen, BackendError> {
        if self.is_laid_ahead && !self.doubts.about_rules() {
            return Ok(Seen { observed: observe(&mut self.kernel)?, saved: None });
        }
        look(&mut self.kernel, &self.capabilities.families, None)
    }
}

/// Whether rules of another proxy are there, or addresses that it bound. Our rules judge by the
/// source of a packet, which is right once the addresses are bound in our way, and not before.
fn is_served_by_another(observed: &Observed) -> bool {
    let holds_addresses = observed.device.as_ref().is_some_and(|it| !it.addresses.is_empty());
    holds_addresses || !observed.legacy_rules.is_empty() || !observed.legacy_tables.is_empty()
}
