//! What a saved rule set lacks, and the input of `iptables-restore` that mends it. Pure text.

use std::collections::HashMap;
use std::fmt::{self, Write as _};

use super::removal::write_removal;
use super::{Chain, Jump, Place, Rules, Table, render};

/// Something of ours that a saved rule set does not show as it should be.
///
/// Displays as an op does: with + if it is missing, with ~ if it is another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The chain, or the jump, in words.
    pub object: String,
    /// Whether there was nothing, rather than something else.
    pub is_missing: bool,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", if self.is_missing { '+' } else { '~' }, self.object)
    }
}

/// Compares `rules` with what `iptables-save` printed. Returns the input for
/// `iptables-restore --noflush` that mends every difference, and the differences; nothing if all
/// is well. A chain of ours is replaced as a whole, a missing jump is put at its end of its chain, and
/// nothing else is touched.
#[must_use]
pub fn restore_input(rules: &Rules, saved: &str) -> Option<(String, Vec<Difference>)> {
    let saved = Saved::parse(saved);
    let mut input = String::new();
    let mut differences = Vec::new();
    for table in Table::ALL {
        let chains: Vec<_> = rules
            .chains
            .iter()
            .filter(|chain| chain.table == table && !saved.has_exactly(chain))
            .collect();
        let jumps: Vec<_> = rules
            .jumps
            .iter()
            .filter(|jump| jump.table == table && !saved.has_jump(jump))
            .collect();
        if !(chains.is_empty() && jumps.is_empty()) {
            write_table(&mut input, table, &chains, &jumps);
        }
        differences.extend(chains.iter().map(|chain| Difference {
            object: format!("{} chain {} in table {}", rules.family, chain.name, table.name()),
            is_missing: !saved.has_chain(chain),
        }));
        differences.extend(jumps.iter().map(|jump| Difference {
            object: format!(
                "{} jump from {} in table {}: {}",
                rules.family,
                jump.from,
                table.name(),
                render(jump.from, &jump.rule)
            ),
            is_missing: true,
        }));
    }
    (!differences.is_empty()).then_some((input, differences))
}

/// The input for `iptables-restore --noflush` that removes our chains and the jumps into them, as
/// far as `iptables-save` shows them; nothing if it shows none.
#[must_use]
pub fn removal_input(rules: &Rules, saved: &str) -> Option<String> {
    let saved = Saved::parse(saved);
    let mut input = String::new();
    for table in Table::ALL {
        let jumps = rules.jumps.iter().filter(|jump| jump.table == table && saved.has_jump(jump));
        let jumps: Vec<_> = jumps.map(|jump| render(jump.from, &jump.rule)).collect();
        let chains: Vec<_> = rules
            .chains
            .iter()
            .filter(|chain| chain.table == table && saved.has_chain(chain))
            .map(|chain| chain.name)
            .collect();
        write_removal(&mut input, table.name(), &jumps, &chains);
    }
    (!input.is_empty()).then_some(input)
}

fn write_table(input: &mut String, table: Table, chains: &[&Chain], jumps: &[&Jump]) {
    let _ = writeln!(input, "*{}", table.name());
    for chain in chains {
        let _ = writeln!(input, ":{} - [0:0]", chain.name);
    }
    for chain in chains {
        for rule in &chain.rules {
            let _ = writeln!(input, "{}", render(chain.name, rule));
        }
    }
    for jump in jumps {
        let append = render(jump.from, &jump.rule);
        let line = match jump.place {
            Place::Head => append.replacen("-A", "-I", 1),
            Place::Tail => append,
        };
        let _ = writeln!(input, "{line}");
    }
    input.push_str("COMMIT\n");
}

/// The rules of each chain, by table and chain.
struct Saved<'a>(HashMap<(&'a str, &'a str), Vec<&'a str>>);

impl<'a> Saved<'a> {
    fn parse(text: &'a str) -> Self {
        let mut chains: HashMap<_, Vec<&str>> = HashMap::new();
        let mut table = "";
        for line in text.lines() {
            if let Some(name) = line.strip_prefix('*') {
                table = name;
            } else if let Some(declared) = line.strip_prefix(':') {
                chains.entry((table, first_word(declared))).or_default();
            } else if let Some(rule) = line.strip_prefix("-A ") {
                chains.entry((table, first_word(rule))).or_default().push(line);
            }
        }
        Self(chains)
    }

    fn rules(&self, table: Table, chain: &'a str) -> Option<&Vec<&'a str>> {
        self.0.get(&(table.name(), chain))
    }

    fn has_chain(&self, chain: &Chain) -> bool {
        self.rules(chain.table, chain.name).is_some()
    }

    fn has_exactly(&self, chain: &Chain) -> bool {
        let wanted = chain.rules.iter().map(|rule| render(chain.name, rule));
        self.rules(chain.table, chain.name).is_some_and(|there| there.iter().copied().eq(wanted))
    }

    fn has_jump(&self, jump: &Jump) -> bool {
        let wanted = render(jump.from, &jump.rule);
        self.rules(jump.table, jump.from).is_some_and(|there| there.contains(&&*wanted))
    }
}

fn first_word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{InputPolicy, RuleConfig, static_rules};
    use proxy_core::Family;

    /// The lines that put the rules of `config` into an empty packet filter.
    fn loaded(config: &RuleConfig) -> Vec<String> {
        let (input, _) = restore_input(&static_rules(Family::Ipv4, config), "").unwrap();
        input.lines().map(str::to_owned).collect()
    }

    #[test]
    fn what_guards_goes_before_the_rules_of_others_and_what_accepts_after_them() {
        let lines = loaded(&RuleConfig::default());
        let jump_to = |chain: &str| {
            let of_input =
                |line: &&String| line[2..].starts_with(" INPUT ") && line.ends_with(chain);
            lines.iter().find(of_input).map(|line| &line[..2])
        };
        for guard in ["KUBE-PROXY-FIREWALL", "KUBE-IPVS-FILTER"] {
            assert_eq!(jump_to(guard), Some("-I"), "{guard}");
        }
        assert_eq!(jump_to("KUBE-IPVS-ACCEPT"), Some("-A"));
    }

    #[test]
    fn a_node_whose_input_policy_is_respected_accepts_nothing_for_services() {
        let accepts = |input_policy| {
            let config = RuleConfig { input_policy, ..RuleConfig::default() };
            let lines = loaded(&config);
            lines.iter().filter(|line| line.starts_with("-A KUBE-IPVS-ACCEPT ")).count()
        };
        assert_eq!(accepts(InputPolicy::Respect), 0);
        assert_eq!(accepts(InputPolicy::Accept), 8);
    }

    #[test]
    fn what_was_loaded_needs_no_mending() {
        for family in Family::ALL {
            let rules = static_rules(family, &RuleConfig::default());
            let (input, _) = restore_input(&rules, "").unwrap();
            let saved = input.replace("-I ", "-A ");
            assert_eq!(restore_input(&rules, &saved), None);
        }
    }
}
