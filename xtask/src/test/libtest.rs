//! What Rust's test harness prints, read.

/// The counts in every `test result:` line, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) passed: usize,
    pub(super) failed: usize,
}

/// Adds up the results of all test programs in one output.
pub(super) fn counts(output: &str) -> Counts {
    let mut sum = Counts::default();
    for line in output.lines().filter_map(|line| line.strip_prefix("test result: ")) {
        for part in line.split(['.', ';']) {
            match part.trim().split_once(' ') {
                Some((number, "passed")) => sum.passed += number.parse().unwrap_or(0),
                Some((number, "failed")) => sum.failed += number.parse().unwrap_or(0),
                _ => {}
            }
        }
    }
    sum
}

/// The names in the output of `--list --format terse`.
pub(super) fn listed(output: &str) -> Vec<String> {
    output.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_over_programs() {
        let output = "\
running 3 tests
test a ... ok
test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s
test result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s
";
        assert_eq!(counts(output), Counts { passed: 13, failed: 2 });
        assert_eq!(counts(""), Counts::default());
    }

    #[test]
    fn benches_are_not_listed() {
        assert_eq!(
            listed("a::b: test\nspeed: benchmark\nc - should panic: test\n"),
            ["a::b", "c - should panic"]
        );
    }
}
