//! The distribution's kernel and a static busybox, unpacked but never installed.
//!
//! They are kept under the target directory, so `cargo clean` removes them and a second run needs no network.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::packages::{self, Tool};
use crate::workspace;

const TOOLS: &[Tool] = &[Tool { program: "depmod", package: "kmod" }];

/// A kernel as its package holds it.
#[derive(Clone, Debug)]
pub(super) struct Stock {
    pub(super) image: PathBuf,
    /// The directory above the one named by the version.
    pub(super) modules: PathBuf,
    pub(super) version: String,
    /// A shell and a handful of programs in one static file.
    pub(super) busybox: PathBuf,
}

/// The kernel, fetched unless it is there.
pub(super) fn kernel() -> Result<Stock> {
    let cache = workspace::target_dir().join("guest");
    fs::create_dir_all(&cache).with_context(|| format!("create {}", cache.display()))?;
    let lock = File::open(&cache).with_context(|| format!("open {}", cache.display()))?;
    lock.lock().context("wait for another invocation to fetch the kernel")?;
    let stock = cache.join("stock");
    if !stock.exists() {
        fetch(&cache, &stock)?;
    }
    read(&stock)
}

/// Unpacks beside the final place and renames, so that a half-done directory is never taken for a kernel.
fn fetch(cache: &Path, stock: &Path) -> Result<()> {
    packages::ensure(TOOLS)?;
    let unpacked = cache.join("unpacked");
    let _ = fs::remove_dir_all(&unpacked);
    fs::create_dir(&unpacked).context("create a directory for the kernel")?;
    let kernel = kernel_package()?;
    eprintln!("downloading {kernel} and busybox-static");
    packages::unpack(&[&kernel, "busybox-static"], &unpacked)?;
    let depmod = packages::find("depmod").context("find depmod")?;
    run(Command::new(depmod).arg("-b").arg(&unpacked).arg(version(&unpacked)?))?;
    fs::rename(&unpacked, stock).with_context(|| format!("rename to {}", stock.display()))
}

/// The package behind the metapackage, whose name has the version.
fn kernel_package() -> Result<String> {
    depends().or_else(|_| {
        if packages::is_root() {
            packages::apt_get(&["update"], Path::new("/"))?;
        }
        depends()
    })
}

fn depends() -> Result<String> {
    let output = Command::new("apt-cache")
        .args(["depends", "linux-image-amd64"])
        .output()
        .context("start apt-cache")?;
    first_dependency(&String::from_utf8_lossy(&output.stdout))
        .context("the package lists do not have linux-image-amd64; run apt-get update as root")
}

fn first_dependency(apt_cache: &str) -> Option<String> {
    let packages = apt_cache.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    packages.map(str::to_owned).find(|package| package.starts_with("linux-image-"))
}

fn read(stock: &Path) -> Result<Stock> {
    let version = version(stock)?;
    let busybox = ["usr/bin/busybox", "bin/busybox"]
        .map(|path| stock.join(path))
        .into_iter()
        .find(|path| path.exists());
    Ok(Stock {
        image: stock.join("boot").join(format!("vmlinuz-{version}")),
        modules: modules(stock),
        version,
        busybox: busybox.with_context(|| format!("no busybox in {}", stock.display()))?,
    })
}

fn version(stock: &Path) -> Result<String> {
    let dir = modules(stock);
    let mut entries = fs::read_dir(&dir).with_context(|| format!("read {}", dir.display()))?;
    let entry = entries.next().with_context(|| format!("no modules in {}", dir.display()))?;
    Ok(entry.context("read a directory entry")?.file_name().to_string_lossy().into_owned())
}

/// `/lib` has moved into `/usr` in some releases' packages.
fn modules(stock: &Path) -> PathBuf {
    let merged = stock.join("usr/lib/modules");
    if merged.exists() { merged } else { stock.join("lib/modules") }
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("start {command:?}"))?;
    if !status.success() {
        bail!("{command:?} failed");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_package_with_the_version() {
        let said =
            "linux-image-amd64\n  Depends: linux-base\n  Depends: linux-image-6.1.0-9-amd64\n";
        assert_eq!(first_dependency(said).as_deref(), Some("linux-image-6.1.0-9-amd64"));
        assert_eq!(first_dependency(""), None);
    }
}
