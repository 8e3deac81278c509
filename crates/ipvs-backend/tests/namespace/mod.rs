//! A network namespace for a thread, and the tools that look into it.

use std::net::{Ipv6Addr, UdpSocket};
use std::process::Command;

use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Takes the thread to a fresh network namespace, in which `lo` is up.
pub(crate) fn leave() {
    // A socket makes the kernel load IPv6 before the namespace is made.
    let _ = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0));
    // SAFETY: a new network namespace changes nothing about memory or file descriptors.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.expect("unshare needs CAP_SYS_ADMIN");
    tool("ip link set lo up");
}

/// What a command prints; the command must succeed.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "a second opinion from another program")]
pub(crate) fn tool(command: &str) -> String {
    let mut words = command.split_whitespace();
    let program = words.next().expect("a program");
    let output = Command::new(program).args(words).output().expect("the program runs");
    assert!(
        output.status.success(),
        "{command}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    String::from_utf8(output.stdout).expect("text")
}
