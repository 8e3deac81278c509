//! Events: one object that two groups show, under different names of fields, and the rules that
//! servers have for those that are written.

use serde_json::{Map, Value};

use super::kind::{KINDS, Kind};

/// Fields by their names in the core and in `events.k8s.io`. All others have the same name.
const NAMES: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

/// What must not be written, and what must not change, as the group `events.k8s.io` names it.
const DEPRECATED: [&str; 4] =
    ["deprecatedSource", "deprecatedFirstTimestamp", "deprecatedLastTimestamp", "deprecatedCount"];
const IMMUTABLE: [&str; 9] = [
    "regarding",
    "reason",
    "note",
    "type",
    "eventTime",
    "action",
    "related",
    "reportingController",
    "reportingInstance",
];

/// Greatest lengths, in characters.
const LONGEST: usize = 128;
const LONGEST_NOTE: usize = 1024;

/// The other group that has the objects of a resource too.
pub(super) fn twin(kind: &Kind) -> Option<&'static Kind> {
    KINDS
        .iter()
        .find(|other| kind.kind == "Event" && other.kind == "Event" && other.group != kind.group)
}

/// An Event of one group as the other one shows it.
pub(super) fn converted(kind: &Kind, event: &Value) -> Value {
    let other = |name: &str| {
        let of = |(core, new): &(&str, &'static str)| (*core == name).then_some(*new);
        let back = |(core, new): &(&'static str, &str)| (*new == name).then_some(*core);
        let found = match kind.group {
            "" => NAMES.iter().find_map(of),
            _ => NAMES.iter().find_map(back),
        };
        found.unwrap_or(name).to_owned()
    };
    let fields = event.as_object().into_iter().flatten();
    fields.map(|(name, value)| (other(name), value.clone())).collect::<Map<_, _>>().into()
}

/// A field, and what is wrong with it.
pub(super) type Fault = (&'static str, &'static str);

/// What is wrong with an Event that is made (`before` is `None`) or changed. The core is asked for
/// less.
pub(super) fn faults(kind: &Kind, before: Option<&Value>, after: &Value) -> Vec<Fault> {
    if kind.group.is_empty() {
        return common(&converted(kind, after));
    }
    let mut faults = common(after);
    match before {
        None => faults.extend(new(after)),
        Some(before) => {
            let changed = IMMUTABLE.iter().chain(&DEPRECATED);
            let changed = changed.filter(|field| before[**field] != after[**field]);
            faults.extend(changed.map(|field| (*field, "Invalid value: field is immutable")));
        }
    }
    if before.is_none_or(|before| before["series"] != after["series"]) {
        faults.extend(series(&after["series"]));
    }
    faults
}

fn text<'a>(event: &'a Value, field: &str) -> &'a str {
    event[field].as_str().unwrap_or_default()
}

/// What both groups ask for.
fn common(event: &Value) -> Vec<Fault> {
    let mut faults = Vec::new();
    let own = event["metadata"]["namespace"].as_str().unwrap_or_default();
    let of_object = event["regarding"]["namespace"].as_str().unwrap_or_default();
    let is_new = event["eventTime"].is_string();
    let agrees = match of_object {
        "" => own == "default" || (is_new && own == "kube-system"),
        of_object => is_new || own == of_object,
    };
    if !agrees {
        faults.push(("involvedObject.namespace", "Invalid value: does not match event.namespace"));
    }
    if !is_new {
        return faults;
    }
    for field in ["reportingController", "reportingInstance", "action", "reason"] {
        match text(event, field).len() {
            0 => faults.push((field, "Required value")),
            1..=LONGEST => {}
            _ => faults.push((field, "Invalid value: can have at most 128 characters")),
        }
    }
    if text(event, "note").len() > LONGEST_NOTE {
        faults.push(("message", "Invalid value: can have at most 1024 characters"));
    }
    faults
}

