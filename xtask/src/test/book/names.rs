//! Settings, metrics and annotations that pages of the book name are there: the pages that list them are written by
//! tests, or have the one table. Pure.

use std::collections::BTreeSet;
use std::path::Path;

use super::{BOOK, Pages};

/// How names of a kind begin, and the page that lists them all.
const KINDS: &[(&[&str], &str)] = &[
    (
        &["conntrack.", "detectLocal.", "ipvs.", "iptables.", "logging.", "proxyd."],
        "docs/configuration.md",
    ),
    (&["kubeproxy_", "proxyd_"], "docs/metrics.md"),
    (&["proxyd/"], "README.md"),
];

/// What is wrong with the names on a page.
pub(super) fn faults(page: &Path, pages: &Pages) -> Vec<String> {
    let Some(words) = pages.get(page).filter(|_| page.starts_with(BOOK)).map(|page| &page.code)
    else {
        return Vec::new();
    };
    let found = KINDS.iter().flat_map(|(beginnings, list)| {
        let listed: BTreeSet<&str> = pages
            .get(Path::new(list))
            .into_iter()
            .flat_map(|list| &list.code)
            .map(|word| name(word))
            .collect();
        let named = words.iter().map(|word| name(word));
        named
            .filter(|name| {
                beginnings.iter().any(|it| name.len() > it.len() && name.starts_with(it))
            })
            .filter(move |name| !listed.contains(name))
            .map(move |name| format!("{name}: {list} has no such name"))
    });
    found.collect()
}

/// What stands before labels, a value, or an example.
fn name(code: &str) -> &str {
    let is_part = |letter: char| letter.is_alphanumeric() || "._-/".contains(letter);
    code.find(|letter| !is_part(letter)).map_or(code, |end| &code[..end])
}

#[cfg(test)]
mod tests {
    use super::super::page::Page;
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let pages = Pages::from([
            ("docs/a.md".into(), Page::parse(text)),
            ("docs/configuration.md".into(), Page::parse("| `ipvs.syncPeriod` | `30s` |")),
            ("docs/metrics.md".into(), Page::parse("`proxyd_drift_total`")),
            ("README.md".into(), Page::parse("`proxyd/scheduler`")),
        ]);
        assert_eq!(faults(Path::new("docs/a.md"), &pages), expected, "{text}");
    }

    #[test]
    fn names_are_those_that_are_listed() {
        check(
            "`ipvs.syncPeriod`, `proxyd_drift_total{kind=\"missing\"}`, `proxyd/scheduler: rr`",
            &[],
        );
        check("`ipvs.syncperiod`", &["ipvs.syncperiod: docs/configuration.md has no such name"]);
        check("`proxyd_drift`", &["proxyd_drift: docs/metrics.md has no such name"]);
        check("`proxyd/schedule`", &["proxyd/schedule: README.md has no such name"]);
        check("`proxyd`, `conntrack`, `proxyd explain`, `KUBE-A`, `net.ipv4.vs.conntrack`", &[]);
        check("```text\nproxyd_nothing\n```", &[]);
    }
}
