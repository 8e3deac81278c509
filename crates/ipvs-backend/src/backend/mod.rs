//! [`IpvsBackend`]: the contract of [`proxy_core::Backend`] kept with the kernel's objects.

mod ahead;
mod change;
mod draining;
mod families;
mod flows;
mod foundation;
mod inspect;
mod known;
mod looking;
mod network;
mod quiet;
mod rolling;
mod survey;
pub(crate) mod wish;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Instant;

use ipnet::IpNet;
use proxy_core::{
    Backend, BackendError, Capabilities, Delta, DesiredState, Drift, DriftKind, Extent,
    Maintenance, Report, VirtualServerKey,
};

use crate::drain::{DrainPolicy, Drains};
use crate::kernel::{Kernel, Netlink};
use crate::ledger::{Ledger, Touched};
use crate::netlink::ipvs::ServiceId;
use crate::netlink::{Traffic, TrafficCounts};
use crate::object::Shared;
use crate::observe::{Destinations, Observed};
use crate::op::{Op, Phase, Step};
use crate::ownership::Ownership;
use crate::plan::{NodePlan, destroyed_legacy_sets, destroyed_sets, removed_legacy_rules};
use crate::rules::RuleConfig;
use crate::{Tally, sysctl};

use families::families;
use flows::Flows;
use looking::Looking;
use network::Doubts;
use quiet::Quiet;
use rolling::Rolling;
use survey::{Seen, Survey, look};
use wish::touch_owned;

pub use rolling::AuditPace;
pub use survey::Plan;

/// What the backend must be told about the node.
#[derive(Clone, Debug, Default)]
pub struct IpvsConfig {
    /// What the node is like.
    pub node: NodePlan,
    /// The static rules.
    pub rules: RuleConfig,
    /// How draining ends.
    pub drain: DrainPolicy,
    /// How fast destinations are compared in quiet times.
    pub audit: AuditPace,
    /// IPVS services with addresses in these networks are left alone.
    pub excluded: Vec<IpNet>,
}

/// Serves virtual servers with the kernel's IPVS load balancer, in the network namespace of the
/// thread that opened it.
#[derive(Debug)]
pub struct IpvsBackend<K = Netlink> {
    config: IpvsConfig,
    capabilities: Capabilities,
    ownership: Ownership,
    kernel: K,
    traffic: Arc<Traffic>,
    ledger: Ledger,
    observed: Observed,
    drains: Drains,
    rolling: Rolling,
    flows: Flows,
    doubts: Doubts,
    /// Services that are ours only by memory.
    known: BTreeSet<ServiceId>,
    /// Shared objects that could not be removed, by the virtual server that was told.
    leftovers: BTreeMap<VirtualServerKey, BTreeSet<Shared>>,
    /// The number of the packet filter's rules when ours were last found to be right, and those of
    /// others were read.
    agreed: Option<u32>,
    quiet: Quiet,
    /// Whether sets, static rules and device were put in place ahead of the first resync.
    is_laid_ahead: bool,
    looking: Option<Looking<K>>,
    /// What the next look can use.
    reader: Option<K>,
}

impl IpvsBackend {
    /// Finds out what the kernel can do, and sets the few kernel settings that IPVS needs.
    /// Nothing else is changed before the first resync.
    ///
    /// # Errors
    /// When something without which nothing works is missing, with the remedy.
    pub fn open(config: IpvsConfig) -> Result<Self, BackendError> {
        let traffic = Arc::new(Traffic::default());
        let kernel = Netlink::open(&traffic)?;
        sysctl::ensure()?;
        Ok(Self::with_kernel(config, kernel, traffic))
    }

    /// The same backend, which times what [`Tally`] has durations of. Somebody must take them.
    #[must_use]
    pub fn timed_with(mut self, clock: fn() -> Instant) -> Self {
        self.kernel.time_with(clock);
        self
    }
}

impl<K: Kernel> IpvsBackend<K> {
    /// A backend for another kernel than the one this process runs on: one that misbehaves on
    /// purpose, say. What crosses its sockets is counted in `traffic`.
    pub fn with_kernel(config: IpvsConfig, mut kernel: K, traffic: Arc<Traffic>) -> Self {
        let families = families(&mut kernel);
        Self {
            ownership: Ownership { marks: config.rules.marks, excluded: config.excluded.clone() },
            capabilities: Capabilities { families, ..Capabilities::all() },
            drains: Drains::new(config.drain),
            rolling: Rolling::new(config.audit),
            flows: Flows::default(),
            doubts: Doubts::default(),
            known: BTreeSet::new(),
            ledger: Ledger::new(config.rules.marks),
            observed: Observed::default(),
            leftovers: BTreeMap::new(),
            agreed: None,
            quiet: Quiet::default(),
            is_laid_ahead: false,
            looking: None,
            reader: None,
            config,
            kernel,
            traffic,
        }
    }