/// What `events.k8s.io` asks for beside that.
fn new(event: &Value) -> Vec<Fault> {
    let mut faults = Vec::new();
    if !event["eventTime"].is_string() {
        faults.push(("eventTime", "Required value"));
    }
    if !matches!(text(event, "type"), "Normal" | "Warning") {
        faults.push(("type", "Invalid value: has invalid value"));
    }
    let is_set = |field: &&&str| match &event[**field] {
        Value::Null => false,
        Value::Object(fields) => !fields.is_empty(),
        value => *value != 0,
    };
    let deprecated = DEPRECATED.iter().filter(is_set);
    faults.extend(deprecated.map(|field| (*field, "Invalid value: needs to be unset")));
    faults
}

fn series(series: &Value) -> Vec<Fault> {
    let mut faults = Vec::new();
    if series.is_null() {
        return faults;
    }
    if series["count"].as_i64().unwrap_or_default() < 2 {
        faults.push(("series.count", "Invalid value: should be at least 2"));
    }
    if !series["lastObservedTime"].is_string() {
        faults.push(("series.lastObservedTime", "Required value"));
    }
    faults
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A good Event about a Node, in the form of `events.k8s.io`, with a change.
    fn event(change: &Value) -> Value {
        let mut event = json!({
            "metadata": { "name": "e", "namespace": "default" },
            "eventTime": "2026-01-02T03:04:05.000006Z",
            "reason": "Starting",
            "action": "StartKubeProxy",
            "type": "Normal",
            "reportingController": "kube-proxy",
            "reportingInstance": "node-1",
            "regarding": { "kind": "Node", "name": "node-1" },
        });
        for (name, value) in change.as_object().unwrap() {
            event[name] = value.clone();
        }
        event
    }

    fn of_group(group: &str) -> &'static Kind {
        KINDS.iter().find(|kind| kind.kind == "Event" && kind.group == group).unwrap()
    }

    /// The fields that are wrong when an Event is made.
    #[track_caller]
    fn check(change: Value, expected: &[&str]) {
        let found = faults(of_group("events.k8s.io"), None, &event(&change));
        let fields: Vec<_> = found.iter().map(|(field, _)| *field).collect();
        assert_eq!(fields, expected, "{change}");
    }

    #[test]
    fn a_new_event_has_what_it_must_have() {
        check(json!({}), &[]);
        check(json!({ "eventTime": null }), &["eventTime"]);
        check(json!({ "type": "Error" }), &["type"]);
        check(json!({ "action": "" }), &["action"]);
        check(json!({ "reportingInstance": "x".repeat(129) }), &["reportingInstance"]);
        check(json!({ "note": "x".repeat(1024) }), &[]);
        check(json!({ "note": "x".repeat(1025) }), &["message"]);
        check(json!({ "deprecatedCount": 1 }), &["deprecatedCount"]);
        check(json!({ "series": { "count": 1, "lastObservedTime": "x" } }), &["series.count"]);
        check(json!({ "series": { "count": 2 } }), &["series.lastObservedTime"]);
        let elsewhere = json!({ "metadata": { "namespace": "shop" } });
        check(elsewhere, &["involvedObject.namespace"]);
        let of_service = json!({ "namespace": "shop" });
        check(json!({ "metadata": { "namespace": "shop" }, "regarding": of_service }), &[]);
    }

    #[test]
    fn only_the_series_of_an_event_changes() {
        let changes = |change: Value| {
            faults(of_group("events.k8s.io"), Some(&event(&json!({}))), &event(&change)).len()
        };
        assert_eq!(changes(json!({ "series": { "count": 2, "lastObservedTime": "x" } })), 0);
        assert_eq!(changes(json!({ "series": { "count": 1, "lastObservedTime": "x" } })), 1);
        assert_eq!(changes(json!({ "note": "other" })), 1);
    }

    #[test]
    fn the_core_shows_the_same_under_its_own_names() {
        let (new, core) = (of_group("events.k8s.io"), of_group(""));
        let event = event(&json!({ "note": "n" }));
        let shown = converted(new, &event);
        assert_eq!(shown["involvedObject"]["name"], "node-1");
        assert_eq!(shown["message"], "n");
        assert_eq!(shown["reportingComponent"], "kube-proxy");
        assert_eq!(converted(core, &shown), event);
        assert_eq!(faults(core, None, &json!({ "metadata": { "namespace": "default" } })), []);
    }
}
