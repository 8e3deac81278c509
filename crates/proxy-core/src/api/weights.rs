//! The annotation `proxyd/endpoint-weights`: `SELECTOR=WEIGHT, ..`, the first match counts.

use super::text;
use crate::{Interner, WeightRule, WeightSelector};

/// The rules in the order given. One bad rule spoils all: half a weighting is a wrong weighting.
pub(super) fn weights(value: &str, names: &mut Interner) -> Result<Vec<WeightRule>, String> {
    let rules = value.split(',').map(str::trim).filter(|rule| !rule.is_empty());
    rules.map(|text| rule(text, names)).collect()
}

fn rule(text: &str, names: &mut Interner) -> Result<WeightRule, String> {
    let (selector, weight) = text
        .rsplit_once('=')
        .ok_or_else(|| format!("{text:?} is no rule; write SELECTOR=WEIGHT"))?;
    let weight = weight.trim().parse().ok().and_then(text::port);
    Ok(WeightRule {
        selector: self::selector(selector.trim(), names)?,
        weight: weight.ok_or_else(|| format!("{text:?} has no weight from 1 to 65535"))?,
    })
}

fn selector(text: &str, names: &mut Interner) -> Result<WeightSelector, String> {
    let named = |prefix| text.strip_prefix(prefix).filter(|name: &&str| !name.is_empty());
    if let Some(name) = named("node/") {
        return Ok(WeightSelector::Node(names.name(name)));
    }
    if let Some(name) = named("zone/") {
        return Ok(WeightSelector::Zone(names.name(name)));
    }
    match text {
        "*" => Ok(WeightSelector::Any),
        "local" => Ok(WeightSelector::Local),
        _ => text::ip(text).map(WeightSelector::Address).ok_or_else(|| {
            format!(
                "{text:?} selects nothing; write *, local, node/NAME, zone/NAME or an IP address"
            )
        }),
    }
}

/// The rules as they are written.
pub(super) fn text(rules: &[WeightRule]) -> String {
    let rule = |WeightRule { selector, weight }: &WeightRule| match selector {
        WeightSelector::Any => format!("*={weight}"),
        WeightSelector::Local => format!("local={weight}"),
        WeightSelector::Node(name) => format!("node/{name}={weight}"),
        WeightSelector::Zone(name) => format!("zone/{name}={weight}"),
        WeightSelector::Address(address) => format!("{address}={weight}"),
    };
    rules.iter().map(rule).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Name;

    #[track_caller]
    fn check(value: &str, expected: &[(WeightSelector, u16)]) {
        let rules = weights(value, &mut Interner::new()).expect("the rules are good");
        let shown: Vec<_> =
            rules.into_iter().map(|rule| (rule.selector, rule.weight.get())).collect();
        assert_eq!(shown, expected, "{value:?}");
    }

    #[track_caller]
    fn check_bad(value: &str, part: &str) {
        let reason = weights(value, &mut Interner::new()).expect_err("a rule is bad");
        assert!(reason.contains(part), "{reason:?} does not say {part:?}");
    }

    #[test]
    fn rules_keep_their_order() {
        use WeightSelector::{Address, Any, Local, Node, Zone};
        check("", &[]);
        check("*=1", &[(Any, 1)]);
        check("local=10, *=1", &[(Local, 10), (Any, 1)]);
        check("node/n1=65535", &[(Node(Name::from("n1")), 65_535)]);
        check("zone/za = 3,", &[(Zone(Name::from("za")), 3)]);
        check("10.1.0.1=2", &[(Address([10, 1, 0, 1].into()), 2)]);
        check("fd00::1=2", &[(Address("fd00::1".parse().unwrap()), 2)]);
    }

    #[test]
    fn a_bad_rule_is_named() {
        check_bad("local", "\"local\" is no rule");
        check_bad("local=0", "no weight from 1 to 65535");
        check_bad("local=65536", "no weight from 1 to 65535");
        check_bad("*=1, rack/r1=2", "\"rack/r1\" selects nothing");
        check_bad("node/=2", "\"node/\" selects nothing");
    }
}