    /// What it is told of the node, and found out about it since.
    #[must_use]
    pub const fn config(&self) -> &IpvsConfig {
        &self.config
    }

    /// What crossed the netlink sockets so far.
    #[must_use]
    pub fn traffic(&self) -> TrafficCounts {
        self.traffic.counts()
    }

    /// How many destinations are at weight 0 and wait for their connections to end.
    #[must_use]
    pub fn draining(&self) -> usize {
        self.drains.len()
    }

    /// What was counted since it was last taken, and what drains now.
    pub fn take_tally(&mut self) -> Tally {
        Tally {
            draining: self.drains.len(),
            draining_since: self.drains.oldest(),
            ..self.kernel.take_tally()
        }
    }

    /// How many stale UDP flows the kernel was made to forget so far.
    #[must_use]
    pub const fn forgotten_flows(&self) -> u64 {
        self.flows.forgotten()
    }

    /// Compares what was seen with what is wanted, and begins to compare destinations. `desired` is
    /// what is wanted, if somebody says so anew.
    fn compare(
        &mut self,
        seen: Seen,
        desired: Option<&DesiredState>,
    ) -> Result<Report, BackendError> {
        let Seen { mut observed, saved } = seen;
        if saved.is_none() {
            observed.legacy_rules.clone_from(&self.observed.legacy_rules);
        }
        if self.quiet.may_be_brief() && observed.agrees_with(&self.observed) {
            let drift = saved.map_or_else(|| Ok(Vec::new()), |saved| self.ensure_rules(saved))?;
            let wanted = |id: &&ServiceId| self.ledger.wanted_service(id).is_some();
            self.rolling.begin(self.observed.services.keys().filter(wanted).copied());
            return Ok(Report { changes: drift.len(), drift, ..Report::default() });
        }
        let mut touched = Touched::default();
        for (id, service) in &mut observed.services {
            match self.observed.services.get(id) {
                Some(known) => service.destinations.clone_from(&known.destinations),
                None if self.ledger.wanted_service(id).is_some() => {
                    service.destinations = self.destinations(id)?;
                }
                None => {}
            }
        }
        self.touch_known(&mut touched, &observed);
        self.observed = observed;
        match desired {
            Some(desired) => desired.iter().for_each(|it| self.ledger.set(it, &mut touched)),
            None => self.ledger.touch_all(&mut touched),
        }
        touch_owned(&mut touched, &self.observed, &self.ownership);
        touched.everything = true;
        let (mut report, mut found) = self.lay_foundations(saved)?;
        report.merge(self.mend(&touched, &mut |steps| found.extend(drift(steps)))?);
        self.note_failures(&report);
        self.rolling.begin(touched.services.into_keys());
        Ok(Report { drift: found, ..report })
    }

    /// Everything that is wanted was worked out, and what could not be put in place is in `report`.
    fn note_failures(&mut self, report: &Report) {
        let all_is_well = report.failed.is_empty();
        if all_is_well {
            self.forget_known();
        }
        self.quiet.worked_out(all_is_well);
    }

    fn destinations(&mut self, id: &ServiceId) -> Result<Destinations, BackendError> {
        let statuses = self.kernel.destinations(id).map_err(|source| BackendError::Io {
            attempt: format!("read servers of {id}"),
            source,
        })?;
        Ok(statuses.into_iter().map(|status| status.destination).collect())
    }

    /// Compares the destinations of services.
    fn compare_destinations(&mut self, services: Vec<ServiceId>) -> Result<Report, BackendError> {
        let mut report = Report::default();
        for id in services {
            let found = self.destinations(&id)?;
            let Some(known) = self.observed.services.get_mut(&id) else { continue };
            if known.destinations == found {
                continue;
            }
            let attempt = "read whether a service is there";
            if found.is_empty() && !self.kernel.has_service(&id).map_err(attempting(attempt))? {
                self.observed.services.remove(&id);
            } else {
                known.destinations = found;
            }
            let owner = self.ledger.owner(&id).map(|server| server.key);
            let touched = Touched { services: BTreeMap::from([(id, owner)]), ..Touched::default() };
            let mut found = Vec::new();
            let done = self.mend(&touched, &mut |steps| found.extend(drift(steps)))?;
            report.merge(Report { drift: found, ..done });
        }
        Ok(report)
    }
}

/// An error that says what was attempted.
fn attempting(attempt: &str) -> impl FnOnce(io::Error) -> BackendError {
    let attempt = attempt.to_owned();
    move |source| BackendError::Io { attempt, source }
}

/// What had to be done, as what was found.
fn drift(steps: &[Step]) -> impl Iterator<Item = Drift> {
    steps.iter().map(|step| drift_of(&step.op))
}

fn drift_of(op: &Op) -> Drift {
    let text = op.to_string();
    let (sign, object) = text.split_at(2);
    let kind = match sign {
        "+ " => DriftKind::Missing,
        "~ " => DriftKind::Changed,
        _ => DriftKind::Unexpected,
    };
    Drift { object: object.to_owned(), kind }
}

