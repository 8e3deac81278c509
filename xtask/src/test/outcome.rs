//! How a group went, and how that is told.

use std::time::Duration;

/// The result of one group, or of all.
#[derive(Clone, Debug, Default)]
#[must_use]
pub(super) struct Outcome {
    pub(super) passed: usize,
    pub(super) failed: usize,
    /// Whether the group's line shows counts; a group that is one check says ok or FAILED.
    pub(super) counts: bool,
    /// Unusual things that the line must tell.
    pub(super) notes: Vec<String>,
    /// Shown if the group failed, unless it was shown as it came.
    pub(super) output: String,
    /// Shown if the group failed, in any case.
    pub(super) findings: String,
}

impl Outcome {
    /// A group that is one check.
    pub(super) fn check(success: bool, output: String) -> Self {
        Self {
            passed: usize::from(success),
            failed: usize::from(!success),
            output,
            ..Self::default()
        }
    }

    /// A group that could not even be run.
    pub(super) fn broken(error: &anyhow::Error) -> Self {
        Self { failed: 1, findings: format!("error: {error:#}\n"), ..Self::default() }
    }

    /// Counts what another counted.
    pub(super) fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// What a reader needs beyond the line, which is nothing when all is well.
    pub(super) fn report(&self, shown_already: bool) -> String {
        if self.failed == 0 {
            return String::new();
        }
        let output = if shown_already { "" } else { &self.output };
        format!("{output}{}", self.findings)
    }

    /// The group's line.
    pub(super) fn line(&self, name: &str, took: Duration) -> String {
        let verdict = if self.failed == 0 { "ok" } else { "FAILED" };
        let counts = match (self.counts, self.failed) {
            (false, _) => String::new(),
            (true, 0) => format!("{} passed", self.passed),
            (true, failed) => format!("{} passed, {failed} failed", self.passed),
        };
        let seconds = format!("{:.1} s", took.as_secs_f64());
        let notes: String = self.notes.iter().map(|note| format!("   {note}")).collect();
        format!("{name:<9} {verdict:<7} {counts:<22} {seconds:>9}{notes}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_align() {
        let took = Duration::from_millis(1234);
        let fmt = Outcome::check(true, String::new()).line("fmt", took);
        let unit = Outcome { passed: 143, failed: 2, counts: true, ..Outcome::default() };
        assert_eq!(fmt, "fmt       ok                                 1.2 s");
        assert_eq!(unit.line("unit", took), "unit      FAILED  143 passed, 2 failed       1.2 s");
    }

    #[test]
    fn notes_end_the_line() {
        let outcome = Outcome {
            passed: 1,
            counts: true,
            notes: vec!["1 guest died".into()],
            ..Outcome::default()
        };
        assert!(outcome.line("kernel", Duration::ZERO).ends_with("0.0 s   1 guest died"));
    }

    #[test]
    fn output_is_shown_once_and_only_on_failure() {
        let good = Outcome::check(true, "noise\n".into());
        let bad = Outcome { findings: "why\n".into(), ..Outcome::check(false, "noise\n".into()) };
        assert_eq!(good.report(false), "");
        assert_eq!(bad.report(false), "noise\nwhy\n");
        assert_eq!(bad.report(true), "why\n");
    }
}
