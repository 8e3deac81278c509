//! Rules that other modes and versions of kube-proxy leave behind, and we do not have. Some of them
//! reject what we serve. Pure text.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::iter::repeat;

use proxy_core::Family;

use super::removal::write_removal;

/// The table of `nf_tables` in which kube-proxy's mode for it has everything, in either family.
pub const LEGACY_TABLE: &str = "kube-proxy";

/// Chains by table and name. In `filter`, `KUBE-SERVICES` is the iptables mode's, with its stale
/// rejections; in `nat` it is ours. `KUBE-FIREWALL` in `filter` is the kubelet's.
const CHAINS: [(&str, &str); 10] = [
    ("filter", "KUBE-IPVS-OUT-FILTER"),
    ("filter", "KUBE-SERVICES"),
    ("filter", "KUBE-EXTERNAL-SERVICES"),
    ("filter", "KUBE-NODEPORTS"),
    ("filter", "KUBE-PROXY-CANARY"),
    ("nat", "KUBE-NODEPORTS"),
    ("nat", "KUBE-PROXY-CANARY"),
    ("nat", "KUBE-FIREWALL"),
    ("nat", "KUBE-MARK-DROP"),
    ("mangle", "KUBE-PROXY-CANARY"),
];

/// Beginnings of names of chains that the iptables mode has for each Service and endpoint.
const PREFIXES: [&str; 6] =
    ["KUBE-SVC-", "KUBE-SVL-", "KUBE-SEP-", "KUBE-EXT-", "KUBE-XLB-", "KUBE-FW-"];

/// The end of the rules by which the iptables mode leads into a chain that we have too, from places
/// and for packets that ours do not.
const JUMP: &str = "--comment \"kubernetes load balancer firewall\" -j KUBE-PROXY-FIREWALL";

/// Such chains of one family, and every rule that leads into them.
///
/// Displays as one line. Chains that there is one of for each Service or endpoint are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegacyRules {
    /// The family.
    pub family: Family,
    tables: Vec<LegacyTable>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct LegacyTable {
    name: String,
    /// Rules in other chains, as `iptables-save` shows them.
    ways_in: Vec<String>,
    chains: Vec<String>,
}

impl LegacyRules {
    /// Those that `iptables-save` shows; nothing if it shows none.
    #[must_use]
    pub fn find(family: Family, saved: &str) -> Option<Self> {
        let tables = tables(saved).into_iter().filter_map(|table| table.legacy());
        let tables: Vec<_> = tables.collect();
        (!tables.is_empty()).then_some(Self { family, tables })
    }

    /// The input for `iptables-restore --noflush` that removes them, as far as `iptables-save` still
    /// shows them; nothing if it shows none. A rule in a chain of ours went when that was replaced.
    #[must_use]
    pub fn removal_input(&self, saved: &str) -> Option<String> {
        let there = Self::find(self.family, saved)?;
        let mut input = String::new();
        for LegacyTable { name, mut ways_in, mut chains } in there.tables {
            let Some(known) = self.tables.iter().find(|table| table.name == name) else { continue };
            retain_known(&mut ways_in, &known.ways_in);
            retain_known(&mut chains, &known.chains);
            write_removal(&mut input, &name, &ways_in, &chains);
        }
        (!input.is_empty()).then_some(input)
    }
}

fn retain_known(there: &mut Vec<String>, known: &[String]) {
    let known: HashSet<_> = known.iter().collect();
    there.retain(|it| known.contains(it));
}

impl fmt::Display for LegacyRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rules of an earlier kube-proxy", self.family)?;
        for (table, separator) in self.tables.iter().zip([":"].into_iter().chain(repeat(";"))) {
            let LegacyTable { name, ways_in, chains } = table;
            let mut parts = counted(chains);
            if !ways_in.is_empty() {
                parts.push(format!("jumps ({})", ways_in.len()));
            }
            write!(f, "{separator} {name} {}", parts.join(", "))?;
        }
        Ok(())
    }
}

/// Names of chains; those with one of [`PREFIXES`] taken together, with how many there are.
fn counted(chains: &[String]) -> Vec<String> {
    let prefix = |chain: &String| PREFIXES.into_iter().find(|prefix| chain.starts_with(prefix));
    let mut counts = BTreeMap::<_, usize>::new();
    for prefix in chains.iter().filter_map(prefix) {
        *counts.entry(prefix).or_default() += 1;
    }
    let single = chains.iter().filter(|chain| prefix(chain).is_none()).cloned();
    single.chain(counts.iter().map(|(prefix, count)| format!("{prefix}* ({count})"))).collect()
}

/// One table of a saved rule set.
struct Table<'a> {
    name: &'a str,
    lines: Vec<&'a str>,
}

fn tables(saved: &str) -> Vec<Table<'_>> {
    let mut tables: Vec<Table<'_>> = Vec::new();
    for line in saved.lines() {
        if let Some(name) = line.strip_prefix('*') {
            tables.push(Table { name, lines: Vec::new() });
        } else if let Some(table) = tables.last_mut() {
            table.lines.push(line);
        }
    }
    tables
}

