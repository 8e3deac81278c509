//! The chart: rendered by Helm's own library.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::manifests::{self, find};
use super::same;
use super::tools::Tools;
use crate::workspace;

const CHART: &str = "deploy/chart/proxyd";

/// Lints and renders a chart.
pub(super) const RENDER: &str = include_str!("helm.py");

pub(super) fn everything(tools: &Tools) -> Result<()> {
    let objects = render(tools, &[values(tools, "all")?])?;
    manifests::validate(tools, "chart", &objects)?;
    let rules = &find(&objects, "PrometheusRule")?["spec"];
    ensure!(rules["groups"][0]["rules"].is_array(), "the PrometheusRule has no rule: {rules}");
    find(&objects, "ServiceMonitor").map(drop)
}

pub(super) fn same_as_base(tools: &Tools) -> Result<()> {
    let chart = render(tools, &[values(tools, "base")?])?;
    let base = manifests::render(tools, "deploy/kustomize/base")?;
    let differences = same::differences(&chart, &base)?;
    ensure!(differences.is_empty(), "chart and base differ in\n{}", differences.join("\n"));
    Ok(())
}

/// Who forgets a value is told its name, and does not get a proxy that cannot work.
pub(super) fn required(tools: &Tools) -> Result<()> {
    let server = "apiServer=https://control-plane.example:6443";
    let pods = "config.clusterCIDR=10.244.0.0/16";
    for (given, missing) in [
        (vec![server], "config.clusterCIDR is required"),
        (vec![pods], "apiServer is required"),
        (vec![server, pods, "config.mode=iptables"], "/config/mode"),
        (vec![server, pods, "imgae.tag=1"], "imgae"),
        (vec![server, pods, "serviceMonitor.enabled=true"], "config.metricsBindAddress"),
    ] {
        let given: Vec<_> = given.into_iter().map(str::to_owned).collect();
        match render(tools, &given) {
            Ok(_) => bail!("{} was accepted", given.join(" ")),
            Err(error) => {
                let said = format!("{error:#}");
                ensure!(said.contains(missing), "{}: no {missing:?} in\n{said}", given.join(" "));
            }
        }
    }
    Ok(())
}

/// Renders the chart; a source is a file of values in JSON, or a `PATH=VALUE` as for `--set`.
pub(super) fn render(tools: &Tools, sources: &[String]) -> Result<Vec<Value>> {
    let mut command = tools.command("python");
    command.args(["-c", RENDER, CHART]).args(sources);
    manifests::objects(&tools.run(&mut command)?)
}

/// One of the chart's examples of values, as JSON: Helm's library comes without a reader of YAML.
fn values(tools: &Tools, name: &str) -> Result<String> {
    let path = Path::new(CHART).join(format!("ci/{name}-values.yaml"));
    let text = std::fs::read_to_string(workspace::root().join(&path))
        .with_context(|| format!("read {}", path.display()))?;
    let values: Value =
        serde_saphyr::from_str(&text).with_context(|| format!("read {}", path.display()))?;
    let path = tools.scratch(&format!("{name}-values.json"), &values.to_string())?;
    Ok(path.to_string_lossy().into_owned())
}
