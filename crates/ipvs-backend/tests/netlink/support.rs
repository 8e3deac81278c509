//! A namespace for each test, and the tools that say what the kernel holds.

use std::process::Command;
use std::sync::Arc;

use ipvs_backend::netlink::Traffic;
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Runs `test` in a fresh network namespace, in which `lo` is up.
pub(crate) fn in_namespace(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(|| {
        // SAFETY: a new network namespace changes nothing about memory or file descriptors.
        unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.expect("unshare needs CAP_SYS_ADMIN");
        tool("ip link set lo up");
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
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

/// The lines of what a command prints, without space at their ends, sorted.
#[track_caller]
pub(crate) fn lines(command: &str) -> Vec<String> {
    let mut lines: Vec<String> = tool(command)
        .lines()
        .map(|line| line.trim_end().to_owned())
        .filter(|line| !line.is_empty())
        .collect();
    lines.sort();
    lines
}

/// Fresh counters.
pub(crate) fn traffic() -> Arc<Traffic> {
    Arc::new(Traffic::default())
}
