//! Promise 2 for each thing that the capabilities name: asked for, it is there.

use std::num::NonZeroU32;
use std::sync::Arc;

use ipnet::IpNet;

use super::fixture::{in_family, of_kind, pool, port, server};
use super::session::Session;
use super::view::has_weights;
use super::{Lab, Verdict};
use crate::{
    Admission, Family, FrontendKind, RealServer, Scheduler, SchedulerFlags, SessionAffinity,
    SourceAddress, VirtualServer,
};

/// Takes a sequence number of a virtual server from the position in a list.
fn numbered<T>(list: impl IntoIterator<Item = T>) -> impl Iterator<Item = (u16, T)> {
    (1..).zip(list)
}

/// Each virtual server of `list` by itself, then all together, then none.
fn each_and_all(session: &mut Session<'_>, list: &[VirtualServer]) {
    for one in list {
        session.change_to(std::slice::from_ref(one));
    }
    session.change_to(list);
    session.change_to(&[]);
    session.resync(list);
}

pub(super) fn families(lab: &mut dyn Lab) -> Verdict {
    let mut session = Session::serving(lab, &[]);
    let capabilities = session.capabilities();
    let families = numbered(capabilities.families.iter().copied());
    let list: Vec<_> = families
        .map(|(number, family)| in_family(server(&capabilities, number), family, number))
        .collect();
    each_and_all(&mut session, &list);
    Verdict::Passed
}

/// One address and port, once for each protocol: TCP and UDP on port 53, say.
pub(super) fn protocols(lab: &mut dyn Lab) -> Verdict {
    let mut session = Session::serving(lab, &[]);
    let capabilities = session.capabilities();
    let protocols = numbered(capabilities.protocols.iter().copied());
    let list: Vec<_> = protocols
        .map(|(number, protocol)| {
            let mut one = server(&capabilities, 1);
            one.key.protocol = protocol;
            one.origin.service.name = format!("service-{number}").into();
            one
        })
        .collect();
    each_and_all(&mut session, &list);
    Verdict::Passed
}

pub(super) fn frontends(lab: &mut dyn Lab) -> Verdict {
    let mut session = Session::serving(lab, &[]);
    let capabilities = session.capabilities();
    let mut list = Vec::new();
    for (number, kind) in numbered(capabilities.frontends.iter().copied()) {
        list.push(of_kind(server(&capabilities, number), kind, number));
    }
    each_and_all(&mut session, &list);
    Verdict::Passed
}

/// One virtual server under each scheduler in turn, without being removed between.
pub(super) fn schedulers(lab: &mut dyn Lab) -> Verdict {
    let mut session = Session::serving(lab, &[]);
    let capabilities = session.capabilities();
    let mut one = server(&capabilities, 1);
    for scheduler in capabilities.schedulers.iter().copied() {
        one.scheduler = scheduler;
        one.scheduler_flags = SchedulerFlags::default_for(scheduler);
        session.offer(std::slice::from_ref(&one));
    }
    Verdict::Passed
}

pub(super) fn scheduler_flags(lab: &mut dyn Lab) -> Verdict {
    let mut session = Session::serving(lab, &[]);
    let capabilities = session.capabilities();
    let mut verdict = Verdict::Skipped;
    for scheduler in [Scheduler::SourceHash, Scheduler::MaglevHash] {
        if !capabilities.schedulers.contains(&scheduler) {
            continue;
        }
        verdict = Verdict::Passed;
        for (fallback, port) in [(false, false), (true, false), (false, true), (true, true)] {
            let mut one = server(&capabilities, 1);
            one.scheduler = scheduler;
            one.scheduler_flags = SchedulerFlags { fallback, port };
            session.change_to(&[one]);
        }
    }
    verdict
}

