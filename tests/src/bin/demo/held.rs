//! What a kernel holds, compared with what it should.

use ::tests::lab::KernelState;

use crate::stage::Stage;
use crate::verdict::{Failure, require};

/// What the kernel of node 1 holds, but for servers that are on their way out: they go when their
/// last connection has ended.
pub(crate) fn held(stage: &Stage) -> KernelState {
    let mut state = KernelState::of(&stage.first_node().namespace);
    state.services.retain(|line| !line.ends_with("-w 0"));
    state
}

/// Fails unless the kernel of node 1 holds what it held before.
pub(crate) fn require_unchanged(stage: &Stage, before: &KernelState) -> Result<(), Failure> {
    let now = held(stage);
    require_same("ipvsadm -Sn: as before", &now.services, &before.services)?;
    require_same("ipset save: as before", &now.members, &before.members)?;
    require_same("routes: as before", &now.routes, &before.routes)
}

/// Fails unless the lines are those expected; then with the differences.
pub(crate) fn require_same(
    what: &str,
    lines: &[String],
    expected: &[String],
) -> Result<(), Failure> {
    require(lines == expected, || {
        let without = |lines: &[String], others: &[String]| {
            let left: Vec<_> =
                lines.iter().filter(|line| !others.contains(line)).cloned().collect();
            if left.is_empty() { "none".to_owned() } else { left.join("; ") }
        };
        format!(
            "{what}: expected other lines; missing: {}; too many: {}",
            without(expected, lines),
            without(lines, expected)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_and_what_is_too_much_is_told() {
        let lines = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert!(require_same("letters", &lines("a b"), &lines("a b")).is_ok());
        let failure = require_same("letters", &lines("a b"), &lines("b c")).unwrap_err();
        let expected = "letters: expected other lines; missing: c; too many: a";
        assert_eq!(failure.to_string(), expected);
    }
}
