//! Whether the kernel that kernel tests run on is what they expect; when these fail, look no further.

use std::fs;
use std::process::Command;

#[track_caller]
fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(
        output.status.success(),
        "{program} {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[ignore = "needs root and ip_vs"]
fn guest_kernel_has_ipvs() {
    run("modprobe", &["ip_vs"]);
    assert!(fs::read_to_string("/proc/net/ip_vs").unwrap().starts_with("IP Virtual Server"));
    run("ipvsadm", &["-A", "-t", "192.0.2.1:80", "-s", "rr"]);
    assert!(run("ipvsadm", &["-Ln"]).contains("TCP  192.0.2.1:80 rr"));
    run("ipvsadm", &["-C"]);
}

#[test]
#[ignore = "needs root and nf_tables"]
fn guest_kernel_has_nftables() {
    assert!(run("iptables-nft", &["-t", "nat", "-S"]).contains("-P PREROUTING ACCEPT"));
}
