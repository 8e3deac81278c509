//! Programs we start that may be missing, and the Debian packages that hold them.
//!
//! Looking is cheap and happens every time; installing happens only as root. Two invocations side by side
//! take turns, since dpkg does not wait.

use std::env;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// A program, and the Debian package it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tool {
    pub(crate) program: &'static str,
    pub(crate) package: &'static str,
}

/// What commands in a guest may use: the tools that give a second opinion on the kernel's state.
pub(crate) const NETWORK_TOOLS: &[Tool] = &[
    Tool { program: "ip", package: "iproute2" },
    Tool { program: "ipvsadm", package: "ipvsadm" },
    Tool { program: "ipset", package: "ipset" },
    Tool { program: "iptables", package: "iptables" },
    Tool { program: "modprobe", package: "kmod" },
    Tool { program: "ping", package: "iputils-ping" },
    Tool { program: "conntrack", package: "conntrack" },
    Tool { program: "nft", package: "nftables" },
    Tool { program: "strace", package: "strace" },
];

/// Makes sure that every tool is there; installs the missing ones as root, else says how.
pub(crate) fn ensure(tools: &[Tool]) -> Result<()> {
    ensure_none(|| missing(tools))
}

/// Like [`ensure`], for packages that are told otherwise than by a program; `missing` looks each time.
pub(crate) fn ensure_none(missing: impl Fn() -> Vec<&'static str>) -> Result<()> {
    if missing().is_empty() {
        return Ok(());
    }
    // A directory can be locked without leaving a file behind.
    let dpkg = File::open("/var/lib/dpkg").with_context(|| {
        format!("missing: {}; only Debian packages can be installed", missing().join(" "))
    })?;
    dpkg.lock().context("wait for another installation to end")?;
    let packages = missing(); // another invocation may have installed them meanwhile
    if packages.is_empty() {
        return Ok(());
    }
    if !is_root() {
        bail!(
            "missing programs; install them with\n  sudo apt-get install -y --no-install-recommends {}",
            packages.join(" ")
        );
    }
    eprintln!("installing {}", packages.join(" "));
    install(&packages)
}

/// Whether we may mount, load modules and install packages.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|this| this.uid() == 0)
}

/// The full path of a program; `sbin` counts even where a user's PATH leaves it out.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from))
        .map(|dir| dir.join(program))
        .find(|candidate| candidate.is_file())
}

/// Runs `apt-get` with quiet defaults; its output is only shown when it fails.
pub(crate) fn apt_get(args: &[&str], dir: &Path) -> Result<()> {
    let output = Command::new("apt-get")
        .args(["-q", "-o", "DPkg::Lock::Timeout=300"])
        .args(args)
        .current_dir(dir)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .context("start apt-get")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("apt-get {} failed: {}", args.join(" "), said.trim());
    }
    Ok(())
}

/// Downloads packages and unpacks them into `directory`, without installing them.
pub(crate) fn unpack(packages: &[&str], directory: &Path) -> Result<()> {
    ensure(&[Tool { program: "dpkg", package: "dpkg" }])?;
    let download: Vec<_> = ["download"].iter().chain(packages).copied().collect();
    apt_get(&download, directory).or_else(|error| {
        if !is_root() {
            return Err(error);
        }
        apt_get(&["update"], Path::new("/"))?;
        apt_get(&download, directory)
    })?;
    for package in debian_files(directory)? {
        let unpacked = Command::new("dpkg").arg("-x").arg(&package).arg(directory).status();
        if !unpacked.context("start dpkg")?.success() {
            bail!("dpkg cannot unpack {}", package.display());
        }
        fs::remove_file(&package).with_context(|| format!("delete {}", package.display()))?;
    }
    Ok(())
}

fn debian_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("read {}", dir.display()))? {
        let path = entry.context("read a directory entry")?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            found.push(path);
        }
    }
    Ok(found)
}

fn missing(tools: &[Tool]) -> Vec<&'static str> {
    tools.iter().filter(|tool| find(tool.program).is_none()).map(|tool| tool.package).collect()
}

/// The package lists may be absent or old; they are refreshed only when that shows.
fn install(packages: &[&str]) -> Result<()> {
    let mut args = vec!["install", "-y", "--no-install-recommends"];
    args.extend(packages);
    let root = Path::new("/");
    apt_get(&args, root).or_else(|_| {
        apt_get(&["update"], root)?;
        apt_get(&args, root)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_every_system_has() {
        assert!(find("sh").is_some());
    }

    #[test]
    fn names_the_package_of_a_missing_program() {
        let tools = [
            Tool { program: "sh", package: "dash" },
            Tool { program: "no-such-program-anywhere", package: "the-package" },
        ];
        assert_eq!(missing(&tools), ["the-package"]);
    }
}
