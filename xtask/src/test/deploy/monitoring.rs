//! Alert rules and the dashboard: parsed and run by promtool, and only about metrics that there are.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::manifests::text;
use super::promql;
use super::tools::Tools;
use crate::workspace;

const DIRECTORY: &str = "deploy/monitoring";

/// Written by Prometheus itself for each target.
const OF_PROMETHEUS: &str = "up";

pub(super) fn alerts(tools: &Tools) -> Result<()> {
    let file = |name: &str| format!("{DIRECTORY}/{name}");
    tools.run(tools.promtool().args(["check", "rules", &file("alerts.yaml")]))?;
    tools.run(tools.promtool().args(["test", "rules", &file("alerts-test.yaml")]))?;
    let tests = read("alerts-test.yaml")?;
    for rule in rules()? {
        let name = text(&rule["alert"]).to_owned();
        ensure!(tests.contains(&format!("alertname: {name}\n")), "{name} has no test");
    }
    Ok(())
}

/// promtool reads queries in rules only; the dashboard's become rules for that.
pub(super) fn dashboard(tools: &Tools) -> Result<()> {
    let queries = queries()?;
    ensure!(queries.len() > 10, "the dashboard has {} queries", queries.len());
    let rule = |(number, query): (usize, &String)| json!({"record": format!("dashboard:query:{number}"), "expr": without_variables(query)});
    let rules: Vec<_> = queries.iter().enumerate().map(rule).collect();
    let file = json!({"groups": [{"name": "dashboard", "rules": rules}]});
    let path = tools.scratch("dashboard-rules.yaml", &file.to_string())?;
    tools.run(tools.promtool().args(["check", "rules"]).arg(path)).map(drop)
}

/// A panel of a metric that nobody exports stays empty, and an alert on it silent.
pub(super) fn names(_: &Tools) -> Result<()> {
    let path = workspace::root().join("docs/metrics.md");
    let described =
        fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let exported: BTreeSet<_> = described.split('`').skip(1).step_by(2).map(family).collect();
    let alerts = rules()?.into_iter().map(|rule| text(&rule["expr"]).to_owned());
    let mut unknown = BTreeSet::new();
    for query in alerts.chain(queries()?.iter().map(|query| without_variables(query))) {
        for name in promql::metrics(&query) {
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let is_known = |name: &str| exported.contains(name) || name == OF_PROMETHEUS;
            if !is_known(&name) && !base.is_some_and(is_known) {
                unknown.insert(format!("{name} in {query}"));
            }
        }
    }
    let unknown: Vec<_> = unknown.into_iter().collect();
    ensure!(unknown.is_empty(), "docs/metrics.md does not have\n{}", unknown.join("\n"));
    Ok(())
}

/// The name in `name` or `name{label,label}`, as a table of metrics writes them.
fn family(described: &str) -> &str {
    described.split('{').next().unwrap_or_default()
}

fn rules() -> Result<Vec<Value>> {
    let file: Value = serde_saphyr::from_str(&read("alerts.yaml")?).context("read alerts.yaml")?;
    let groups = file["groups"].as_array().context("alerts.yaml has groups")?;
    let rules = groups.iter().filter_map(|group| group["rules"].as_array()).flatten();
    Ok(rules.cloned().collect())
}

/// Every query of the dashboard: of its panels and of its variables.
fn queries() -> Result<Vec<String>> {
    let dashboard: Value =
        serde_json::from_str(&read("dashboard.json")?).context("read dashboard.json")?;
    let mut queries = Vec::new();
    collect(&dashboard, &mut queries);
    Ok(queries)
}

fn collect(value: &Value, queries: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if name == "expr" => queries.push(text.clone()),
                    Value::String(text) if text.starts_with("label_values(") => {
                        queries.extend(promql::of_label_values(text));
                    }
                    _ => collect(value, queries),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, queries)),
        _ => {}
    }
}

/// Grafana puts values for these before Prometheus sees a query.
fn without_variables(query: &str) -> String {
    let known = [("$__rate_interval", "5m"), ("$__range", "1h")];
    known.iter().fold(query.to_owned(), |query, (name, value)| query.replace(name, value))
}

fn read(name: &str) -> Result<String> {
    let path = workspace::root().join(DIRECTORY).join(name);
    fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
}
