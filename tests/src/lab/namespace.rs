//! Named network namespaces, gone when dropped.

use std::fs::File;
use std::io::Write as _;
use std::net::{Ipv6Addr, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A network namespace with its own devices, addresses, routes, packet filter, sets and IPVS.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes a namespace whose name begins with `label`, with loopback up.
    ///
    /// # Panics
    /// When that is not possible: not root, or no iproute2.
    #[must_use]
    pub fn new(label: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        // A socket makes the kernel load IPv6 before the namespace is made.
        let _ = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0));
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{label}-{}-{number}", std::process::id());
        run("ip", &["netns", "add", &name]);
        let namespace = Self { name };
        // Nobody has the same address twice, and looking for that takes a second on every link.
        for devices in ["all", "default"] {
            namespace.sysctl(&format!("net.ipv6.conf.{devices}.accept_dad"), "0");
        }
        namespace.ip("link set lo up");
        namespace
    }

    /// Its name, for `ip netns exec NAME`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Carries out `ip` commands in it, one a line.
    ///
    /// # Panics
    /// When one of them fails.
    pub fn ip(&self, lines: &str) {
        feed("ip", &["-n", &self.name, "-batch", "-"], lines);
    }

    /// Runs a program in it. Returns what it printed.
    ///
    /// # Panics
    /// When it cannot be run, or fails.
    #[must_use]
    pub fn exec(&self, program: &str, arguments: &[&str]) -> String {
        let all = ["netns", "exec", &self.name, program];
        run("ip", &[&all[..], arguments].concat())
    }

    /// Sets a kernel setting in it, by its name with dots.
    ///
    /// # Panics
    /// When the setting does not exist or cannot be written.
    pub fn sysctl(&self, name: &str, value: &str) {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        let value = value.to_owned();
        self.enter(move || std::fs::write(&path, value).unwrap_or_else(|e| panic!("{path}: {e}")));
    }

    /// Runs `job` on a thread of its own in the namespace and waits for it. Sockets that it opens
    /// stay in the namespace.
    ///
    /// # Panics
    /// When the namespace cannot be entered, or `job` panics.
    pub fn enter<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        self.spawn(job).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Runs `job` on a thread of its own in the namespace.
    ///
    /// # Panics
    /// The thread panics when the namespace cannot be entered.
    pub fn spawn<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> thread::JoinHandle<T> {
        let file = File::open(format!("/run/netns/{}", self.name)).expect("the namespace exists");
        thread::spawn(move || {
            use std::os::fd::AsFd as _;
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("root may enter a namespace");
            job()
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

/// Runs a program. Returns what it printed.
///
/// # Panics
/// When it cannot be run, or fails.
pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("run {program}: {error}"));
    assert!(
        output.status.success(),
        "{program} {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs a program that reads `input`.
///
/// # Panics
/// When it cannot be run, or fails.
pub fn feed(program: &str, arguments: &[&str], input: &str) {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("run {program}: {error}"));
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    stdin.write_all(input.as_bytes()).expect("the program reads its input");
    drop(stdin);
    let status = child.wait().expect("the program ends");
    assert!(status.success(), "{program} {} failed on:\n{input}", arguments.join(" "));
}
