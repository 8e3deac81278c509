//! Firewall marks for virtual servers whose clients inside the cluster have real servers of their
//! own. IPVS keeps one list of servers for an address; the second list belongs to a service keyed by
//! a mark, which the packets of inside clients get on their way in.

use std::collections::{BTreeMap, BTreeSet};

use proxy_core::VirtualServerKey;

/// Which marks may be given out: those whose bits outside `mask` are `value`'s.
///
/// IPVS compares the whole mark, so a packet must carry exactly the given one. The default, 0x2000
/// to 0x3fff, keeps off 0x4000 and 0x8000 (Kubernetes) and 0xffff0000 (Calico's default mask); it
/// shares 0x0f00 with Cilium, which does not run beside a proxy by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkRange {
    value: u32,
    mask: u32,
}

/// A range of marks that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "marks {value:#x}/{mask:#x}: the value needs a bit outside of the mask and none in it, and the \
     mask two bits"
)]
pub struct InvalidMarkRange {
    value: u32,
    mask: u32,
}

impl MarkRange {
    /// Marks that have `value` in their bits outside of `mask`.
    ///
    /// # Errors
    /// When the mark 0 would be among them, or `value` has bits of `mask`.
    pub const fn new(value: u32, mask: u32) -> Result<Self, InvalidMarkRange> {
        if value == 0 || value & mask != 0 || mask.count_ones() < 2 {
            return Err(InvalidMarkRange { value, mask });
        }
        Ok(Self { value, mask })
    }

    /// The bits that all marks of the range have, and no others need have.
    #[must_use]
    pub const fn sign(&self) -> u32 {
        self.value
    }

    /// The bits that all marks for node ports have, and no others of the range: the highest of the
    /// mask beside the sign.
    #[must_use]
    pub const fn node_port_sign(&self) -> u32 {
        self.value | 1 << self.mask.ilog2()
    }

    /// Whether `mark` is in the range.
    #[must_use]
    pub const fn contains(&self, mark: u32) -> bool {
        mark & !self.mask == self.value
    }

    /// Its marks for such a use, in ascending order.
    fn marks(self, usage: Usage) -> impl Iterator<Item = u32> {
        // Counts through the bits of the mask alone, wherever they are.
        std::iter::successors(Some(0_u32), move |bits| {
            Some((bits | !self.mask).wrapping_add(1) & self.mask).filter(|next| *next != 0)
        })
        .map(move |bits| self.value | bits)
        .filter(move |mark| self.usage(*mark) == usage)
    }

    const fn usage(self, mark: u32) -> Usage {
        let sign = self.node_port_sign();
        if mark & sign == sign { Usage::NodePort } else { Usage::Other }
    }
}

/// What a mark is given out for: packets to node ports can come from pods of other nodes, whose
/// replies would not pass here unless they are masqueraded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// A node port.
    NodePort,
    /// Any other frontend.
    Other,
}

impl Default for MarkRange {
    fn default() -> Self {
        Self { value: 0x2000, mask: 0x1fff }
    }
}

/// Which virtual server has which mark.
#[derive(Debug)]
pub struct Marks {
    range: MarkRange,
    of: BTreeMap<VirtualServerKey, u32>,
    by_mark: BTreeMap<u32, VirtualServerKey>,
    /// Marks of services that are there without a virtual server: somebody else's, or ours that
    /// still drain.
    taken: BTreeSet<u32>,
}

impl Marks {
    /// No mark is given out yet.
    #[must_use]
    pub fn new(range: MarkRange) -> Self {
        let (of, by_mark, taken) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { range, of, by_mark, taken }
    }

    /// The mark of `key`.
    #[must_use]
    pub fn get(&self, key: &VirtualServerKey) -> Option<u32> {
        self.of.get(key).copied()
    }

    /// Whose mark this is.
    #[must_use]
    pub fn owner(&self, mark: u32) -> Option<&VirtualServerKey> {
        self.by_mark.get(&mark)
    }

