//! The sorted-merge comparison that every table here and in a backend is diffed with.

use std::cmp::Ordering;
use std::iter::Peekable;

/// What became of one key between two tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<A, B> {
    /// Only in the old table.
    Removed(A),
    /// Only in the new table.
    Added(B),
    /// In both, equal or not.
    Kept(A, B),
}

/// Walks two tables sorted by the same key, without duplicates, once.
pub fn diff<K: Ord, A, B>(
    old: impl IntoIterator<Item = (K, A)>,
    new: impl IntoIterator<Item = (K, B)>,
) -> impl Iterator<Item = (K, Change<A, B>)> {
    let (mut old, mut new) = (old.into_iter().peekable(), new.into_iter().peekable());
    std::iter::from_fn(move || next_change(&mut old, &mut new))
}

fn next_change<K: Ord, A, B>(
    old: &mut Peekable<impl Iterator<Item = (K, A)>>,
    new: &mut Peekable<impl Iterator<Item = (K, B)>>,
) -> Option<(K, Change<A, B>)> {
    let order = match (old.peek(), new.peek()) {
        (None, None) => return None,
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (Some((one, _)), Some((two, _))) => one.cmp(two),
    };
    match order {
        Ordering::Less => old.next().map(|(key, a)| (key, Change::Removed(a))),
        Ordering::Greater => new.next().map(|(key, b)| (key, Change::Added(b))),
        Ordering::Equal => {
            old.next().zip(new.next()).map(|((key, a), (_, b))| (key, Change::Kept(a, b)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_comes_once_with_what_became_of_it() {
        let old = [(1, 'a'), (2, 'b'), (4, 'd')];
        let new = [(2, 'B'), (3, 'C'), (4, 'd')];
        let changes: Vec<_> = diff(old, new).collect();
        let expected = [
            (1, Change::Removed('a')),
            (2, Change::Kept('b', 'B')),
            (3, Change::Added('C')),
            (4, Change::Kept('d', 'd')),
        ];
        assert_eq!(changes, expected);
    }
}