pub(super) fn weights(lab: &mut dyn Lab) -> Verdict {
    let mut session = Session::serving(lab, &[]);
    let capabilities = session.capabilities();
    let weighted = capabilities.schedulers.iter().find(|scheduler| has_weights(**scheduler));
    let Some(scheduler) = weighted else {
        return Verdict::Skipped;
    };
    let mut one = server(&capabilities, 1);
    one.scheduler = *scheduler;
    one.scheduler_flags = SchedulerFlags::default_for(*scheduler);
    for weights in [[1, 1], [3, 1], [3, 65_535]] {
        let servers = one.external.servers.iter().zip(weights);
        let servers = servers.map(|(real, weight)| RealServer { weight: port(weight), ..*real });
        one.external.servers = servers.collect();
        one.internal = one.external.clone();
        session.change_to(std::slice::from_ref(&one));
    }
    Verdict::Passed
}

pub(super) fn session_affinity(lab: &mut dyn Lab) -> Verdict {
    let mut session = Session::serving(lab, &[]);
    let capabilities = session.capabilities();
    if !capabilities.session_affinity {
        return Verdict::Skipped;
    }
    let mut one = server(&capabilities, 1);
    for seconds in [None, Some(10_800), Some(1), Some(86_400), None] {
        one.session_affinity = seconds
            .and_then(NonZeroU32::new)
            .map(|timeout_seconds| SessionAffinity { timeout_seconds });
        session.change_to(std::slice::from_ref(&one));
    }
    Verdict::Passed
}

/// Of the ranges of two clients, one, both, other ones, none at all (nobody may come), and no limit.
pub(super) fn source_ranges(lab: &mut dyn Lab) -> Verdict {
    let mut session = Session::serving(lab, &[]);
    let capabilities = session.capabilities();
    let is_load_balancer = capabilities.frontends.contains(&FrontendKind::LoadBalancer);
    if !capabilities.source_ranges || !is_load_balancer {
        return Verdict::Skipped;
    }
    let ranges = |family| match family {
        Family::Ipv4 => ["192.0.2.0/24", "203.0.113.7/32"],
        Family::Ipv6 => ["2001:db8:1::/48", "2001:db8:2::7/128"],
    };
    for family in capabilities.families.iter().copied() {
        let one = in_family(server(&capabilities, 1), family, 1);
        let mut one = of_kind(one, FrontendKind::LoadBalancer, 1);
        let ranges: Vec<IpNet> =
            ranges(family).iter().map(|text| text.parse().expect("it is a range")).collect();
        for few in [&ranges[..1], &ranges[..], &ranges[1..], &[]] {
            one.admission = Admission::Only(Arc::from(few));
            session.change_to(std::slice::from_ref(&one));
        }
        one.admission = Admission::Anyone;
        session.change_to(std::slice::from_ref(&one));
    }
    Verdict::Passed
}

/// Outside clients get part of the real servers, none, other ones, and all again.
pub(super) fn split_audiences(lab: &mut dyn Lab) -> Verdict {
    let mut session = Session::serving(lab, &[]);
    let capabilities = session.capabilities();
    let external = capabilities.frontends.iter().find(|kind| **kind != FrontendKind::ClusterIp);
    let Some(kind) = external.filter(|_| capabilities.split_audiences) else {
        return Verdict::Skipped;
    };
    let mut one = of_kind(server(&capabilities, 1), *kind, 1);
    let other = server(&capabilities, 2);
    let family = one.key.family();
    session.resync(&[one.clone(), other.clone()]);
    for numbers in [vec![1], vec![], vec![2, 3]] {
        one.external = pool(family, numbers);
        one.source_address = SourceAddress::Keep;
        session.change_to(&[one.clone(), other.clone()]);
    }
    one.internal = pool(family, [1, 3]);
    session.change_to(&[one.clone(), other.clone()]);
    session.resync(&[one.clone(), other.clone()]);
    one.external = one.internal.clone();
    one.source_address = SourceAddress::Masquerade;
    session.change_to(&[one, other]);
    Verdict::Passed
}
