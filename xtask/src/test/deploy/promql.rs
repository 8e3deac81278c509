//! Which metrics a PromQL query reads. Pure; knows just enough of the language for that.

use std::collections::BTreeSet;

/// Words that stand where a metric could. Functions are known by the bracket after them.
const KEYWORDS: &[&str] = &["and", "or", "unless", "bool", "offset", "inf", "nan", "start", "end"];

/// After these comes a list of labels in brackets.
const BEFORE_LABELS: &[&str] = &["by", "without", "on", "ignoring", "group_left", "group_right"];

/// The metrics named in a query.
pub(super) fn metrics(query: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut rest = query;
    while let Some(first) = rest.chars().next() {
        match first {
            '{' => rest = after_matchers(&rest[1..]),
            '[' => rest = after(rest, ']'),
            '"' | '\'' => rest = after(&rest[1..], first),
            '0'..='9' => rest = rest.trim_start_matches(|c: char| c.is_alphanumeric() || c == '.'),
            _ if is_word(first) => {
                let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                let (word, tail) = rest.split_at(end);
                rest = tail.trim_start();
                if BEFORE_LABELS.contains(&word) {
                    rest = rest.strip_prefix('(').map_or(rest, |labels| after(labels, ')'));
                } else if !is_function(rest) && !KEYWORDS.contains(&word) {
                    found.insert(word.to_owned());
                }
            }
            _ => rest = &rest[first.len_utf8()..],
        }
    }
    found
}

/// The query inside Grafana's `label_values(QUERY, LABEL)`.
pub(super) fn of_label_values(text: &str) -> Option<String> {
    let inside = text.strip_prefix("label_values(")?.strip_suffix(')')?;
    inside.rsplit_once(',').map(|(query, _)| query.to_owned())
}

/// Whether the word before `rest` takes arguments: `rate(..)`, and also `sum by (..) (..)`.
fn is_function(rest: &str) -> bool {
    let is_next =
        |word: &str| rest.strip_prefix(word).is_some_and(|tail| !tail.starts_with(is_word));
    rest.starts_with('(') || is_next("by") || is_next("without")
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == ':'
}

/// What follows the matchers in braces, whose values may contain a brace.
fn after_matchers(text: &str) -> &str {
    let mut rest = text;
    while let Some(at) = rest.find(['}', '"', '\'']) {
        let (mark, tail) = (rest.as_bytes()[at], &rest[at + 1..]);
        if mark == b'}' {
            return tail;
        }
        rest = after(tail, char::from(mark));
    }
    ""
}

fn after(text: &str, end: char) -> &str {
    text.split_once(end).map_or("", |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, expected: &[&str]) {
        assert_eq!(metrics(query).into_iter().collect::<Vec<_>>(), expected, "{query}");
    }

    #[test]
    fn only_metrics_are_found() {
        check("up", &["up"]);
        check("up{job=\"proxyd\"} == 0", &["up"]);
        check("rate(a_total{x=~\"b}c\"}[5m]) > 1e3", &["a_total"]);
        check("sum by (le, instance) (rate(a_bucket[$__rate_interval]))", &["a_bucket"]);
        check("sum(rate(a_total[5m])) by (kind)", &["a_total"]);
        check("a / on (instance) group_left (version) b unless c offset 5m", &["a", "b", "c"]);
        check("time() - max without (pod) (a) > bool 300", &["a"]);
        check("topk(10, a + 1.5)", &["a"]);
        check("by_design + bytes", &["by_design", "bytes"]);
    }

    #[test]
    fn a_variable_is_a_query_too() {
        let query = of_label_values("label_values(a{b=\"$c\"}, service)");
        assert_eq!(query.as_deref(), Some("a{b=\"$c\"}"));
        assert_eq!(of_label_values("label_values(service)"), None);
    }
}
