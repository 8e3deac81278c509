use super::*;
use crate::Extent;
use crate::FrontendKind::ClusterIp;
use crate::memory::{Calls, MemoryBackend};
use crate::test_support::{desired, server};

#[test]
fn everything_is_written_down_and_nothing_reaches_the_backend() {
    let web = server("web", ClusterIp, "10.96.0.1:80", "A");
    let mut dry = DryRun::new(MemoryBackend::default());
    let delta = Delta { upserts: Vec::new(), removals: vec![web.key] };
    let reports = [
        dry.resync(&desired([web.clone()])),
        dry.apply(&delta),
        dry.audit(&DesiredState::new(), Extent::Part),
        dry.cleanup(),
    ];
    for report in reports {
        let report = report.unwrap();
        assert_eq!((report.failed.len(), report.changes), (0, 0));
    }
    let expected = [
        Request::Resync(vec![web.key]),
        Request::Apply(delta),
        Request::Resync(Vec::new()),
        Request::Cleanup,
    ];
    assert_eq!(dry.requests(), expected);
    assert_eq!(dry.into_inner().calls(), Calls::default());
}

#[test]
fn it_can_what_the_backend_can() {
    let capabilities = Capabilities { session_affinity: false, ..Capabilities::all() };
    let dry = DryRun::new(MemoryBackend::new(capabilities.clone()));
    assert_eq!(*dry.capabilities(), capabilities);
}
