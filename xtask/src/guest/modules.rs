//! Which kernel modules must be loaded, in which order, for some to work: `modules.dep`, read.
//!
//! Pure: it does not look at the module files.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};

/// What `depmod` found out about one kernel's modules.
#[derive(Debug)]
pub(super) struct Modules<'a> {
    dependencies: BTreeMap<&'a str, Vec<&'a str>>,
    builtin: BTreeSet<String>,
}

impl<'a> Modules<'a> {
    /// Reads `modules.dep` (`path: path path`) and `modules.builtin` (a path a line).
    pub(super) fn parse(dep: &'a str, builtin: &str) -> Self {
        let dependencies = dep.lines().filter_map(|line| line.split_once(':'));
        Self {
            dependencies: dependencies
                .map(|(path, needs)| (path, needs.split_whitespace().collect()))
                .collect(),
            builtin: builtin.lines().map(name).collect(),
        }
    }

    /// The files to load for `wanted`, each after everything it needs; what is built in needs no file.
    pub(super) fn load_order(&self, wanted: &[&str]) -> Result<Vec<&'a str>> {
        let mut order = Vec::new();
        for &module in wanted {
            match self.dependencies.keys().find(|path| name(path) == name(module)) {
                Some(path) => self.visit(path, &mut order),
                None if self.builtin.contains(&name(module)) => {}
                None => bail!("the kernel has no module {module}"),
            }
        }
        Ok(order)
    }

    /// `depmod` refuses cycles, so this ends.
    fn visit(&self, path: &'a str, order: &mut Vec<&'a str>) {
        if order.contains(&path) {
            return;
        }
        for needed in self.dependencies.get(path).into_iter().flatten() {
            self.visit(needed, order);
        }
        order.push(path);
    }
}

/// A module's name: the file's without its endings; `-` and `_` are one and the same.
fn name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split(".ko").next().unwrap_or(file).replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEP: &str = "\
kernel/fs/9p/9p.ko.xz: kernel/net/9p/9pnet.ko.xz kernel/fs/netfs/netfs.ko.xz
kernel/net/9p/9pnet.ko.xz:
kernel/fs/netfs/netfs.ko.xz: kernel/fs/fscache.ko.xz
kernel/fs/fscache.ko.xz:
kernel/drivers/virtio/virtio-ring.ko:
kernel/net/9p/9pnet_virtio.ko: kernel/net/9p/9pnet.ko.xz kernel/drivers/virtio/virtio-ring.ko
";

    #[track_caller]
    fn check(wanted: &[&str], expected: &[&str]) {
        let modules = Modules::parse(DEP, "kernel/drivers/virtio/virtio_pci.ko\n");
        let order = modules.load_order(wanted).unwrap();
        let names: Vec<String> = order.into_iter().map(name).collect();
        assert_eq!(names, expected);
    }

    #[test]
    fn needed_modules_come_first_and_once() {
        check(
            &["9p", "9pnet_virtio"],
            &["9pnet", "fscache", "netfs", "9p", "virtio_ring", "9pnet_virtio"],
        );
    }

    #[test]
    fn builtin_modules_need_no_file() {
        check(&["virtio-pci"], &[]);
    }

    #[test]
    fn an_unknown_module_is_an_error() {
        assert!(Modules::parse(DEP, "").load_order(&["virtio_pci"]).is_err());
    }
}
