//! Promise 1: a resync trusts nothing remembered, keeps what is right and drops what is not wanted.

use super::fixture::{server, with_real_servers};
use super::session::Session;
use super::{Lab, Verdict};
use crate::{Extent, VirtualServer};

pub(super) fn to_nothing(lab: &mut dyn Lab) -> Verdict {
    let mut session = Session::open(lab);
    // What everything else stands on may be laid now.
    session.resync(&[]);
    let changes = session.resync(&[]);
    assert_eq!(changes, 0, "nothing is wanted, yet the second resync changed something");
    Verdict::Passed
}

pub(super) fn makes_what_is_wanted(lab: &mut dyn Lab) -> Verdict {
    let mut session = Session::open(lab);
    let wanted = three(&session);
    let changes = session.resync(&wanted);
    assert!(changes > 0, "virtual servers were made, yet no change is reported");
    Verdict::Passed
}

pub(super) fn twice(lab: &mut dyn Lab) -> Verdict {
    let mut session = Session::open(lab);
    let wanted = three(&session);
    session.resync(&wanted);
    let changes = session.resync(&wanted);
    assert_eq!(changes, 0, "the second of two equal resyncs changed something");
    Verdict::Passed
}

pub(super) fn audit(lab: &mut dyn Lab) -> Verdict {
    let mut session = Session::open(lab);
    let wanted = three(&session);
    session.resync(&wanted);
    session.change_to(&wanted[..2]);
    for extent in [Extent::Part, Extent::Whole] {
        let changes = session.audit(extent);
        assert_eq!(changes, 0, "everything was in place, yet an audit changed something");
    }
    Verdict::Passed
}

pub(super) fn adopts(lab: &mut dyn Lab) -> Verdict {
    let mut session = Session::open(lab);
    let wanted = three(&session);
    session.resync(&wanted);
    drop(session);
    let changes = Session::open(lab).resync(&wanted);
    assert_eq!(
        changes, 0,
        "a process that starts finds everything as it wants it, yet changed something: what is \
         made anew loses its connections"
    );
    Verdict::Passed
}

/// A process starts that wants one virtual server less, one more, and one with another real server.
pub(super) fn mends(lab: &mut dyn Lab) -> Verdict {
    let mut session = Session::open(lab);
    let capabilities = session.capabilities();
    let [kept, changed, gone] = three(&session);
    session.resync(&[kept.clone(), changed.clone(), gone]);
    drop(session);
    let new = server(&capabilities, 4);
    let wanted = [kept, with_real_servers(changed, [2, 3]), new];
    let mut session = Session::open(lab);
    session.resync(&wanted);
    let changes = session.resync(&wanted);
    assert_eq!(changes, 0, "what was mended is not as the backend wants it");
    Verdict::Passed
}

pub(super) fn removes(lab: &mut dyn Lab) -> Verdict {
    let mut session = Session::open(lab);
    let wanted = three(&session);
    session.resync(&wanted);
    drop(session);
    let changes = Session::open(lab).resync(&[]);
    assert!(changes > 0, "virtual servers were removed, yet no change is reported");
    Verdict::Passed
}

fn three(session: &Session<'_>) -> [VirtualServer; 3] {
    let capabilities = session.capabilities();
    [1, 2, 3].map(|number| server(&capabilities, number))
}
