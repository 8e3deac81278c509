//! Everything that is wanted, and everything there is to compare it with. Pure.

use proxy_core::{DesiredState, Family};

use crate::ledger::{Ledger, Touched};
use crate::marks::Marks;
use crate::netlink::ipvs::ServiceId;
use crate::object::{Shared, key_of_entry};
use crate::observe::Observed;
use crate::ownership::{self, Ownership};
use crate::set::{Purpose, SetId};

/// What `desired` wants of a kernel that holds `observed`.
pub(crate) fn wish(
    desired: &DesiredState,
    observed: &Observed,
    ownership: &Ownership,
) -> (Ledger, Touched) {
    let (mut ledger, mut touched) = (Ledger::new(ownership.marks), Touched::default());
    adopt_marks(ledger.marks_mut(), observed);
    for server in desired.iter() {
        ledger.set(server, &mut touched);
    }
    touch_owned(&mut touched, observed, ownership);
    touched.everything = true;
    ledger.repack();
    touched.repack();
    (ledger, touched)
}

/// Adds everything that is ours in the kernel, wanted or not.
pub(super) fn touch_owned(touched: &mut Touched, observed: &Observed, ownership: &Ownership) {
    for id in observed.services.keys().filter(|id| ownership.owns(id, observed)) {
        touched.services.entry(*id).or_insert(None);
    }
    for (&set, observed) in &observed.sets {
        for &entry in observed.members.keys() {
            let object = ownership::shared_of_member(set, entry);
            touched.shared.entry(object).or_insert(None);
        }
    }
    for address in observed.bound() {
        touched.shared.entry(Shared::Vip(address)).or_insert(None);
    }
}

/// A virtual server keeps the mark that its packets get now.
pub(super) fn adopt_marks(marks: &mut Marks, observed: &Observed) {
    for family in Family::ALL {
        let set = SetId { purpose: Purpose::InternalMark, family };
        let members = observed.sets.get(&set).into_iter().flat_map(|set| &set.members);
        for (entry, mark) in members {
            if let (Some(key), Some(mark)) = (key_of_entry(entry), mark) {
                marks.adopt(key, *mark);
            }
        }
    }
    for id in observed.services.keys() {
        if let ServiceId::Fwmark { mark, .. } = *id {
            marks.take(mark);
        }
    }
}
