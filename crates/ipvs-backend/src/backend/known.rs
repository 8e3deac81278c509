//! Services that this process knows for ours, though nothing in the kernel tells so any more:
//! somebody removed the signs ([`crate::ownership`]), and they could not be put back, or the
//! service removed, yet.

use super::IpvsBackend;
use crate::kernel::Kernel;
use crate::ledger::Touched;
use crate::observe::Observed;

impl<K: Kernel> IpvsBackend<K> {
    /// Adds services in `observed` that are ours only by memory. They stay in memory until
    /// [`Self::forget_known`].
    pub(super) fn touch_known(&mut self, touched: &mut Touched, observed: &Observed) {
        let Self { ownership, observed: before, known, .. } = self;
        let only_by_memory = observed.services.keys().filter(|id| {
            !ownership.owns(id, observed) && (known.contains(id) || ownership.owns(id, before))
        });
        *known = only_by_memory.copied().collect();
        for &id in known.iter() {
            touched.services.entry(id).or_insert(None);
        }
    }

    /// Everything was brought to what is wanted.
    pub(super) fn forget_known(&mut self) {
        self.known.clear();
    }
}
