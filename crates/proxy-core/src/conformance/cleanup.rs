//! Promise 7: everything that is the backend's own goes, whoever made it.

use super::fixture::server;
use super::session::Session;
use super::{Lab, Verdict};
use crate::VirtualServer;

pub(super) fn removes_everything(lab: &mut dyn Lab) -> Verdict {
    let (mut session, _) = serving_three(lab);
    let changes = session.cleanup();
    assert!(changes > 0, "virtual servers were removed, yet no change is reported");
    Verdict::Passed
}

pub(super) fn twice(lab: &mut dyn Lab) -> Verdict {
    let (mut session, _) = serving_three(lab);
    session.cleanup();
    let changes = session.cleanup();
    assert_eq!(changes, 0, "nothing was left, yet a second cleanup changed something");
    Verdict::Passed
}

pub(super) fn on_a_fresh_value(lab: &mut dyn Lab) -> Verdict {
    let changes = Session::open(lab).cleanup();
    assert_eq!(changes, 0, "nothing was there, yet a cleanup changed something");
    drop(serving_three(lab));
    let changes = Session::open(lab).cleanup();
    assert!(changes > 0, "what a process before left was removed, yet no change is reported");
    Verdict::Passed
}

pub(super) fn can_be_followed_by_work(lab: &mut dyn Lab) -> Verdict {
    let (mut session, three) = serving_three(lab);
    session.cleanup();
    session.resync(&three);
    session.change_to(&three[1..]);
    Verdict::Passed
}

fn serving_three(lab: &mut dyn Lab) -> (Session<'_>, [VirtualServer; 3]) {
    let mut session = Session::open(lab);
    let capabilities = session.capabilities();
    let three = [1, 2, 3].map(|number| server(&capabilities, number));
    session.resync(&three);
    (session, three)
}
