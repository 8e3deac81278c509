//! The packet filter as `iptables-save` and `iptables-restore --noflush` see it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The rules of each chain, by table and chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PacketFilter(BTreeMap<(String, String), Vec<String>>);

impl PacketFilter {
    /// The text of `iptables-save`.
    pub(crate) fn saved(&self) -> String {
        let (mut text, mut current) = (String::new(), "");
        for (index, ((table, chain), _)) in self.0.iter().enumerate() {
            if index == 0 || table != current {
                self.finish_table(&mut text, current);
                current = table;
                let _ = writeln!(text, "*{table}");
            }
            let _ = writeln!(text, ":{chain} - [0:0]");
        }
        self.finish_table(&mut text, current);
        text
    }

    fn finish_table(&self, text: &mut String, current: &str) {
        let chains = self.0.iter().filter(|((table, _), _)| table == current);
        for rule in chains.flat_map(|(_, rules)| rules) {
            let _ = writeln!(text, "{rule}");
        }
        if !current.is_empty() {
            text.push_str("COMMIT\n");
        }
    }

    /// Carries out the input of `iptables-restore --noflush`.
    ///
    /// # Errors
    /// When a line cannot be carried out; then nothing was.
    pub(crate) fn restore(&mut self, input: &str) -> Result<(), String> {
        let mut changed = self.clone();
        let mut table = "";
        for line in input.lines().filter(|line| *line != "COMMIT") {
            match line.strip_prefix('*') {
                Some(name) => table = name,
                None => changed.change(table, line).ok_or_else(|| line.to_owned())?,
            }
        }
        *self = changed;
        Ok(())
    }

    fn change(&mut self, table: &str, line: &str) -> Option<()> {
        let key = |chain: &str| (table.to_owned(), chain.to_owned());
        if let Some(declared) = line.strip_prefix(':') {
            self.0.insert(key(declared.split_whitespace().next()?), Vec::new());
            return Some(());
        }
        let mut words = line.split_whitespace();
        let (verb, chain) = (words.next()?, words.next()?);
        let append = format!("-A{}", line.get(2..)?);
        // The kernel's own chains are always there.
        let is_builtin = chain.chars().all(|letter| letter.is_ascii_uppercase());
        let rules = match self.0.entry(key(chain)) {
            entry if is_builtin => entry.or_default(),
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(_) => return None,
        };
        match verb {
            "-A" => rules.push(append),
            "-I" => rules.insert(0, append),
            "-D" => {
                rules.remove(rules.iter().position(|rule| *rule == append)?);
            }
            "-F" => rules.clear(),
            "-X" if rules.is_empty() && !self.is_target(table, chain) => {
                self.0.remove(&key(chain));
            }
            _ => return None,
        }
        Some(())
    }

    fn is_target(&self, table: &str, chain: &str) -> bool {
        let of_table = self.0.iter().filter(|((of, _), _)| of == table);
        let end = format!(" -j {chain}");
        of_table.flat_map(|(_, rules)| rules).any(|rule| rule.ends_with(&end))
    }

    /// Whether a rule refers to a set.
    pub(crate) fn refers_to(&self, set: &str) -> bool {
        let mut rules = self.0.values().flatten();
        rules.any(|rule| rule.split_whitespace().any(|word| word == set))
    }

    /// The sets that rules refer to.
    pub(crate) fn sets(&self) -> impl Iterator<Item = &str> {
        self.0.values().flatten().flat_map(|rule| {
            let words: Vec<_> = rule.split_whitespace().collect();
            let sets: Vec<_> = words
                .windows(2)
                .filter(|pair| pair[0] == "--match-set" || pair[0] == "--map-set")
                .map(|pair| pair[1])
                .collect();
            sets
        })
    }

    /// Somebody empties the `number`-th chain that has rules.
    pub(crate) fn flush(&mut self, number: usize) {
        let mut chains: Vec<_> =
            self.0.iter_mut().filter(|((_, chain), _)| chain.starts_with("KUBE-")).collect();
        let count = chains.len().max(1);
        if let Some((_, rules)) = chains.get_mut(number % count) {
            rules.clear();
        }
    }

    /// Somebody removes the `number`-th jump into one of our chains.
    pub(crate) fn remove_jump(&mut self, number: usize) {
        let jumps = self.0.iter().filter(|((_, chain), _)| !chain.starts_with("KUBE-"));
        let jumps = jumps.flat_map(|(key, rules)| rules.iter().map(move |rule| (key, rule)));
        let jumps: Vec<_> = jumps.filter(|(_, rule)| rule.contains(" -j KUBE-")).collect();
        if jumps.is_empty() {
            return;
        }
        let (key, rule) = jumps[number % jumps.len()];
        let (key, rule) = (key.clone(), rule.clone());
        self.0.entry(key).and_modify(|rules| rules.retain(|it| *it != rule));
    }

    /// The rules with their places, save in the kernel's chains: a jump that was put back stands
    /// first, wherever it was.
    pub(crate) fn by_meaning(&self) -> impl Iterator<Item = String> {
        self.0.iter().flat_map(|((table, chain), rules)| {
            let place = |index: usize| if chain.starts_with("KUBE-") { index } else { 0 };
            let rules = rules.iter().enumerate();
            let rules = rules.map(move |(index, rule)| format!("{table} {} {rule}", place(index)));
            let declared = chain.contains('-').then(|| format!("{table} {chain}"));
            declared.into_iter().chain(rules)
        })
    }
}
