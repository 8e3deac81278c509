//! Short sorted lists, where a tree would take more memory than what is in it.

/// Adds to a sorted list without duplicates. Nearly always it is the only one.
pub(crate) fn add<T: Ord + Clone>(list: &mut Vec<T>, item: &T) {
    if let Err(index) = list.binary_search(item) {
        list.reserve_exact(1);
        list.insert(index, item.clone());
    }
}
