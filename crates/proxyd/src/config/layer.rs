//! Single values with their origins into a configuration. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::problem::{Origin, Problem};
use super::scalar::GoDuration;
use super::v1alpha1::KubeProxyConfiguration;

/// One value that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    /// Names of the field and the sections around it, with dots between.
    pub(super) path: String,
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// Where the given values come from, by path. Others are defaults.
pub(super) type Origins = BTreeMap<String, Origin>;

/// Where the value at `path` comes from: it, or an item of it, may have been given as a whole.
pub(super) fn origin_of(origins: &Origins, path: &str) -> Origin {
    let mut path = path;
    loop {
        if let Some(origin) = origins.get(path) {
            return origin.clone();
        }
        match path.rfind(['.', '[']) {
            Some(end) => path = &path[..end],
            None => return Origin::Default,
        }
    }
}

/// Where zero is a value, and only null says nothing. So it is in proxyd's own settings.
const ZERO_COUNTS: [&str; 7] = [
    "iptables.masqueradeBit",
    "nftables.masqueradeBit",
    "conntrack.maxPerCore",
    "conntrack.min",
    "conntrack.tcpEstablishedTimeout",
    "conntrack.tcpCloseWaitTimeout",
    "oomScoreAdj",
];

/// All fields: an object for a section, null for a field.
pub(super) fn shape() -> &'static Value {
    static SHAPE: LazyLock<Value> = LazyLock::new(|| {
        serde_json::to_value(KubeProxyConfiguration::default()).expect("all keys are texts")
    });
    &SHAPE
}

/// Puts values together; of two at one path the later counts. Values of the wrong type are reported,
/// each, and left out.
///
/// Of a file, null and the zero values that say "the default" to kube-proxy are left out, too.
pub(super) fn assemble(
    leaves: Vec<Leaf>,
    problems: &mut Vec<Problem>,
) -> (KubeProxyConfiguration, Origins) {
    let (mut origins, mut whole) = (Origins::new(), Value::Object(Map::new()));
    for Leaf { path, value, origin } in leaves {
        if let Err(reason) = fits(&path, &value) {
            problems.push(Problem::error(&path, reason).with_value(value).from(origin));
            continue;
        }
        if matches!(origin, Origin::File { .. }) && is_unset(&path, &value) {
            continue;
        }
        put(&mut whole, &path, value);
        origins.insert(path, origin);
    }
    (serde_json::from_value(whole).expect("each value fits by itself"), origins)
}

/// Whether the field at `path` can have this value.
fn fits(path: &str, value: &Value) -> Result<(), String> {
    let pointer = format!("/{}", path.replace('.', "/"));
    if shape().pointer(&pointer).is_some_and(Value::is_object) {
        return Err("must be an object with fields".to_owned());
    }
    let mut single = Value::Object(Map::new());
    put(&mut single, path, value.clone());
    let single = serde_json::from_value::<KubeProxyConfiguration>(single);
    single.map(drop).map_err(|error| error.to_string())
}

/// Paths of fields that two configurations have with different values.
pub(super) fn differences(one: &Value, other: &Value) -> Vec<String> {
    let mut paths = Vec::new();
    collect_differences("", one, other, &mut paths);
    paths
}

fn collect_differences(path: &str, one: &Value, other: &Value, paths: &mut Vec<String>) {
    let (Value::Object(fields), Value::Object(others)) = (one, other) else {
        if one != other {
            paths.push(path.to_owned());
        }
        return;
    };
    let names: BTreeSet<&String> = fields.keys().chain(others.keys()).collect();
    for name in names {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let of = |fields: &Map<String, Value>| fields.get(name).cloned().unwrap_or_default();
        collect_differences(&path, &of(fields), &of(others), paths);
    }
}

/// Whether a file says nothing by this value.
fn is_unset(path: &str, value: &Value) -> bool {
    match value {
        Value::Null => true,
        _ if ZERO_COUNTS.contains(&path) || path.starts_with("proxyd.") => false,
        Value::String(text) => text.is_empty() || text.parse() == Ok(GoDuration::ZERO),
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) => false,
    }
}

/// Sets the field at `path`.
fn put(object: &mut Value, path: &str, value: Value) {
    let mut place = object;
    for name in path.split('.') {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        place = &mut place[name];
    }
    *place = value;
}
