//! What the server says about itself, as `kubectl` asks for it.

use serde_json::{Value, json};

use super::kind::{KINDS, Kind};

const VERBS: [&str; 7] = ["create", "delete", "get", "list", "patch", "update", "watch"];

/// What is at a path that is not of objects. Health checks are text, so they are not here.
pub(super) fn discovery(path: &str, address: &str) -> Option<Value> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match parts[..] {
        ["version"] => Some(version()),
        ["api"] => Some(json!({
            "kind": "APIVersions",
            "versions": ["v1"],
            "serverAddressByClientCIDRs": [
                { "clientCIDR": "0.0.0.0/0", "serverAddress": address },
            ],
        })),
        ["apis"] => {
            let named = KINDS.iter().filter(|kind| !kind.group.is_empty());
            let groups: Vec<_> = named.map(group).collect();
            Some(json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups }))
        }
        ["api", version] => resources("", version),
        ["apis", name] => {
            KINDS.iter().find(|kind| kind.group == name && !name.is_empty()).map(|k| {
                let mut group = group(k);
                group["kind"] = "APIGroup".into();
                group["apiVersion"] = "v1".into();
                group
            })
        }
        ["apis", group, version] => resources(group, version),
        _ => None,
    }
}

fn version() -> Value {
    json!({
        "major": "1", "minor": "36", "gitVersion": "v1.36.0", "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "2026-04-22T00:00:00Z", "goVersion": "", "compiler": "", "platform": "linux/amd64",
    })
}

fn group(kind: &Kind) -> Value {
    let version = json!({ "groupVersion": kind.api_version(), "version": kind.version });
    json!({ "name": kind.group, "versions": [version], "preferredVersion": version })
}

fn resources(group: &str, version: &str) -> Option<Value> {
    let of_group = KINDS.iter().filter(|kind| kind.group == group && kind.version == version);
    let resources: Vec<_> = of_group.map(resource).collect();
    let version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    (!resources.is_empty()).then(|| {
        json!({
            "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version,
            "resources": resources,
        })
    })
}

fn resource(kind: &Kind) -> Value {
    json!({
        "name": kind.plural, "singularName": kind.singular, "namespaced": kind.namespaced,
        "kind": kind.kind, "verbs": VERBS, "shortNames": kind.short_names,
    })
}
