//! Which tests share a guest. Pure.

/// A guest that dies takes its unfinished tests with it, and one that runs long is more likely to die.
const MOST: usize = 20;

/// Splits tests into runs of nearly equal length, in order: at least `at_once`, so that no guest waits for
/// another, and none longer than a guest should live.
pub(super) fn split<T: Clone>(tests: &[T], at_once: usize) -> Vec<Vec<T>> {
    let count = tests.len().div_ceil(MOST).next_multiple_of(at_once).min(tests.len());
    (0..count)
        .map(|shard| tests[shard * tests.len() / count..(shard + 1) * tests.len() / count].to_vec())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(tests: usize, expected: &[usize]) {
        let tests: Vec<usize> = (0..tests).collect();
        let shards = split(&tests, 2);
        assert_eq!(shards.iter().map(Vec::len).collect::<Vec<_>>(), expected);
        assert_eq!(shards.concat(), tests);
    }

    #[test]
    fn shares_are_equal_and_small() {
        check(0, &[]);
        check(1, &[1]);
        check(2, &[1, 1]);
        check(5, &[2, 3]);
        check(40, &[20, 20]);
        check(41, &[10, 10, 10, 11]);
    }
}
