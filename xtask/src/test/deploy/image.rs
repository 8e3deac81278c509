//! The image: its Dockerfile and scripts. Building it needs a registry of base images, which not every machine
//! reaches; what is inside is checked piece by piece.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::tools::Tools;
use crate::workspace;

pub(super) fn lint(tools: &Tools) -> Result<()> {
    tools.run(tools.command("hadolint").arg("deploy/Dockerfile"))?;
    let scripts = ["deploy/image/iptables", "deploy/image/prepare-node"];
    tools.run(tools.command("shellcheck").args(scripts))?;
    Ok(())
}

/// The wrapper named iptables, with programs that act as on nodes of each kind.
pub(super) fn iptables(tools: &Tools) -> Result<()> {
    const HINT: &str = ":KUBE-IPTABLES-HINT - [0:0]";
    const OTHER: &str = ":INPUT ACCEPT [0:0]";
    for (nft, legacy, expected) in [
        (Some(HINT), Some(OTHER), "nft"),
        (Some(OTHER), Some(HINT), "legacy"),
        (Some(HINT), Some(HINT), "nft"),
        (Some(OTHER), Some(OTHER), "nft"),
        (None, Some(OTHER), "legacy"),
        (None, Some(HINT), "legacy"),
        (Some("-A X -m comment --comment KUBE-SERVICES"), Some(HINT), "legacy"),
    ] {
        for (name, family, verb) in [
            ("iptables", "iptables", ""),
            ("ip6tables", "ip6tables", ""),
            ("iptables-save", "iptables", "-save"),
            ("ip6tables-restore", "ip6tables", "-restore"),
        ] {
            let said = tools.run(&mut wrapped(tools, family, name, [nft, legacy])?)?;
            let wanted = format!("{family}-{expected}{verb} -w 5\n");
            // What was asked for is the last thing that runs; `-save` is also what the wrapper asks.
            ensure!(
                said.ends_with(&wanted),
                "{nft:?}, {legacy:?}, {name}: {said:?}, not {wanted:?}"
            );
        }
    }
    Ok(())
}

/// `name` through the wrapper, where `FAMILY-FLAVOUR-save` prints the given rules or fails.
fn wrapped(tools: &Tools, family: &str, name: &str, rules: [Option<&str>; 2]) -> Result<Command> {
    for (flavour, rules) in ["nft", "legacy"].iter().zip(rules) {
        let save = match rules {
            Some(rules) => format!("echo '{rules}'"),
            None => "exit 1".to_owned(),
        };
        for verb in ["", "-save", "-restore"] {
            let show = if verb == "-save" { save.as_str() } else { ":" };
            let program = format!("{family}-{flavour}{verb}");
            let script = format!("#!/bin/sh\n{show}\necho \"{program} $*\"\n");
            let path = tools.scratch(&format!("bin/{program}"), &script)?;
            fs::set_permissions(&path, Permissions::from_mode(0o755))
                .with_context(|| format!("make {} executable", path.display()))?;
        }
    }
    let bin = tools.scratch("bin/.keep", "")?;
    let bin = bin.parent().context("a file has a directory")?;
    let link = bin.join(name);
    let _ = fs::remove_file(&link);
    symlink(workspace::root().join("deploy/image/iptables"), &link)
        .with_context(|| format!("link {}", link.display()))?;
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(link);
    command.args(["-w", "5"]).env("PATH", format!("{}:{path}", bin.display()));
    Ok(command)
}
