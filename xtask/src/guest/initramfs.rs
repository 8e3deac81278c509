//! The small first root of the QEMU guest: just enough to mount the host's files and go on there.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::cpio::Archive;
use super::modules::Modules;
use super::shell;
use super::stock::Stock;

/// What it takes to reach a file system shared over virtio.
const WANTED: &[&str] = &["virtio_pci", "9pnet_virtio", "9p"];

/// Writes an initramfs whose last act is to start `init` on the host's root.
pub(super) fn write(path: &Path, stock: &Stock, init: &str) -> Result<()> {
    let modules = stock.modules.join(&stock.version);
    let read = |name: &str| {
        let file = modules.join(name);
        fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))
    };
    let (dep, builtin) = (read("modules.dep")?, read("modules.builtin")?);
    let order = Modules::parse(&dep, &builtin).load_order(WANTED)?;

    let mut archive = Archive::default();
    for directory in ["bin", "dev", "modules", "root"] {
        archive.directory(directory);
    }
    archive.file("bin/busybox", &content(&stock.busybox)?);
    for (number, module) in order.iter().enumerate() {
        archive.file(&loaded_from(number), &content(&modules.join(module))?);
    }
    archive.file("init", script(order.len(), init).as_bytes());
    fs::write(path, archive.finish()).with_context(|| format!("write {}", path.display()))
}

/// The root may be cached: nobody changes it while a guest looks at it, or the guest may see old content.
fn script(modules: usize, init: &str) -> String {
    let load: String =
        (0..modules).map(|number| format!("insmod {}\n", loaded_from(number))).collect();
    let init = shell::quote(init);
    format!(
        "\
#!/bin/busybox sh
export PATH=/bin
/bin/busybox --install -s /bin
{load}\
mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=262144 hostroot /root
mount -t devtmpfs devtmpfs /root/dev
exec switch_root /root {init}
"
    )
}

fn loaded_from(number: usize) -> String {
    format!("modules/{number}.ko")
}

/// A file's content; some distributions compress their modules, which busybox cannot load.
fn content(path: &Path) -> Result<Vec<u8>> {
    if path.extension().is_none_or(|extension| extension != "xz") {
        return fs::read(path).with_context(|| format!("read {}", path.display()));
    }
    let output = Command::new("xz")
        .arg("-dc")
        .arg(path)
        .output()
        .context("start xz; its package is xz-utils")?;
    if !output.status.success() {
        bail!("decompress {}: {}", path.display(), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn script_loads_mounts_and_switches_in_this_order() {
        let script = script(2, "/tmp/a b/init");
        let at = |text: &str| script.find(text).unwrap();
        assert!(at("insmod modules/0.ko") < at("insmod modules/1.ko"));
        assert!(at("insmod modules/1.ko") < at("mount -t 9p"));
        assert!(script.ends_with("exec switch_root /root '/tmp/a b/init'\n"));
    }
}
