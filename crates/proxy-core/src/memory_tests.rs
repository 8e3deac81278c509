use super::*;
use crate::Extent;
use crate::FrontendKind::ClusterIp;
use crate::test_support::{desired, server};

fn one(servers: &str) -> VirtualServer {
    server("web", ClusterIp, "10.96.0.1:80", servers)
}

fn two(servers: &str) -> VirtualServer {
    server("api", ClusterIp, "10.96.0.2:80", servers)
}

/// A backend that serves `one` and `two`.
fn backend() -> MemoryBackend {
    let mut backend = MemoryBackend::default();
    let report = backend.resync(&desired([one("A"), two("B")])).unwrap();
    assert_eq!(report.changes, 2);
    backend
}

#[test]
fn a_resync_changes_what_differs() {
    let mut backend = backend();
    let wanted = desired([one("A"), two("C")]);
    assert_eq!(backend.resync(&wanted).unwrap().changes, 1);
    assert_eq!(backend.resync(&wanted).unwrap().changes, 0);
    assert_eq!(backend.servers()[&two("").key].external, two("C").external);
}

#[test]
fn a_fault_does_nothing_half_or_all_and_says_it_does_not_know() {
    for (fault, done) in [(Fault::Before, 0), (Fault::Halfway, 1), (Fault::After, 2)] {
        let mut backend = MemoryBackend::default();
        backend.fail(fault);
        assert!(backend.resync(&desired([one("A"), two("B")])).is_err());
        assert_eq!(backend.servers().len(), done, "{fault:?}");
        assert!(backend.resync(&DesiredState::new()).is_ok(), "a fault hits one call");
    }
}

#[test]
fn a_refused_server_fails_until_it_is_accepted() {
    let mut backend = backend();
    backend.refuse(one("").key);
    let delta = Delta { upserts: vec![one("C").into(), two("C").into()], removals: Vec::new() };
    let report = backend.apply(&delta).unwrap();
    assert_eq!((report.failed.len(), report.changes), (1, 1));
    assert_eq!(report.failed[0].server, Some(one("").key));
    backend.accept_all();
    let report = backend.apply(&delta).unwrap();
    assert_eq!((report.failed.len(), report.changes), (0, 1));
}

#[test]
fn a_refused_server_is_no_drift() {
    let mut backend = backend();
    backend.refuse(one("").key);
    let report = backend.audit(&desired([one("C"), two("B")]), Extent::Part).unwrap();
    assert_eq!((report.failed.len(), report.drift), (1, Vec::new()));
}

#[test]
fn what_others_did_is_drift_until_the_process_ends() {
    let wanted = desired([one("A"), two("B")]);
    let tamper = |backend: &mut MemoryBackend| {
        backend.tamper(|servers| {
            servers.remove(&one("").key);
            servers.insert(two("").key, two("Z").into());
        });
    };
    let mut backend = backend();
    tamper(&mut backend);
    let drift: Vec<_> = backend
        .audit(&wanted, Extent::Part)
        .unwrap()
        .drift
        .iter()
        .map(|drift| drift.kind)
        .collect();
    assert_eq!(drift, [DriftKind::Missing, DriftKind::Changed]);
    tamper(&mut backend);
    backend.restart();
    let report = backend.resync(&wanted).unwrap();
    assert_eq!((report.changes, report.drift), (2, Vec::new()));
}
