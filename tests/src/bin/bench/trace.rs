//! What `strace` wrote, counted.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

/// How often the kernel was called, of all threads and of the processes that they started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Calls {
    pub(crate) all: u64,
    /// Of these, readings of the clock. Most machines' kernels need not be called for it.
    pub(crate) clock: u64,
    /// Netlink messages that were sent, of which many go with one call.
    pub(crate) messages: u64,
}

impl Calls {
    /// Of a trace, as far as it is written.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn read(trace: &Path) -> anyhow::Result<Self> {
        let text = fs::read(trace).context("read the trace")?;
        Ok(Self::count(&String::from_utf8_lossy(&text)))
    }

    fn count(trace: &str) -> Self {
        let mut calls = Self::default();
        for call in trace.lines().filter_map(call) {
            calls.all += 1;
            calls.clock += u64::from(call.starts_with("clock_gettime("));
            if ["sendto(", "sendmsg("].iter().any(|name| call.starts_with(name)) {
                calls.messages += call.matches("nlmsg_len=").count() as u64;
            }
        }
        calls
    }

    /// What was added since `earlier`.
    pub(crate) const fn since(self, earlier: Self) -> Self {
        Self {
            all: self.all - earlier.all,
            clock: self.clock - earlier.clock,
            messages: self.messages - earlier.messages,
        }
    }
}

/// The call that a line begins, behind the number of the process. Signals, ends of processes and the
/// second halves of calls are none.
fn call(line: &str) -> Option<&str> {
    let call = line.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
    call.starts_with(|c: char| c.is_ascii_lowercase() || c == '_').then_some(call)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_once_and_messages_each() {
        let trace = "\
850   execve(\"/bin/p\"..., [\"/bin/p\"...], [\"A\"...]) = 0
860   clock_gettime(CLOCK_MONOTONIC,  <unfinished ...>
856   epoll_wait(4,  <unfinished ...>
860   <... clock_gettime resumed>{tv_sec=14, tv_nsec=50784512}) = 0
860   sendto(14, [[{nlmsg_len=140, nlmsg_type=IPVS}, \"\"...], [{nlmsg_len=108}, \"\"...]], 248, 0, NULL, 0) = 248
860   recvfrom(14, [{nlmsg_len=36, nlmsg_type=NLMSG_ERROR}, {error=0}], 65536, MSG_TRUNC, NULL, NULL) = 36
850   --- SIGCHLD {si_signo=SIGCHLD} ---
850   +++ exited with 0 +++
";
        assert_eq!(Calls::count(trace), Calls { all: 5, clock: 1, messages: 2 });
    }
}
