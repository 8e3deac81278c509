//! Promises 2, 3 and 7: a delta is carried out, again if need be, and nothing else is touched.

use super::fixture::{port, server, with_real_servers};
use super::session::Session;
use super::{Lab, Verdict};
use crate::{Capabilities, Delta, RealServer, VirtualServer};

pub(super) fn adds(lab: &mut dyn Lab) -> Verdict {
    let mut session = Session::serving(lab, &[]);
    let one = server(&session.capabilities(), 1);
    let changes = session.change_to(&[one]);
    assert!(changes > 0, "a virtual server was added, yet no change is reported");
    Verdict::Passed
}

pub(super) fn changes_addresses(lab: &mut dyn Lab) -> Verdict {
    let (mut session, one) = serving_one(lab);
    session.change_to(&[with_real_servers(one.clone(), [2, 3])]);
    session.change_to(&[with_real_servers(one.clone(), [1, 2, 3, 4])]);
    session.change_to(&[with_real_servers(one, [4])]);
    Verdict::Passed
}

/// Two real servers at one address, then one of them with another port.
pub(super) fn changes_ports(lab: &mut dyn Lab) -> Verdict {
    let (mut session, mut one) = serving_one(lab);
    let first = one.external.servers[0];
    for ports in [[8080, 8081], [8081, 8082]] {
        let servers = ports.map(|number| RealServer { port: port(number), ..first });
        one.external.servers = servers.into();
        one.internal = one.external.clone();
        session.change_to(std::slice::from_ref(&one));
    }
    Verdict::Passed
}

pub(super) fn removes(lab: &mut dyn Lab) -> Verdict {
    let (mut session, _) = serving_one(lab);
    let changes = session.change_to(&[]);
    assert!(changes > 0, "a virtual server was removed, yet no change is reported");
    Verdict::Passed
}

pub(super) fn does_all_at_once(lab: &mut dyn Lab) -> Verdict {
    let mut session = Session::serving(lab, &[]);
    let capabilities = session.capabilities();
    let [kept, changed, gone, new] = [1, 2, 3, 4].map(|number| server(&capabilities, number));
    session.change_to(&[kept.clone(), changed.clone(), gone]);
    session.change_to(&[kept, with_real_servers(changed, [3]), new]);
    Verdict::Passed
}

pub(super) fn twice(lab: &mut dyn Lab) -> Verdict {
    let mut session = Session::serving(lab, &[]);
    let capabilities = session.capabilities();
    let [one, two, gone] = [1, 2, 3].map(|number| server(&capabilities, number));
    session.resync(&[one.clone(), gone.clone()]);
    session.change_to(&[one.clone(), two.clone()]);
    let again = Delta { upserts: vec![one.into(), two.into()], removals: vec![gone.key] };
    let changes = session.apply(&again);
    assert_eq!(changes, 0, "the second of two equal deltas changed something");
    Verdict::Passed
}

pub(super) fn removes_the_absent(lab: &mut dyn Lab) -> Verdict {
    let (mut session, one) = serving_one(lab);
    let never_there = server(&session.capabilities(), 9).key;
    let removal = |key| Delta { upserts: Vec::new(), removals: vec![key] };
    let changes = session.apply(&removal(never_there));
    assert_eq!(changes, 0, "what was never there was removed, and a change is reported");
    session.change_to(&[]);
    let changes = session.apply(&removal(one.key));
    assert_eq!(changes, 0, "what was removed before was removed again, and a change is reported");
    Verdict::Passed
}

pub(super) fn adds_again(lab: &mut dyn Lab) -> Verdict {
    let (mut session, one) = serving_one(lab);
    for _ in 0..3 {
        session.change_to(&[]);
        session.change_to(std::slice::from_ref(&one));
    }
    Verdict::Passed
}

pub(super) fn scales_to_zero(lab: &mut dyn Lab) -> Verdict {
    let (mut session, one) = serving_one(lab);
    for _ in 0..2 {
        session.change_to(&[with_real_servers(one.clone(), [])]);
        session.change_to(&[with_real_servers(one.clone(), [1])]);
    }
    session.change_to(&[with_real_servers(one.clone(), [])]);
    session.resync(&[with_real_servers(one, [])]);
    Verdict::Passed
}

/// One of three virtual servers changes, goes and comes back, each time in a delta of its own.
pub(super) fn leaves_others_alone(lab: &mut dyn Lab) -> Verdict {
    let mut session = Session::serving(lab, &[]);
    let capabilities = session.capabilities();
    let [one, two, three] = [1, 2, 3].map(|number| server(&capabilities, number));
    session.resync(&[one.clone(), two.clone(), three.clone()]);
    session.change_to(&[one.clone(), with_real_servers(two.clone(), [3]), three.clone()]);
    session.change_to(&[one.clone(), three.clone()]);
    session.change_to(&[one, two, three]);
    Verdict::Passed
}

/// Two hundred real servers at once, one less, and all but one gone.
pub(super) fn many_real_servers(lab: &mut dyn Lab) -> Verdict {
    let (mut session, one) = serving_one(lab);
    session.change_to(&[with_real_servers(one.clone(), 1..=200)]);
    session.change_to(&[with_real_servers(one.clone(), (1..=200).filter(|it| *it != 100))]);
    session.change_to(&[with_real_servers(one, [200])]);
    Verdict::Passed
}

pub(super) fn many_virtual_servers(lab: &mut dyn Lab) -> Verdict {
    let mut session = Session::serving(lab, &[]);
    let capabilities: Capabilities = session.capabilities();
    let many: Vec<VirtualServer> = (1..=200).map(|number| server(&capabilities, number)).collect();
    session.change_to(&many);
    session.change_to(&many[100..]);
    Verdict::Passed
}

/// Real servers and virtual servers left a while ago. What is due for them concerns no other.
pub(super) fn survives_maintenance(lab: &mut dyn Lab) -> Verdict {
    let mut session = Session::serving(lab, &[]);
    let capabilities = session.capabilities();
    let [one, two] = [1, 2].map(|number| server(&capabilities, number));
    session.resync(&[one.clone(), two]);
    session.change_to(&[with_real_servers(one, [2, 3])]);
    session.maintain_to_the_end();
    Verdict::Passed
}

fn serving_one(lab: &mut dyn Lab) -> (Session<'_>, VirtualServer) {
    let mut session = Session::open(lab);
    let one = server(&session.capabilities(), 1);
    session.resync(std::slice::from_ref(&one));
    (session, one)
}
