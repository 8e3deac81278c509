//! What the daemon would do, asked from it as its users do.

use std::path::Path;
use std::process::Command;

use super::{Node, proxyd};

/// What `proxyd plan` prints on `node` for the manifests of a directory, and its exit status.
///
/// # Panics
/// When the program cannot be run.
#[must_use]
pub fn plan(node: &Node, manifests: &Path) -> (Vec<String>, Option<i32>) {
    let output = Command::new("ip")
        .args(["netns", "exec", node.namespace.name()])
        .arg(proxyd())
        .args(["plan", "--detect-local-mode=NodeCIDR", "--node-name", &node.name, "--manifests"])
        .arg(manifests)
        .output()
        .expect("ip runs");
    let text = String::from_utf8_lossy(&output.stdout);
    (text.lines().map(str::to_owned).collect(), output.status.code())
}
