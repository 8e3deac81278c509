//! The patches for kubeadm's DaemonSet, applied by the same strategic merge as `kubectl patch`.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::manifests::{self, find};
use super::same::diff;
use super::tools::Tools;
use crate::workspace;

pub(super) const OF_KUBEADM: &str = include_str!("kubeadm.yaml");

pub(super) fn there_and_back(tools: &Tools) -> Result<()> {
    let original = manifests::objects(OF_KUBEADM)?.remove(0);
    manifests::validate(tools, "kubeadm", std::slice::from_ref(&original))?;

    let image = patched(tools, &original, "image")?;
    changes("image.yaml", &original, &image, &["/spec/template/spec/containers/0/image"])?;
    let least = patched(tools, &original, "least-privilege")?;
    same_container_as_base(tools, &least)?;

    for there in [image, least] {
        let cleaning = patched(tools, &there, "back")?;
        let first = &cleaning["spec"]["template"]["spec"]["initContainers"];
        let names: Vec<_> = first.as_array().into_iter().flatten().map(|it| &it["name"]).collect();
        ensure!(names == ["cleanup"], "back.yaml leaves these init containers: {names:?}");
        let back = patched(tools, &cleaning, "back-done")?;
        changes("the way back", &original, &back, &["/spec/template/spec/containers/0/image"])?;
    }
    Ok(())
}

/// What the pod may do is written down twice: for kubeadm's DaemonSet and for ours.
fn same_container_as_base(tools: &Tools, patched: &Value) -> Result<()> {
    let base = manifests::render(tools, "deploy/kustomize/base")?;
    let base = &find(&base, "DaemonSet")?["spec"]["template"]["spec"];
    let patched = &patched["spec"]["template"]["spec"];
    let mut found = Vec::new();
    for field in [
        "/securityContext",
        "/containers/0/image",
        "/containers/0/ports",
        "/containers/0/securityContext",
        "/containers/0/startupProbe",
        "/containers/0/livenessProbe",
        "/containers/0/readinessProbe",
        "/initContainers/0/command",
        "/initContainers/0/args",
        "/initContainers/0/image",
        "/initContainers/0/securityContext",
    ] {
        let value = |pod: &Value| pod.pointer(field).cloned().unwrap_or(Value::Null);
        ensure!(!value(base).is_null(), "the base has no {field}");
        diff(field, &value(patched), &value(base), &mut found);
    }
    ensure!(found.is_empty(), "least-privilege.yaml and base differ in\n{}", found.join("\n"));
    Ok(())
}

/// Applies a patch of `deploy/kubeadm`. Returns a valid object.
fn patched(tools: &Tools, object: &Value, patch: &str) -> Result<Value> {
    let file = Path::new("deploy/kubeadm").join(format!("{patch}.yaml"));
    let text = std::fs::read_to_string(workspace::root().join(&file))
        .with_context(|| format!("read {}", file.display()))?;
    let kustomization = json!({
        "resources": ["object.json"],
        "patches": [{"path": "patch.yaml", "target": {"kind": "DaemonSet", "name": "kube-proxy"}}],
    });
    tools.scratch("patch/object.json", &object.to_string())?;
    tools.scratch("patch/patch.yaml", &with_name(&text))?;
    let directory = tools.scratch("patch/kustomization.yaml", &kustomization.to_string())?;
    let directory = directory.parent().context("a file has a directory")?.to_string_lossy();
    let objects = manifests::render(tools, &directory)?;
    let result = find(&objects, "DaemonSet")?.clone();
    manifests::validate(tools, patch, std::slice::from_ref(&result)).context(patch.to_owned())?;
    Ok(result)
}

/// kustomize wants to read in the patch itself what `kubectl patch` is told on its command line.
fn with_name(patch: &str) -> String {
    format!("apiVersion: apps/v1\nkind: DaemonSet\nmetadata:\n  name: kube-proxy\n{patch}")
}

fn changes(what: &str, before: &Value, after: &Value, expected: &[&str]) -> Result<()> {
    let mut found = Vec::new();
    diff("", before, after, &mut found);
    let places: Vec<_> = found.iter().filter_map(|line| line.split(": ").next()).collect();
    ensure!(places == expected, "{what} changes\n{}", found.join("\n"));
    Ok(())
}
