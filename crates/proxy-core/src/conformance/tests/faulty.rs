//! A backend with one fault. What it is asked for is distorted on the way in, or its answer on the
//! way out.

use std::io;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Instant;

use crate::memory::MemoryBackend;
use crate::{
    Admission, Backend, BackendError, Capabilities, Delta, DesiredState, Drift, DriftKind, Extent,
    Failure, Family, FrontendKind, Inspect, Maintenance, ObjectError, Protocol, RealServer, Report,
    Resolution, Scheduler, SchedulerFlags, VirtualServer, VirtualServerKey,
};

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident: $($check:literal)*;)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Fault { $($(#[$doc])* $name,)* }

        impl Fault {
            /// Each fault, and names of checks that must catch it.
            pub(super) const ALL: &'static [(Self, &'static [&'static str])] =
                &[$((Self::$name, &[$($check),*])),*];
        }
    };
}

faults! {
    /// Changes nothing and reports success.
    DoesNothing:
        "resync_makes_exactly_what_is_wanted" "apply_adds" "apply_removes"
        "cleanup_removes_everything" "many_virtual_servers_are_served";
    /// `apply` skips removals.
    ForgetsRemovals:
        "apply_removes" "one_delta_adds_changes_and_removes" "what_was_removed_can_be_added_again"
        "many_virtual_servers_are_served";
    /// `apply` skips what is new.
    ForgetsNewServers: "apply_adds" "one_delta_adds_changes_and_removes";
    /// `apply` skips what exists already.
    ForgetsChanges:
        "apply_changes_addresses_of_real_servers" "a_server_scales_to_zero_and_back"
        "each_scheduler_is_set";
    /// A removed server is remembered as handled, so that it is never made again.
    NeverAddsAgain: "what_was_removed_can_be_added_again";
    /// An empty pool keeps its last real server.
    KeepsTheLastRealServer: "a_server_scales_to_zero_and_back";
    /// Takes real servers for equal when their addresses are.
    IgnoresPorts: "apply_changes_ports_of_real_servers";
    /// Every real server weighs 1.
    IgnoresWeights: "weights_are_set";
    /// Every virtual server is scheduled round robin.
    IgnoresSchedulers: "each_scheduler_is_set";
    /// No scheduler has flags.
    IgnoresSchedulerFlags: "scheduler_flags_are_set";
    /// No client keeps its real server.
    IgnoresAffinity: "session_affinity_comes_changes_and_goes";
    /// Everyone is let in.
    IgnoresSourceRanges: "source_ranges_come_and_go";
    /// An empty list of ranges lets everyone in.
    FailsOpen: "source_ranges_come_and_go";
    /// Outside clients are served by the internal pool.
    MergesAudiences: "audiences_are_kept_apart";
    /// Serves IPv4 only, and says it can do both.
    ServesOneFamily: "each_family_is_served";
    /// A virtual server's identity is its address and port.
    MergesProtocols: "protocols_share_address_and_port";
    /// Serves no node ports, and does not say so.
    ServesNoNodePorts: "each_kind_of_frontend_is_served";
    /// Holds 100 real servers.
    HoldsAHundredRealServers: "many_real_servers_are_served";
    /// Holds 100 virtual servers.
    HoldsAHundredVirtualServers: "many_virtual_servers_are_served";
    /// A resync removes everything and makes it anew.
    RecreatesOnResync:
        "resync_adopts_what_a_process_before_left" "resync_twice_changes_nothing"
        "audit_finds_nothing_wrong_where_nothing_is";
    /// A resync leaves what is not wanted.
    KeepsWhatIsNotWanted: "resync_removes_what_is_not_wanted" "resync_mends_what_differs";
    /// A resync leaves what exists as it is.
    AdoptsWithoutLooking: "resync_mends_what_differs";
    /// Reports a change for each server it was asked for, changed or not.
    ReportsTooManyChanges:
        "resync_twice_changes_nothing" "applying_twice_changes_nothing"
        "resync_adopts_what_a_process_before_left";
    /// Makes something of its own even if nothing is wanted.
    NeedsAServerOfItsOwn: "resync_to_nothing_is_fine" "cleanup_works_on_a_fresh_value";
    /// Reports drift whenever it audits.
    CriesWolf: "audit_finds_nothing_wrong_where_nothing_is";
    /// Removing what is not there fails.
    FailsOnSecondRemoval: "removing_what_is_not_there_is_success" "applying_twice_changes_nothing";
    /// Removing what is not there ends the connection.
    LosesItsConnection: "removing_what_is_not_there_is_success";
    /// A change of one virtual server takes another away.
    TouchesAnother: "what_is_not_named_is_left_alone" "one_delta_adds_changes_and_removes";
    /// A cleanup leaves one virtual server.
    CleanupLeavesOne: "cleanup_removes_everything" "cleanup_works_on_a_fresh_value";
    /// A cleanup removes what this value made itself.
    CleanupForgetsOthers: "cleanup_works_on_a_fresh_value";
    /// A second cleanup fails.
    CleansUpOnce: "cleanup_twice_is_fine";
    /// After a cleanup nothing works any more.
    BreaksWithCleanup: "work_goes_on_after_a_cleanup";
    /// Maintenance ends every virtual server.
    MaintainsTooMuch: "maintenance_takes_nothing_that_is_wanted";
    /// Maintenance is due again at once.
    MaintainsForEver: "maintenance_takes_nothing_that_is_wanted";
}

pub(super) struct Faulty<'a> {
    plane: &'a mut MemoryBackend,
    fault: Fault,
    /// What the fault needs to remember.
    seen: Vec<VirtualServerKey>,
    cleanups: usize,
    made_something: bool,
}

impl<'a> Faulty<'a> {
    pub(super) const fn new(plane: &'a mut MemoryBackend, fault: Fault) -> Self {
        Self { plane, fault, seen: Vec::new(), cleanups: 0, made_something: false }
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    /// A virtual server as the fault makes it; none if it makes none.
    fn distort(&self, server: &VirtualServer) -> Option<Arc<VirtualServer>> {
        let mut server = server.clone();
        let there = self.plane.servers().get(&server.key);
        match self.fault {
            Fault::IgnoresWeights => edit(&mut server, |real| real.weight = NonZeroU16::MIN),
            Fault::IgnoresPorts => {
                if let Some(there) = there.filter(|there| same_addresses(there, &server)) {
                    (server.external, server.internal) =
                        (there.external.clone(), there.internal.clone());
                }
            }
            Fault::KeepsTheLastRealServer if server.external.servers.is_empty() => {
                let pool = there.map_or(&server.external, |there| &there.external).clone();
                (server.external, server.internal) = (pool.clone(), pool);
            }
            Fault::IgnoresSchedulers => server.scheduler = Scheduler::RoundRobin,
            Fault::IgnoresSchedulerFlags => server.scheduler_flags = SchedulerFlags::default(),
            Fault::IgnoresAffinity => server.session_affinity = None,
            Fault::IgnoresSourceRanges => server.admission = Admission::Anyone,
            Fault::FailsOpen if server.admission == Admission::Only(Arc::new([])) => {
                server.admission = Admission::Anyone;
            }
            Fault::MergesAudiences => server.external = server.internal.clone(),
            Fault::HoldsAHundredRealServers => {
                let few = server.external.servers.iter().take(100).copied().collect();
                server.external.servers = few;
                server.internal = server.external.clone();
            }
            Fault::ServesOneFamily if server.key.family() == Family::Ipv6 => return None,
            Fault::MergesProtocols if server.key.protocol != Protocol::Tcp => return None,
            Fault::ServesNoNodePorts if server.kind == FrontendKind::NodePort => return None,
            Fault::NeverAddsAgain if self.seen.contains(&server.key) => return None,
            Fault::AdoptsWithoutLooking => return there.cloned().or_else(|| Some(server.into())),
            _ => {}
        }
        Some(server.into())
    }

    /// The state that a resync reaches.
    fn distorted(&self, desired: &DesiredState) -> DesiredState {
        let mut wanted: Vec<_> = desired.iter().filter_map(|server| self.distort(server)).collect();
        let there = self.plane.servers().values();
        match self.fault {
            Fault::KeepsWhatIsNotWanted => {
                let stale = |server: &&Arc<VirtualServer>| desired.get(&server.key).is_none();
                wanted.extend(there.filter(stale).cloned());
            }
            Fault::HoldsAHundredVirtualServers => wanted.truncate(100),
            _ => {}
        }
        let mut state = DesiredState::new();
        for server in wanted {
            let service = server.origin.service.clone();
            let _ = state
                .replace(&service, Resolution { servers: vec![server], ..Resolution::default() });
        }
        state
    }

    fn lost(&self) -> Result<Report, BackendError> {
        let source = io::Error::other(format!("{:?}", self.fault));
        Err(BackendError::Io { attempt: "work".to_owned(), source })
    }

    fn room(&self) -> usize {
        100_usize.saturating_sub(self.plane.servers().len())
    }
}

fn edit(server: &mut VirtualServer, change: impl Fn(&mut RealServer)) {
    for pool in [&mut server.external, &mut server.internal] {
        let mut servers = pool.servers.to_vec();
        servers.iter_mut().for_each(&change);
        pool.servers = servers.into();
    }
}

fn same_addresses(one: &VirtualServer, two: &VirtualServer) -> bool {
    let addresses = |server: &VirtualServer| {
        let mut list: Vec<_> = server.external.servers.iter().map(|real| real.address).collect();
        list.dedup();
        list
    };
    addresses(one) == addresses(two)
}

impl Backend for Faulty<'_> {
    fn capabilities(&self) -> &Capabilities {
        self.plane.capabilities()
    }

    fn resync(&mut self, desired: &DesiredState) -> Result<Report, BackendError> {
        match self.fault {
            Fault::DoesNothing => return Ok(Report::default()),
            Fault::BreaksWithCleanup if self.cleanups > 0 => return self.lost(),
            Fault::RecreatesOnResync => self.plane.tamper(|servers| servers.clear()),
            _ => {}
        }
        self.made_something = true;
        let state = self.distorted(desired);
        let mut report = self.plane.resync(&state)?;
        if self.has(Fault::ReportsTooManyChanges) {
            report.changes = desired.len();
        }
        report.changes += usize::from(self.has(Fault::NeedsAServerOfItsOwn));
        report.drift.clear();
        Ok(report)
    }

    fn apply(&mut self, delta: &Delta) -> Result<Report, BackendError> {
        let mut asked = delta.clone();
        asked.upserts = delta.upserts.iter().filter_map(|server| self.distort(server)).collect();
        let there = self.plane.servers().clone();
        let is_there = |key: &VirtualServerKey| there.contains_key(key);
        let mut failed = Vec::new();
        match self.fault {
            Fault::DoesNothing => return Ok(Report::default()),
            Fault::ForgetsRemovals => asked.removals.clear(),
            Fault::ForgetsNewServers => asked.upserts.retain(|server| is_there(&server.key)),
            Fault::ForgetsChanges => asked.upserts.retain(|server| !is_there(&server.key)),
            Fault::NeverAddsAgain => self.seen.extend(&asked.removals),
            Fault::HoldsAHundredVirtualServers => asked.upserts.truncate(self.room()),
            Fault::FailsOnSecondRemoval => {
                failed.extend(asked.removals.iter().filter(|key| !is_there(key)).map(|key| {
                    let error = ObjectError::Rejected(io::Error::from(io::ErrorKind::NotFound));
                    Failure { server: Some(*key), object: key.to_string(), error }
                }));
            }
            Fault::LosesItsConnection if !asked.removals.iter().all(is_there) => {
                return self.lost();
            }
            Fault::TouchesAnother => {
                let named = |key: &VirtualServerKey| {
                    delta.upserts.iter().any(|one| one.key == *key) || delta.removals.contains(key)
                };
                asked.removals.extend(there.keys().find(|key| !named(key)));
            }
            _ => {}
        }
        let mut report = self.plane.apply(&asked)?;
        report.failed.extend(failed);
        if self.has(Fault::ReportsTooManyChanges) {
            report.changes = delta.len();
        }
        Ok(report)
    }

    fn audit(&mut self, desired: &DesiredState, _: Extent) -> Result<Report, BackendError> {
        let mut report = self.resync(desired)?;
        if self.has(Fault::CriesWolf) {
            let object = "wolf".to_owned();
            report.drift.push(Drift { object, kind: DriftKind::Unexpected });
        }
        Ok(report)
    }

    fn maintain(&mut self, now: Instant) -> Result<Maintenance, BackendError> {
        match self.fault {
            Fault::MaintainsTooMuch => self.plane.tamper(|servers| servers.clear()),
            Fault::MaintainsForEver => {
                return Ok(Maintenance { next: Some(now), ..Maintenance::default() });
            }
            _ => {}
        }
        Ok(Maintenance::default())
    }

    fn cleanup(&mut self) -> Result<Report, BackendError> {
        self.cleanups += 1;
        let kept = match self.fault {
            Fault::DoesNothing => return Ok(Report::default()),
            Fault::CleansUpOnce if self.cleanups > 1 => return self.lost(),
            Fault::CleanupForgetsOthers if !self.made_something => usize::MAX,
            Fault::CleanupLeavesOne => 1,
            _ => 0,
        };
        let kept: Vec<_> = self.plane.servers().values().take(kept).cloned().collect();
        let mut report = self.plane.cleanup()?;
        self.plane.tamper(|servers| servers.extend(kept.into_iter().map(|one| (one.key, one))));
        report.changes += usize::from(self.has(Fault::NeedsAServerOfItsOwn));
        Ok(report)
    }
}

impl Inspect for Faulty<'_> {
    fn inspect(&mut self) -> Result<Vec<VirtualServer>, BackendError> {
        self.plane.inspect()
    }
}
