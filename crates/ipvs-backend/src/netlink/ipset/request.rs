//! What can be asked of ipset.

use super::{Entry, Member, SetName, SetSpec};

/// One change, in its idempotent form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// Create a set; one with the same parameters already there is fine.
    Create(SetSpec),
    /// Destroy a set and its members; a missing one is fine, one in use is refused.
    Destroy(SetName),
    /// Remove every member.
    Flush(SetName),
    /// Exchange the contents of two sets of the same type; references stay with the names.
    Swap(SetName, SetName),
    /// Add a member; one that is there takes over the new mark.
    Add(SetName, Member),
    /// Delete a member; a missing one is fine.
    Delete(SetName, Entry),
}
