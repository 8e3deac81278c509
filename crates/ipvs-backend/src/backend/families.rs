//! Which address families can be served.

use std::io;

use proxy_core::Family;

use crate::kernel::Kernel;
use crate::netlink::Errno;

/// The families in which the kernel and the packet filter work.
pub(super) fn families(kernel: &mut impl Kernel) -> Vec<Family> {
    let mut works = |family: &Family| match family {
        Family::Ipv4 => true,
        Family::Ipv6 => {
            has_ipv6() && kernel.saved_rules(Family::Ipv6).map_or_else(passes, |_| true)
        }
    };
    Family::ALL.into_iter().filter(|family| works(family)).collect()
}

/// Whether an error says nothing about what there is: it need not come again.
fn passes(error: io::Error) -> bool {
    let is_short_of_memory = error.raw_os_error() == Some(Errno::NOBUFS.raw());
    is_short_of_memory
        || matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::OutOfMemory)
}

/// A socket makes the kernel load the module, if there is one.
fn has_ipv6() -> bool {
    let disabled = std::fs::read_to_string("/proc/sys/net/ipv6/conf/all/disable_ipv6");
    std::net::UdpSocket::bind((std::net::Ipv6Addr::UNSPECIFIED, 0)).is_ok()
        && disabled.is_ok_and(|value| value.trim() == "0")
}