impl<K: Kernel> Backend for IpvsBackend<K> {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn prepare(&mut self) -> Result<Option<Report>, BackendError> {
        self.lay_ahead()
    }

    fn resync(&mut self, desired: &DesiredState) -> Result<Report, BackendError> {
        self.give_up_look();
        let survey = self.survey(desired);
        self.is_laid_ahead = false;
        let Survey { observed, saved, ledger, touched } = survey?;
        (self.observed, self.ledger) = (observed, ledger);
        self.leftovers.clear();
        self.drains.clear();
        self.rolling.clear();
        self.flows.suspect_all();
        let mut report = self.bind_held_addresses(&touched)?;
        report.merge(self.lay_foundations(saved)?.0);
        report.merge(self.mend(&touched, &mut |_| {})?);
        self.observed.repack();
        report.merge(self.carry_out(&removed_legacy_rules(&self.observed))?);
        report.merge(self.carry_out(&destroyed_legacy_sets(&self.observed))?);
        self.note_failures(&report);
        Ok(report)
    }

    fn apply(&mut self, delta: &Delta) -> Result<Report, BackendError> {
        let mut touched = Touched::default();
        for server in &delta.upserts {
            self.ledger.set(server, &mut touched);
        }
        for key in &delta.removals {
            self.ledger.remove(key, &mut touched);
        }
        let upserts = delta.upserts.iter().map(|server| server.key);
        for key in upserts.chain(delta.removals.iter().copied()) {
            for object in self.leftovers.remove(&key).unwrap_or_default() {
                touched.shared.entry(object).or_insert(Some(key));
            }
        }
        if self.is_laid_ahead {
            return self.change_ahead(&touched);
        }
        self.mend(&touched, &mut |_| {})
    }

    /// Compares all that a few dumps show at once: services, sets, routes and static rules. Rules
    /// that cannot have changed are not looked at; destinations follow in turns, in
    /// [`Backend::maintain`], and so does all the rest if it is to be read aside; unless everything
    /// is asked for.
    fn audit(&mut self, desired: &DesiredState, extent: Extent) -> Result<Report, BackendError> {
        if extent == Extent::Part {
            if self.config.audit.aside && self.begin_look() {
                return Ok(Report::default());
            }
            let seen = look(&mut self.kernel, &self.capabilities.families, self.agreed)?;
            return self.compare(seen, Some(desired));
        }
        self.give_up_look();
        self.rolling.clear();
        self.quiet.disturb();
        let seen = look(&mut self.kernel, &self.capabilities.families, None)?;
        let mut report = self.compare(seen, Some(desired))?;
        let services = self.rolling.rest();
        report.merge(self.compare_destinations(services)?);
        Ok(report)
    }

    fn maintain(&mut self, now: Instant) -> Result<Maintenance, BackendError> {
        let mut report = self.settle_doubts()?;
        report.merge(self.end_look()?);
        report.merge(self.end_drains(now)?);
        let services = self.rolling.turn(now);
        report.merge(self.compare_destinations(services)?);
        self.forget_stale_flows(&mut report);
        let look = self.looking.as_ref().map(|looking| looking.next(now));
        let next = [self.drains.next(now), self.rolling.next(now), look];
        let next = next.into_iter().flatten().min();
        Ok(Maintenance { report, next })
    }

    fn cleanup(&mut self) -> Result<Report, BackendError> {
        self.give_up_look();
        let Survey { observed, saved, ledger, mut touched } = self.survey(&DesiredState::new())?;
        touched.everything = false;
        (self.observed, self.ledger) = (observed, ledger);
        self.drains.clear();
        self.rolling.clear();
        self.leftovers.clear();
        let mut report = self.change(&touched, &mut |_| {})?;
        report.merge(self.carry_out(&removed_legacy_rules(&self.observed))?);
        report.merge(self.remove_rules(saved.unwrap_or_default()));
        report.merge(self.carry_out(&destroyed_legacy_sets(&self.observed))?);
        let mut leftovers = draining_services(&self.observed, &self.config);
        leftovers.extend(self.observed.device.as_ref().map(|_| Step {
            phase: Phase::Unbind,
            op: Op::RemoveDevice,
            server: None,
        }));
        leftovers.extend(destroyed_sets(&self.observed));
        report.merge(self.carry_out(&leftovers)?);
        self.forget_stale_flows(&mut report);
        Ok(report)
    }
}

/// The ops that remove services of ours which are there only until their connections end.
fn draining_services(observed: &Observed, config: &IpvsConfig) -> Vec<Step> {
    let is_ours = |id: &&ServiceId| matches!(id, ServiceId::Fwmark { mark, .. } if config.rules.marks.contains(*mark));
    let delete = |&id: &ServiceId| Step {
        phase: Phase::RemoveServices,
        op: Op::DeleteService(id),
        server: None,
    };
    observed.services.keys().filter(is_ours).map(delete).collect()
}
