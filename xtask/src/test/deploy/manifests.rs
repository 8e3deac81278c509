//! Manifests: rendered by kubectl, and checked against Kubernetes' schema.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::tools::Tools;

/// The oldest and the newest Kubernetes whose schema the manifests must fit.
const VERSIONS: [&str; 2] = ["1.27", "1.37"];

/// Objects of the Prometheus operator: their schema is not Kubernetes'.
const FOREIGN: &str = "monitoring.coreos.com/";

pub(super) fn base(tools: &Tools) -> Result<()> {
    let objects = render(tools, "deploy/kustomize/base")?;
    ensure!(objects.len() == 5, "5 objects are expected, {} are rendered", objects.len());
    validate(tools, "base", &objects)
}

pub(super) fn example(tools: &Tools) -> Result<()> {
    let objects = render(tools, "deploy/kustomize/overlays/example")?;
    validate(tools, "example", &objects)?;
    let pod = &find(&objects, "DaemonSet")?["spec"]["template"]["spec"];
    for container in ["/initContainers/0/image", "/containers/0/image"] {
        let image = pod.pointer(container).and_then(Value::as_str).unwrap_or_default();
        ensure!(image.starts_with("registry.internal.example/"), "{container} is {image:?}");
    }
    let data = &find(&objects, "ConfigMap")?["data"];
    let config = data["config.conf"].as_str().unwrap_or_default();
    ensure!(config.contains("fd00:244::/56"), "config.conf is not the overlay's:\n{config}");
    Ok(())
}

/// Every cluster has the role of kube-proxy, system:node-proxier; who may bind that may bind ours.
pub(super) fn role(tools: &Tools) -> Result<()> {
    const NODE_PROXIER: &[(&str, &str, &[&str])] = &[
        ("", "services", &["list", "watch"]),
        ("", "endpoints", &["list", "watch"]),
        ("", "nodes", &["get", "list", "watch"]),
        ("", "events", &["create", "patch", "update"]),
        ("events.k8s.io", "events", &["create", "patch", "update"]),
        ("discovery.k8s.io", "endpointslices", &["list", "watch"]),
    ];
    let may = |group: &str, resource: &str, verb: &str| {
        NODE_PROXIER.iter().any(|it| (it.0, it.1) == (group, resource) && it.2.contains(&verb))
    };
    let objects = render(tools, "deploy/kustomize/base")?;
    let rules = find(&objects, "ClusterRole")?["rules"].as_array().context("the role has rules")?;
    ensure!(!rules.is_empty(), "the role has no rule");
    for rule in rules {
        for group in strings(&rule["apiGroups"]) {
            for resource in strings(&rule["resources"]) {
                for verb in strings(&rule["verbs"]) {
                    ensure!(may(group, resource, verb), "{verb} {resource} of {group:?}");
                }
            }
        }
    }
    Ok(())
}

/// Renders a directory as `kubectl apply -k` would.
pub(super) fn render(tools: &Tools, directory: &str) -> Result<Vec<Value>> {
    let rendered = tools.run(tools.command("kubectl").args(["kustomize", directory]))?;
    objects(&rendered)
}

/// The objects in a YAML text of several documents.
pub(super) fn objects(text: &str) -> Result<Vec<Value>> {
    let mut objects = Vec::new();
    for document in text.split("\n---") {
        let object: Value = serde_saphyr::from_str(document)
            .with_context(|| format!("read this as YAML:\n{document}"))?;
        if !object.is_null() {
            objects.push(object);
        }
    }
    Ok(objects)
}

/// Checks objects against the schemas of Kubernetes: every field known, every type right.
pub(super) fn validate(tools: &Tools, name: &str, objects: &[Value]) -> Result<()> {
    let native = objects.iter().filter(|it| !text(&it["apiVersion"]).starts_with(FOREIGN));
    let texts: Vec<_> = native.map(Value::to_string).collect();
    let path = tools.scratch(&format!("{name}.yaml"), &texts.join("\n---\n"))?;
    for version in VERSIONS {
        schema(tools, &path, version)?;
    }
    Ok(())
}

fn schema(tools: &Tools, path: &Path, version: &str) -> Result<()> {
    let mut command = tools.command("kubernetes-validate");
    command.args(["--strict", "--kubernetes-version", version]).arg(path);
    tools.run(&mut command).map(drop).with_context(|| format!("Kubernetes {version}"))
}

/// The one object of a kind.
pub(super) fn find<'a>(objects: &'a [Value], kind: &str) -> Result<&'a Value> {
    let mut found = objects.iter().filter(|object| object["kind"] == kind);
    match (found.next(), found.next()) {
        (Some(object), None) => Ok(object),
        (None, _) => bail!("no {kind} is rendered"),
        (Some(_), Some(_)) => bail!("more than one {kind} is rendered"),
    }
}

pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn strings(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().map(text)
}
