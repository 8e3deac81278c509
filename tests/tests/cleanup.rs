//! Cleaning up takes away everything of ours and nothing else.

use ipvs_backend::IpvsBackend;
use proxy_core::Backend as _;
use tests::lab::{
    Application, Endpoint, InProcess, KernelState, Namespace, assert_strangers_untouched,
    packet_filter, plant_strangers, run,
};

/// Everything in a namespace: all IPVS, all sets, our routes, all rules and chains but the kernel's.
fn everything() -> (KernelState, String, Vec<String>) {
    let rules = packet_filter();
    let made = |line: &&str| line.starts_with("-A") || line.ends_with(" -");
    let rules = rules.lines().filter(made).map(str::to_owned).collect();
    (KernelState::here(), run("ipset", &["list", "-n"]), rules)
}

fn serve() -> InProcess {
    let mut served = InProcess::open();
    served.read(&Application::web().objects(&[Endpoint::new(1, 10), Endpoint::new(2, 10)]));
    let work = served.resync();
    assert!(work.report.failed.is_empty(), "{:?}", work.report.failed);
    served
}

/// Cleans up twice.
fn clean(backend: &mut IpvsBackend) {
    let first = backend.cleanup().unwrap();
    assert!(first.failed.is_empty(), "{:?}", first.failed);
    assert!(first.changes > 0);
    let second = backend.cleanup().unwrap();
    assert!(second.failed.is_empty(), "{:?}", second.failed);
    assert_eq!(second.changes, 0);
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn cleanup_leaves_what_was_there_before_and_can_be_repeated() {
    Namespace::new("node").enter(|| {
        plant_strangers();
        let before = everything();
        let mut served = serve();
        assert_ne!(everything(), before);
        clean(served.backend_mut());
        assert_eq!(everything(), before);
        assert_strangers_untouched();
    });
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_new_backend_cleans_up_what_an_earlier_one_left() {
    Namespace::new("node").enter(|| {
        let before = everything();
        drop(serve());
        clean(InProcess::open().backend_mut());
        assert_eq!(everything(), before);
    });
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn what_was_cleaned_up_can_be_served_again() {
    Namespace::new("node").enter(|| {
        let mut served = serve();
        let before = (KernelState::here(), packet_filter());
        clean(served.backend_mut());
        let _served = serve();
        assert_eq!((KernelState::here(), packet_filter()), before);
    });
}