impl<'a> Table<'a> {
    fn legacy(&self) -> Option<LegacyTable> {
        let chains: Vec<_> = self.chains().filter(|chain| self.is_legacy(chain)).collect();
        let lookup: HashSet<_> = chains.iter().copied().collect();
        let is_way_in = |target: &str, rule: &str| lookup.contains(target) || rule.ends_with(JUMP);
        let ways_in: Vec<_> = self
            .rules()
            .filter(|(chain, target, rule)| is_way_in(target, rule) && !lookup.contains(chain))
            .map(|(_, _, rule)| rule.to_owned())
            .collect();
        let is_there = !(ways_in.is_empty() && chains.is_empty());
        let chains = chains.into_iter().map(str::to_owned).collect();
        is_there.then(|| LegacyTable { name: self.name.to_owned(), ways_in, chains })
    }

    fn chains(&self) -> impl Iterator<Item = &'a str> {
        let declared = self.lines.iter().filter_map(|line| line.strip_prefix(':'));
        declared.filter_map(|rest| rest.split_whitespace().next())
    }

    fn is_legacy(&self, chain: &str) -> bool {
        CHAINS.contains(&(self.name, chain))
            || (self.name != "mangle" && PREFIXES.iter().any(|prefix| chain.starts_with(prefix)))
    }

    /// The chain, target and text of each rule.
    fn rules(&self) -> impl Iterator<Item = (&'a str, &'a str, &'a str)> {
        self.lines.iter().filter_map(|line| {
            let chain = line.strip_prefix("-A ")?.split_whitespace().next()?;
            let target = line.rsplit_once(" -j ")?.1.split_whitespace().next()?;
            Some((chain, target, *line))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_iptables_mode_goes_and_everything_else_stays() {
        let saved = "\
*filter
:INPUT ACCEPT [0:0]
:KUBE-FIREWALL - [0:0]
:KUBE-FORWARD - [0:0]
:KUBE-SERVICES - [0:0]
:MINE - [0:0]
-A INPUT -m comment --comment \"kubernetes service portals -j MINE\" -j KUBE-SERVICES
-A INPUT -j KUBE-FIREWALL
-A INPUT -j MINE
-A OUTPUT -m conntrack --ctstate NEW -m comment --comment \"kubernetes load balancer firewall\" -j KUBE-PROXY-FIREWALL
-A FORWARD -m comment --comment \"kube-proxy firewall rules\" -j KUBE-PROXY-FIREWALL
-A KUBE-SERVICES -d 10.96.0.9/32 -j REJECT --reject-with icmp-port-unreachable
COMMIT
*nat
:KUBE-SERVICES - [0:0]
:KUBE-SVC-ABC - [0:0]
:KUBE-SVC-BCD - [0:0]
:KUBE-SEP-DEF - [0:0]
-A KUBE-SERVICES -m set --match-set KUBE-CLUSTER-IP dst,dst -j ACCEPT
-A KUBE-SVC-ABC -j KUBE-SEP-DEF
COMMIT
";
        let expected = "\
*filter
-D INPUT -m comment --comment \"kubernetes service portals -j MINE\" -j KUBE-SERVICES
-D OUTPUT -m conntrack --ctstate NEW -m comment --comment \"kubernetes load balancer firewall\" -j KUBE-PROXY-FIREWALL
-F KUBE-SERVICES
-X KUBE-SERVICES
COMMIT
*nat
-F KUBE-SVC-ABC
-F KUBE-SVC-BCD
-F KUBE-SEP-DEF
-X KUBE-SVC-ABC
-X KUBE-SVC-BCD
-X KUBE-SEP-DEF
COMMIT
";
        let found = LegacyRules::find(Family::Ipv4, saved).unwrap();
        assert_eq!(found.removal_input(saved).as_deref(), Some(expected));
        assert_eq!(
            found.to_string(),
            "IPv4 rules of an earlier kube-proxy: filter KUBE-SERVICES, jumps (2); \
             nat KUBE-SEP-* (1), KUBE-SVC-* (2)"
        );
    }

    #[test]
    fn only_what_was_found_and_is_still_there_is_removed() {
        let saved = "*nat\n:KUBE-SERVICES - [0:0]\n:KUBE-SVC-A - [0:0]\n:KUBE-SVC-B - [0:0]\n\
                     -A KUBE-SERVICES -j KUBE-SVC-A\n-A PREROUTING -j KUBE-SVC-B\nCOMMIT\n";
        let found = LegacyRules::find(Family::Ipv4, saved).unwrap();
        let later = saved.replace("-A KUBE-SERVICES -j KUBE-SVC-A\n", "").replace("SVC-B", "SVC-C");
        let expected = "*nat\n-F KUBE-SVC-A\n-X KUBE-SVC-A\nCOMMIT\n";
        assert_eq!(found.removal_input(&later).as_deref(), Some(expected));
        assert_eq!(found.removal_input(""), None);
    }

    #[test]
    fn where_nothing_is_left_nothing_is_done() {
        let saved = "*nat\n:KUBE-SERVICES - [0:0]\nCOMMIT\n";
        assert_eq!(LegacyRules::find(Family::Ipv4, saved), None);
    }
}
