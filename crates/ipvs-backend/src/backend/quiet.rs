//! Whether a comparison can be brief. Pure.

/// So many comparisons are brief before everything is worked out anew: what is wanted against what is
/// remembered, too.
const BRIEF: u8 = 19;

/// While all that was wanted was in place when it was last worked out, and nothing has failed since, a
/// kernel that holds what is remembered holds what is wanted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Quiet {
    /// Comparisons that may still be brief.
    left: u8,
}

impl Quiet {
    /// Everything was worked out, and is in place if `all_is_well`.
    pub(super) const fn worked_out(&mut self, all_is_well: bool) {
        self.left = if all_is_well { BRIEF } else { 0 };
    }

    /// Something failed.
    pub(super) const fn disturb(&mut self) {
        self.left = 0;
    }

    /// Whether the comparison that comes now may be brief.
    pub(super) const fn may_be_brief(&mut self) -> bool {
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons_are_brief_for_a_while_and_until_something_fails() {
        let mut quiet = Quiet::default();
        assert!(!quiet.may_be_brief());
        quiet.worked_out(true);
        assert!((0..BRIEF).all(|_| quiet.may_be_brief()));
        assert!(!quiet.may_be_brief());
        quiet.worked_out(true);
        quiet.disturb();
        assert!(!quiet.may_be_brief());
        quiet.worked_out(false);
        assert!(!quiet.may_be_brief());
    }
}
