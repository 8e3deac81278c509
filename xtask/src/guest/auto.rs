//! Whether the running kernel will do.

use std::path::Path;
use std::process::{Command, Stdio};

use super::{Kernel, platform};
use crate::packages;

/// The running kernel when we may use its IPVS, else the guest that boots fastest.
pub(super) fn kernel() -> Kernel {
    let usable = packages::is_root()
        && platform::may_unshare(&["--net", "--mount", "--pid"])
        && running_kernel_has_ipvs();
    if usable { Kernel::Host } else { Kernel::Uml }
}

fn running_kernel_has_ipvs() -> bool {
    let table = Path::new("/proc/net/ip_vs");
    table.exists() || (modprobe_ipvs() && table.exists())
}

fn modprobe_ipvs() -> bool {
    let modprobe = Command::new("modprobe")
        .args(["-q", "ip_vs"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status();
    modprobe.is_ok_and(|status| status.success())
}
