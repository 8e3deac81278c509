//! How rules and chains are removed from a table. Pure text.

use std::fmt::Write as _;

/// Adds to an input for `iptables-restore --noflush` what removes `rules`, as `iptables-save` shows
/// them, and then `chains` with all that is in them; nothing if there are none.
pub(super) fn write_removal(
    input: &mut String,
    table: &str,
    rules: &[impl AsRef<str>],
    chains: &[impl AsRef<str>],
) {
    if rules.is_empty() && chains.is_empty() {
        return;
    }
    let _ = writeln!(input, "*{table}");
    for rule in rules {
        let _ = writeln!(input, "{}", rule.as_ref().replacen("-A", "-D", 1));
    }
    // All are emptied before any goes, since they jump into each other.
    for verb in ["-F", "-X"] {
        for chain in chains {
            let _ = writeln!(input, "{verb} {}", chain.as_ref());
        }
    }
    input.push_str("COMMIT\n");
}
