//! Whether two renderings are the same objects, apart from what their tools add. Pure.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

use super::manifests::text;

/// Labels that only Helm writes.
const OF_HELM: &[&str] = &[
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/version",
    "helm.sh/chart",
];

/// Makes a new rollout of new content; kustomize has a hash in a name instead.
const CHECKSUM: &str = "checksum/config";

/// Where two renderings differ, one line for each place.
pub(super) fn differences(left: &[Value], right: &[Value]) -> Result<Vec<String>> {
    let (left, right) = (index(left)?, index(right)?);
    let mut found = Vec::new();
    diff("", &left, &right, &mut found);
    Ok(found)
}

/// All objects as one value, by kind and name.
fn index(objects: &[Value]) -> Result<Value> {
    let mut indexed = serde_json::Map::new();
    for object in objects {
        let mut object = object.clone();
        normalize(&mut object);
        if let Some(data) = object.get_mut("data").and_then(Value::as_object_mut) {
            for (key, value) in data {
                *value =
                    serde_saphyr::from_str(text(value)).with_context(|| format!("read {key}"))?;
            }
        }
        let name = format!("{} {}", text(&object["kind"]), text(&object["metadata"]["name"]));
        indexed.insert(name, object);
    }
    Ok(Value::Object(indexed))
}

fn normalize(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !OF_HELM.contains(&name.as_str()) && name != CHECKSUM);
            fields.values_mut().for_each(normalize);
            fields.retain(|name, value| {
                name != "annotations" || value.as_object().is_none_or(|it| !it.is_empty())
            });
        }
        Value::Array(items) => items.iter_mut().for_each(normalize),
        Value::String(text) => {
            if let Some((name, hash)) = text.rsplit_once('-')
                && name == "proxyd"
                && hash.len() == 10
            {
                *text = name.to_owned();
            }
        }
        _ => {}
    }
}

/// Notes each place where they differ.
pub(super) fn diff(path: &str, left: &Value, right: &Value, found: &mut Vec<String>) {
    match (left, right) {
        (Value::Object(a), Value::Object(b)) => {
            let mut fields: BTreeMap<_, (&Value, &Value)> = BTreeMap::new();
            for (name, value) in a {
                fields.entry(name).or_insert((&Value::Null, &Value::Null)).0 = value;
            }
            for (name, value) in b {
                fields.entry(name).or_insert((&Value::Null, &Value::Null)).1 = value;
            }
            for (name, (a, b)) in fields {
                diff(&format!("{path}/{name}"), a, b, found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (number, (a, b)) in a.iter().zip(b).enumerate() {
                diff(&format!("{path}/{number}"), a, b, found);
            }
        }
        (a, b) if a == b || says_nothing(a) && says_nothing(b) => {}
        (a, b) => found.push(format!("{path}: {a} and {b}")),
    }
}

/// An empty list is as good as none.
fn says_nothing(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(left: &Value, right: &Value, expected: &[&str]) {
        let object = |spec: &Value| json!({"kind": "DaemonSet", "metadata": {"name": "proxyd"}, "spec": spec});
        assert_eq!(differences(&[object(left)], &[object(right)]).unwrap(), expected);
    }

    #[test]
    fn each_place_is_named() {
        check(&json!({"a": 1, "b": [1, 2]}), &json!({"b": [1, 2], "a": 1}), &[]);
        check(&json!({"a": 1}), &json!({"a": "1"}), &["/DaemonSet proxyd/spec/a: 1 and \"1\""]);
        check(
            &json!({"b": [1, 2]}),
            &json!({"b": [1, 3]}),
            &["/DaemonSet proxyd/spec/b/1: 2 and 3"],
        );
        check(&json!({"b": []}), &json!({}), &[]);
        check(&json!({"b": [1]}), &json!({}), &["/DaemonSet proxyd/spec/b: [1] and null"]);
    }

    #[test]
    fn what_the_tools_add_does_not_count() {
        let of_helm = json!({
            "annotations": {"checksum/config": "0"},
            "labels": {"helm.sh/chart": "proxyd-0.1.0", "a": "b"},
            "configMap": {"name": "proxyd"},
        });
        let of_kustomize = json!({
            "labels": {"a": "b"},
            "configMap": {"name": "proxyd-k8gf92g674"},
        });
        check(&of_helm, &of_kustomize, &[]);
    }

    #[test]
    fn configuration_is_compared_as_yaml() {
        let object = |text: &str| json!({"kind": "ConfigMap", "data": {"config.conf": text}});
        let same = differences(&[object("a: 1\nb: 2\n")], &[object("# said\nb: 2\na: 1\n")]);
        assert_eq!(same.unwrap(), [""; 0]);
        let other = differences(&[object("a: 1\n")], &[object("a: 2\n")]);
        assert_eq!(other.unwrap(), ["/ConfigMap /data/config.conf/a: 1 and 2"]);
    }
}
