//! What the daemon would do, asked from it as its users do.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use super::{Node, proxyd};

/// What `proxyd plan` prints on `node` for the manifests of a directory, and its exit status.
///
/// # Panics
/// When the program cannot be run.
#[must_use]
pub fn plan(node: &Node, manifests: &Path) -> (Vec<String>, Option<i32>) {
    let output = run(node, manifests, &[]);
    let text = String::from_utf8_lossy(&output.stdout);
    (text.lines().map(str::to_owned).collect(), output.status.code())
}

/// The same as a document.
///
/// # Panics
/// When the program cannot be run, or what it prints is no JSON.
#[must_use]
pub fn plan_document(node: &Node, manifests: &Path) -> Value {
    let output = run(node, manifests, &["-o", "json"]);
    serde_json::from_slice(&output.stdout).expect("a document in JSON")
}

fn run(node: &Node, manifests: &Path, arguments: &[&str]) -> Output {
    Command::new("ip")
        .args(["netns", "exec", node.namespace.name()])
        .arg(proxyd())
        .args(["plan", "--detect-local-mode=NodeCIDR", "--node-name", &node.name, "--manifests"])
        .arg(manifests)
        .args(arguments)
        .output()
        .expect("ip runs")
}
