//! Maps without empty room.

use std::collections::BTreeMap;

/// Puts a map's entries close together. One that grew in the order of its keys, as everything does
/// at a start, is half empty.
pub fn repack<K: Ord, V>(map: &mut BTreeMap<K, V>) {
    *map = std::mem::take(map).into_iter().collect();
}
