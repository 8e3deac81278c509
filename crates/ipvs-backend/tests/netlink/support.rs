//! A namespace for each test, and the tools that say what the kernel holds.

use std::sync::Arc;

use ipvs_backend::netlink::Traffic;

use crate::namespace;
pub(crate) use crate::namespace::tool;

/// Runs `test` in a fresh network namespace, in which `lo` is up.
pub(crate) fn in_namespace(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(|| {
        namespace::leave();
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
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
