//! The reference for those who write a configuration is made from what reads it.

use std::fmt::Write as _;

use serde_json::Value;

use crate::config::flags::about;
use crate::config::{default_value, tolerated};
use crate::reload;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");

const HEAD: &str = "\
# Configuration

<!-- Made by a test from the code that reads the configuration: UPDATE_EXPECT=1 cargo test -p proxyd reference -->

proxyd reads kube-proxy's `KubeProxyConfiguration` (`kubeproxy.config.k8s.io/v1alpha1`) from `--config`, or kube-proxy's
flags. With a file, flags have no effect but `--hostname-override`, those about logs, and proxyd's own. The defaults are
those of kube-proxy 1.36. `proxyd config check` says what is wrong, or without effect; `proxyd config print` shows every
value and where it came from.

Settings of proxyd's own are under the key `proxyd` of the same file.

| field | default | flag | here |
|---|---|---|---|
";

/// What own settings without a flag are for.
const WITHOUT_FLAG: [(&str, &str); 3] = [
    (
        "proxyd.auditServicesPerSecond",
        "So many IPVS services are compared with the kernel a second, in quiet times",
    ),
    ("proxyd.internalMarks.mask", "The bits in which packet marks of proxyd's own may differ"),
    ("proxyd.internalMarks.value", "The other bits of those marks"),
];

#[test]
fn the_reference_lists_every_field() {
    let mut text = HEAD.to_owned();
    list("", &default_value(), &mut text);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(PATH, &text).unwrap();
        return;
    }
    let written = std::fs::read_to_string(PATH).unwrap();
    assert_eq!(written, text, "it is not up to date; make it anew as its second line says");
}

fn list(path: &str, value: &Value, text: &mut String) {
    if let Value::Object(fields) = value
        && path != "featureGates"
    {
        for (name, value) in fields.iter().filter(|(name, _)| !is_head(path, name)) {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            list(&path, value, text);
        }
        return;
    }
    let default = match value {
        Value::Null => "none".to_owned(),
        Value::String(text) if text.is_empty() => "empty".to_owned(),
        Value::String(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    };
    let without = WITHOUT_FLAG.iter().find(|(of, _)| *of == path);
    let without = || without.map(|(_, help)| (String::new(), (*help).to_owned()));
    let (flag, help) = about(path).or_else(without).unwrap_or_default();
    let flag = if flag.is_empty() { String::new() } else { format!("`{flag}`") };
    let mut here = match tolerated::reason(path) {
        Some(reason) => format!("no effect: {reason}"),
        None => help,
    };
    if reload::is_live(path) {
        here.push_str(if here.is_empty() { "counts at once" } else { "; counts at once" });
    }
    writeln!(text, "| `{path}` | {default} | {flag} | {here} |").unwrap();
}

fn is_head(path: &str, name: &str) -> bool {
    path.is_empty() && matches!(name, "apiVersion" | "kind")
}
