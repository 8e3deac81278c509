//! The migration guide: its commands are run one after another, as they are written.
//!
//! `proxyd` is the real one, but what reads or changes a kernel has tests of its own and is only parsed. There is
//! no cluster: `kubectl` answers two questions from files of the repository, and for the rest the real kubectl
//! checks the flags, and files and objects that are named must be there. `helm` renders. `kubeadm` is believed.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::super::cargo;
use super::manifests::{self, text};
use super::tools::Tools;
use super::{chart, kubeadm};
use crate::workspace;

const GUIDE: &str = "docs/migration.md";

/// Words after `--` are a command in a container.
const KUBECTL: &str = r#"#!/bin/bash
set -euo pipefail
case "$*" in
  *"get configmap kube-proxy "*) exec cat deploy/kustomize/base/config.conf ;;
  "get services,endpointslices,nodes "*) exec cat two-tier/*.yaml ;;
esac
flags=()
while (($#)) && [[ $1 != -- ]]; do
  case $1 in
    daemonset | configmap) grep -qxF "$1 $2" <<<"$OBJECTS" || { echo "no $1 $2" >&2; exit 1; } ;;
    --patch-file | -k) [[ -e $2 ]] || { echo "no $2" >&2; exit 1; } ;;
  esac
  flags+=("$1")
  shift
done
"$REAL_KUBECTL" "${flags[@]}" --help >/dev/null
if (($#)); then shift; "$@"; fi
"#;

const HELM: &str = r#"#!/bin/bash
set -euo pipefail
[[ $1 = install && $4 = --namespace ]]
chart=$3; shift 5
values=()
while (($#)); do [[ $1 = --set ]]; values+=("$2"); shift 2; done
"$PYTHON" -c "$RENDER" "$chart" "${values[@]}" >/dev/null
"#;

const PROXYD: &str = r#"#!/bin/bash
set -euo pipefail
case "$1" in
  config | resolve) exec "$REAL_PROXYD" "$@" ;;
  *) "$REAL_PROXYD" "$@" --help >/dev/null ;;
esac
"#;

pub(super) fn commands(tools: &Tools) -> Result<()> {
    let guide = fs::read_to_string(workspace::root().join(GUIDE))
        .with_context(|| format!("read {GUIDE}"))?;
    let commands = console(&guide);
    ensure!(commands.len() > 20, "{GUIDE} has {} commands", commands.len());
    for (name, script) in
        [("kubectl", KUBECTL), ("helm", HELM), ("proxyd", PROXYD), ("kubeadm", "#!/bin/sh\n")]
    {
        let path = tools.scratch(&format!("guide/bin/{name}"), script)?;
        fs::set_permissions(&path, Permissions::from_mode(0o755))
            .with_context(|| format!("make {} executable", path.display()))?;
    }
    let script = tools.scratch("guide/work/commands", &commands.join("\n"))?;
    let work = script.parent().context("a file has a directory")?;
    for (link, target) in [("deploy", "deploy"), ("two-tier", "examples/two-tier")] {
        symlink(workspace::root().join(target), work.join(link))
            .with_context(|| format!("link {link}"))?;
    }
    let programs = cargo::build()?.programs;
    let proxyd = programs.iter().find(|(name, _)| name == "proxyd");
    let (_, proxyd) = proxyd.context("the project builds proxyd")?;
    let path = std::env::var("PATH").unwrap_or_default();
    let bin = work.with_file_name("bin");
    let mut shell = Command::new("bash");
    shell
        .args(["-c", "cd \"$0\" && exec bash -eux commands"])
        .arg(work)
        .env("PATH", format!("{}:{path}", bin.display()))
        .env("OBJECTS", objects(tools)?)
        .env("REAL_KUBECTL", tools.path("kubectl"))
        .env("REAL_PROXYD", proxyd)
        .env("PYTHON", tools.path("python"))
        .env("RENDER", chart::RENDER);
    tools.run(&mut shell).map(drop)
}

/// What a command may name, one a line: `daemonset kube-proxy`.
fn objects(tools: &Tools) -> Result<String> {
    let mut objects = manifests::render(tools, "deploy/kustomize/base")?;
    objects.extend(manifests::objects(kubeadm::OF_KUBEADM)?);
    let line = |object: &serde_json::Value| {
        format!("{} {}", text(&object["kind"]).to_lowercase(), text(&object["metadata"]["name"]))
    };
    Ok(objects.iter().map(line).collect::<Vec<_>>().join("\n"))
}

/// The commands in the blocks of a console: what follows `$ `, with continued lines.
fn console(markdown: &str) -> Vec<String> {
    let blocks = markdown.split("```console\n").skip(1);
    let lines = blocks.filter_map(|block| block.split("```").next()).flat_map(str::lines);
    let mut commands: Vec<String> = Vec::new();
    for line in lines {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push(command.to_owned()),
            (None, Some(last)) if last.ends_with('\\') => {
                last.push('\n');
                last.push_str(line);
            }
            (None, _) => {}
        }
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_what_they_print() {
        let guide = "a\n```console\n$ one \\\n    two\nprinted\n$ three\n```\n```text\n$ no\n```\n";
        assert_eq!(console(guide), ["one \\\n    two", "three"]);
    }
}
