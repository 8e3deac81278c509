//! Rules that other modes and versions of kube-proxy leave behind, and we do not have. Some of them
//! reject what we serve. Pure text.

use super::removal::write_removal;

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

/// The input for `iptables-restore --noflush` that removes such chains and every rule that leads
/// into them, as far as `iptables-save` shows them; nothing if it shows none.
#[must_use]
pub fn legacy_removal_input(saved: &str) -> Option<String> {
    let mut input = String::new();
    for table in tables(saved) {
        let chains: Vec<_> = table.chains().filter(|chain| table.is_legacy(chain)).collect();
        let is_way_in = |target: &str, rule: &str| chains.contains(&target) || rule.ends_with(JUMP);
        let ways_in: Vec<_> = table
            .rules()
            .filter(|(chain, target, rule)| is_way_in(target, rule) && !chains.contains(chain))
            .map(|(_, _, rule)| rule)
            .collect();
        write_removal(&mut input, table.name, &ways_in, &chains);
    }
    (!input.is_empty()).then_some(input)
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
-F KUBE-SEP-DEF
-X KUBE-SVC-ABC
-X KUBE-SEP-DEF
COMMIT
";
        assert_eq!(legacy_removal_input(saved).as_deref(), Some(expected));
    }

    #[test]
    fn where_nothing_is_left_nothing_is_done() {
        assert_eq!(legacy_removal_input("*nat\n:KUBE-SERVICES - [0:0]\nCOMMIT\n"), None);
    }
}
