//! What the daemon cannot do without: it says in one line what is missing and what to do, and goes.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tests::lab::{Daemon, Manifests, Namespace};

/// Starts under `wrapper`, expects it to fail, and returns the one line it says about that.
#[track_caller]
fn failure(wrapper: &[&str]) -> String {
    let manifests = Manifests::of_nodes();
    let namespace = Namespace::new("node");
    let mut daemon = Daemon::spawn_under(wrapper, &namespace, "node-1", manifests.path(), &[]);
    let status = daemon.wait();
    let log = daemon.log();
    assert_eq!(status.code(), Some(1), "{log}");
    let errors: Vec<_> = log.lines().filter(|line| line.starts_with("proxyd: ")).collect();
    assert_eq!(errors.len(), 1, "{log}");
    errors[0].to_owned()
}

#[track_caller]
fn assert_has(error: &str, words: &[&str]) {
    for word in words {
        assert!(error.contains(word), "{word:?} is not in {error:?}");
    }
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_missing_capability_is_named_with_its_remedy() {
    let error = failure(&["setpriv", "--bounding-set", "-net_admin"]);
    assert_has(&error, &["CAP_NET_ADMIN", "is missing", "run as root", "add NET_ADMIN"]);
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_missing_iptables_is_named_with_its_package() {
    let error = failure(&["env", "PATH=/nonexistent"]);
    assert_has(&error, &["iptables is missing", "install the package iptables"]);
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_missing_kernel_module_is_named_with_its_remedy() {
    // Nobody takes a module from a kernel that others use.
    let kernel = std::env::var("GUEST_KERNEL").unwrap_or_default();
    if kernel != "uml" && kernel != "qemu" {
        eprintln!("not tried: this is the host's own kernel");
        return;
    }
    let _absent = AbsentModule::new();
    let error = failure(&[]);
    assert_has(&error, &["kernel module ip_vs is missing", "modprobe ip_vs"]);
}

/// While it lives there is no `ip_vs`, and the kernel cannot load it.
struct AbsentModule {
    loader: String,
}

const LOADER: &str = "/proc/sys/kernel/modprobe";

impl AbsentModule {
    fn new() -> Self {
        let loader = fs::read_to_string(LOADER).unwrap();
        fs::write(LOADER, "/bin/false").unwrap();
        let absent = Self { loader };
        // Namespaces of tests that ran before may still be on their way out.
        let deadline = Instant::now() + Duration::from_secs(30);
        while Path::new("/sys/module/ip_vs").exists() {
            assert!(Instant::now() < deadline, "ip_vs cannot be unloaded");
            let schedulers = fs::read_dir("/sys/module/ip_vs/holders").into_iter().flatten();
            let schedulers = schedulers.flatten().map(|entry| entry.file_name());
            let modules = schedulers.chain(["ip_vs".into()]);
            let _ = Command::new("modprobe").arg("-r").args(modules).output();
            std::thread::sleep(Duration::from_millis(100));
        }
        absent
    }
}

impl Drop for AbsentModule {
    fn drop(&mut self) {
        let _ = fs::write(LOADER, self.loader.trim());
    }
}
