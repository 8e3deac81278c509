//! The distribution's kernel in QEMU, with the host's files as its root over 9p.
//!
//! Every instruction is emulated, so this is for what User-mode Linux lacks: nf_tables and a second CPU. KVM is
//! not used even where it exists: nested and restricted ones fail in their own ways, and a test should not.

use std::env;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};

use super::init::{Machine, OwnKernel};
use super::platform::{self, Platform};
use super::rundir::RunDir;
use super::{initramfs, shell, stock, utf8};
use crate::packages::{self, Tool};

const TOOL: Tool = Tool { program: "qemu-system-x86_64", package: "qemu-system-x86" };

/// Installs QEMU and fetches a kernel if need be, writes its initramfs and builds the command line.
pub(super) fn prepare(memory_mib: u32, run: &RunDir, results: &Path) -> Result<Platform> {
    if env::consts::ARCH != "x86_64" {
        bail!(
            "the QEMU guest exists only for x86_64; run on a host whose kernel has ip_vs, with --kernel host"
        );
    }
    packages::ensure(&[TOOL])?;
    let stock = stock::kernel()?;
    let initramfs = run.path().join("initramfs");
    initramfs::write(&initramfs, &stock, utf8(&run.init())?)?;
    let mut argv = platform::contained();
    argv.extend(machine(memory_mib));
    argv.extend(boot(utf8(&stock.image)?, utf8(&initramfs)?));
    argv.extend(share("/", "hostroot", "readonly=on,multidevs=remap"));
    argv.extend(share(utf8(&run.channel())?, "channel", "multidevs=remap"));
    argv.extend(share(utf8(results)?, "results", "multidevs=remap"));
    Ok(Platform {
        name: "qemu",
        argv,
        env: Vec::new(),
        machine: Machine {
            mount_channel: mount("channel", "/run/guest/channel"),
            mount_results: mount("results", "/run/guest/results"),
            own_kernel: Some(OwnKernel { modules: utf8(&stock.modules)?.into() }),
        },
        boot_limit: Duration::from_secs(120),
    })
}

/// No devices but the ones we name, two CPUs, the serial line on standard output, and an end instead of a
/// restart.
fn machine(memory_mib: u32) -> Vec<String> {
    let memory = memory_mib.to_string();
    let words = [
        TOOL.program,
        "-accel",
        "tcg,thread=multi",
        "-cpu",
        "max",
        "-smp",
        "2",
        "-m",
        &memory,
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-monitor",
        "none",
        "-serial",
        "stdio",
        "-no-reboot",
    ];
    words.map(str::to_owned).into()
}

fn boot(image: &str, initramfs: &str) -> Vec<String> {
    let words = ["-kernel", image, "-initrd", initramfs, "-append", "console=ttyS0 quiet panic=-1"];
    words.map(str::to_owned).into()
}

/// A comma in a path is doubled, or it would end the option's value.
fn share(path: &str, tag: &str, options: &str) -> Vec<String> {
    let path = path.replace(',', ",,");
    vec![
        "-virtfs".into(),
        format!("local,path={path},mount_tag={tag},security_model=none,{options}"),
    ]
}

/// Nothing is kept in the guest: what it writes is on the host at once.
fn mount(tag: &str, to: &str) -> String {
    shell::line([
        "mount",
        "-t",
        "9p",
        "-o",
        "trans=virtio,version=9p2000.L,cache=none,msize=262144",
        tag,
        to,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_is_the_measured_one() {
        assert_eq!(
            machine(1024).join(" "),
            "qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 1024 -nodefaults -no-user-config \
             -display none -monitor none -serial stdio -no-reboot"
        );
    }

    #[test]
    fn a_panic_ends_the_machine() {
        assert_eq!(
            boot("/k", "/i").join(" "),
            "-kernel /k -initrd /i -append console=ttyS0 quiet panic=-1"
        );
    }

    #[test]
    fn the_root_is_shared_read_only() {
        assert_eq!(
            share("/", "hostroot", "readonly=on,multidevs=remap").join(" "),
            "-virtfs local,path=/,mount_tag=hostroot,security_model=none,readonly=on,multidevs=remap"
        );
        assert!(share("/a,b", "results", "multidevs=remap")[1].contains("path=/a,,b,"));
    }
}