    /// Gives `key` a mark, the one it has if it has one for this use; `None` when all are given out.
    pub fn assign(&mut self, key: VirtualServerKey, usage: Usage) -> Option<u32> {
        if let Some(mark) = self.get(&key) {
            if self.range.usage(mark) == usage {
                return Some(mark);
            }
            self.of.remove(&key);
            self.by_mark.remove(&mark);
            self.taken.insert(mark);
        }
        let is_free = |mark: &u32| !self.by_mark.contains_key(mark) && !self.taken.contains(mark);
        let mark = self.range.marks(usage).find(is_free)?;
        self.adopt(key, mark);
        Some(mark)
    }

    /// Notes that `key` has this mark already, from an earlier process.
    pub fn adopt(&mut self, key: VirtualServerKey, mark: u32) {
        if self.range.contains(mark) && !self.by_mark.contains_key(&mark) {
            self.of.insert(key, mark);
            self.by_mark.insert(mark, key);
        }
    }

    /// Notes that a service with this mark is there.
    pub fn take(&mut self, mark: u32) {
        self.taken.insert(mark);
    }

    /// Notes that no service with this mark is there, and that its virtual server, if it is not
    /// `wanted` any more, may lose it.
    pub fn free(&mut self, mark: u32, is_wanted: impl Fn(&VirtualServerKey) -> bool) {
        self.taken.remove(&mark);
        if let Some(key) = self.by_mark.get(&mark).copied().filter(|key| !is_wanted(key)) {
            self.by_mark.remove(&mark);
            self.of.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(last: u8) -> VirtualServerKey {
        let protocol = proxy_core::Protocol::Tcp;
        VirtualServerKey {
            address: [192, 0, 2, last].into(),
            protocol,
            port: 80.try_into().unwrap(),
        }
    }

    #[test]
    fn marks_are_counted_in_the_bits_of_the_mask_and_node_ports_have_the_upper_half() {
        let range = MarkRange::new(0x10, 0b1010_0000).unwrap();
        assert_eq!(range.marks(Usage::Other).collect::<Vec<_>>(), [0x10, 0x30]);
        assert_eq!(range.marks(Usage::NodePort).collect::<Vec<_>>(), [0x90, 0xb0]);
        assert_eq!(range.node_port_sign(), 0x90);
        assert_eq!(MarkRange::default().marks(Usage::Other).count(), 0x1000);
        assert_eq!(MarkRange::default().node_port_sign(), 0x3000);
        for (value, mask) in [(0, 0xff), (0x11, 0x3), (0x10, 0x1)] {
            assert!(MarkRange::new(value, mask).is_err(), "{value:#x}/{mask:#x}");
        }
    }

    #[test]
    fn a_virtual_server_keeps_its_mark_and_a_taken_one_is_passed_over() {
        let mut marks = Marks::new(MarkRange::new(0x10, 0b111).unwrap());
        marks.take(0x10);
        marks.adopt(key(9), 0x12);
        assert_eq!(marks.assign(key(1), Usage::Other), Some(0x11));
        assert_eq!(marks.assign(key(1), Usage::Other), Some(0x11));
        assert_eq!(marks.assign(key(2), Usage::Other), Some(0x13));
        assert_eq!(marks.assign(key(3), Usage::Other), None);
        marks.free(0x12, |_| false);
        assert_eq!(marks.assign(key(3), Usage::Other), Some(0x12));
    }

    #[test]
    fn a_mark_for_another_use_is_given_up() {
        let mut marks = Marks::new(MarkRange::new(0x10, 0b11).unwrap());
        marks.adopt(key(1), 0x10);
        assert_eq!(marks.assign(key(1), Usage::NodePort), Some(0x12));
        assert_eq!((marks.owner(0x10), marks.owner(0x12)), (None, Some(&key(1))));
    }
}
