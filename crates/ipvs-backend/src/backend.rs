//! [`IpvsBackend`]: the contract of [`proxy_core::Backend`] kept with the kernel's objects.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Instant;

use proxy_core::{
    Backend, BackendError, Capabilities, Delta, DesiredState, Drift, DriftKind, Failure, Family,
    Maintenance, ObjectError, Report, VirtualServerKey,
};

use crate::drain::{Cause, DrainPolicy, Drains};
use crate::iptables::Iptables;
use crate::kernel::{Kernel, Netlink};
use crate::ledger::{Ledger, Touched};
use crate::marks::{MarkRange, Marks};
use crate::netlink::ipvs::{Destination, DestinationId, ServiceId};
use crate::netlink::{Traffic, TrafficCounts};
use crate::object::{Shared, key_of_entry};
use crate::observe::{NodeIps, Observed, ObservedService};
use crate::op::{Op, Phase, Step};
use crate::plan::{destroyed_sets, plan, set_steps};
use crate::rules::{RuleConfig, removal_input, restore_input, static_rules};
use crate::set::{Purpose, SetId};
use crate::{exec, ownership, sysctl};

/// What the backend must be told about the node.
#[derive(Clone, Debug, Default)]
pub struct IpvsConfig {
    /// The source address of the node's own connections to virtual servers.
    pub node_ips: NodeIps,
    /// The static rules.
    pub rules: RuleConfig,
    /// How draining ends.
    pub drain: DrainPolicy,
}

/// Serves virtual servers with the kernel's IPVS load balancer, in the network namespace of the
/// thread that opened it.
#[derive(Debug)]
pub struct IpvsBackend {
    config: IpvsConfig,
    capabilities: Capabilities,
    kernel: Netlink,
    iptables: Iptables,
    traffic: Arc<Traffic>,
    ledger: Ledger,
    observed: Observed,
    drains: Drains,
    /// Shared objects that could not be removed, by the virtual server that was told.
    leftovers: BTreeMap<VirtualServerKey, BTreeSet<Shared>>,
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
        let iptables = Iptables::detect()?;
        sysctl::ensure()?;
        let capabilities = Capabilities { families: families(&iptables), ..Capabilities::all() };
        Ok(Self {
            drains: Drains::new(config.drain),
            ledger: Ledger::new(config.rules.marks),
            observed: Observed::default(),
            config,
            capabilities,
            kernel,
            iptables,
            traffic,
            leftovers: BTreeMap::new(),
        })
    }

    /// What crossed the netlink sockets so far.
    #[must_use]
    pub fn traffic(&self) -> TrafficCounts {
        self.traffic.counts()
    }

    /// The ops that [`Backend::resync`] would carry out now. Changes nothing.
    ///
    /// # Errors
    /// When the kernel cannot be read.
    pub fn plan(&mut self, desired: &DesiredState) -> Result<Vec<Step>, BackendError> {
        let observed = self.observe()?;
        let (ledger, touched) = wish(desired, &observed, self.config.rules.marks);
        let mut steps = set_steps(&ledger, &observed);
        steps.extend(plan(&touched, &ledger, &observed, self.config.node_ips));
        Ok(steps)
    }

    fn observe(&mut self) -> Result<Observed, BackendError> {
        self.kernel.observe().map_err(|source| BackendError::Io {
            attempt: "read the kernel's virtual servers, sets and routes".to_owned(),
            source,
        })
    }

    /// Makes the static rules what they should be. Returns what was not.
    fn ensure_rules(&mut self) -> io::Result<Vec<Drift>> {
        let mut drift = Vec::new();
        for &family in &self.capabilities.families {
            let rules = static_rules(family, &self.config.rules);
            let differences = loop {
                let saved = self.iptables.save(family)?;
                let Some((input, differences)) = restore_input(&rules, &saved) else {
                    break Vec::new();
                };
                match self.iptables.restore(family, &input) {
                    Ok(()) => break differences,
                    Err(error) if !self.iptables.try_next() => return Err(error),
                    Err(_) => {}
                }
            };
            self.iptables.prove();
            drift.extend(differences.into_iter().map(|difference| Drift {
                object: difference.object,
                kind: if difference.is_missing { DriftKind::Missing } else { DriftKind::Changed },
            }));
        }
        Ok(drift)
    }

    /// Removes our chains and the jumps into them, in every family that the packet filter has.
    fn remove_rules(&self, report: &mut Report) {
        for &family in &self.capabilities.families {
            let removed = self.iptables.save(family).and_then(|saved| {
                let rules = static_rules(family, &self.config.rules);
                let Some(input) = removal_input(&rules, &saved) else { return Ok(0) };
                self.iptables.restore(family, &input).map(|()| 1)
            });
            match removed {
                Ok(changes) => report.changes += changes,
                Err(error) => report.failed.push(Failure {
                    server: None,
                    object: format!("- static rules, {family}"),
                    error: ObjectError::Rejected(error),
                }),
            }
        }
    }

    /// Reads back everything and mends it. Returns what was done besides the report.
    fn reconcile(&mut self, desired: &DesiredState) -> Result<(Report, Vec<Drift>), BackendError> {
        self.observed = self.observe()?;
        let (ledger, touched) = wish(desired, &self.observed, self.config.rules.marks);
        self.ledger = ledger;
        self.leftovers.clear();
        let sets = set_steps(&self.ledger, &self.observed);
        let mut report = self.carry_out(&sets)?;
        all_sets_fit(&report)?;
        let mut drift: Vec<_> = sets.iter().map(|step| drift_of(&step.op)).collect();
        let rules = self.ensure_rules().map_err(|source| BackendError::Io {
            attempt: "load the static rules".to_owned(),
            source,
        })?;
        report.changes += rules.len();
        drift.extend(rules);
        let steps = plan(&touched, &self.ledger, &self.observed, self.config.node_ips);
        drift.extend(steps.iter().map(|step| drift_of(&step.op)));
        report.merge(self.carry_out(&steps)?);
        report.failed.extend(no_mark_left(&touched));
        self.drains.clear();
        self.watch_drains(touched.services.keys());
        Ok((report, drift))
    }

    fn carry_out(&mut self, steps: &[Step]) -> Result<Report, BackendError> {
        let done = exec::run(&mut self.kernel, steps, &mut self.observed).map_err(|source| {
            BackendError::Io { attempt: "program the kernel".to_owned(), source }
        })?;
        for Step { op, server, .. } in done.refused {
            if let (Some(object), Some(server)) = (removed(&op), server) {
                self.leftovers.entry(server).or_default().insert(object);
            }
        }
        Ok(Report { failed: done.failed, drift: Vec::new(), changes: done.changes })
    }

    /// The ops that remove services of ours which are there only until their connections end.
    fn draining_services(&self) -> Vec<Step> {
        let marks = self.config.rules.marks;
        let ours = self.observed.services.keys();
        ours.filter(|id| matches!(id, ServiceId::Fwmark { mark, .. } if marks.contains(*mark)))
            .map(|&id| Step {
                phase: Phase::RemoveServices,
                op: Op::DeleteService(id),
                server: None,
            })
            .collect()
    }

    /// The ops that remove destinations whose time is over, and the service too if it is not
    /// wanted and has no others.
    fn end_drains(&self, id: ServiceId, ended: &[DestinationId]) -> Vec<Step> {
        let server = self.ledger.owner(&id).map(|server| server.key);
        let there = self.observed.services.get(&id).map_or(0, |it| it.destinations.len());
        if self.ledger.wanted_service(&id).is_none() && there == ended.len() {
            let op = Op::DeleteService(id);
            return vec![Step { phase: Phase::RemoveServices, op, server }];
        }
        let delete = |&destination: &DestinationId| Step {
            phase: Phase::Drain,
            op: Op::DeleteDestination(id, destination),
            server,
        };
        ended.iter().map(delete).collect()
    }

    /// Notes which destinations of `services` are at weight 0 and not wanted, and which marks are
    /// free again.
    fn watch_drains<'a>(&mut self, services: impl IntoIterator<Item = &'a ServiceId>) {
        for id in services {
            let observed = self.observed.services.get(id);
            let draining = observed.map_or_else(Vec::new, |it| draining(id, it, &self.ledger));
            self.drains.set(*id, draining);
            if let ServiceId::Fwmark { mark, .. } = *id {
                match observed {
                    Some(_) => self.ledger.marks_mut().take(mark),
                    None => self.ledger.free_mark(mark),
                }
            }
        }
    }
}

/// The destinations of a service that wait for their connections to end, and why they go.
fn draining(
    id: &ServiceId,
    observed: &ObservedService,
    ledger: &Ledger,
) -> Vec<(DestinationId, Cause)> {
    let wanted = ledger.wanted_service(id).map_or_else(Vec::new, |wanted| wanted.destinations);
    let is_wanted = |id: &DestinationId| wanted.binary_search_by_key(id, Destination::id).is_ok();
    let owner = ledger.owner(id);
    let limit = owner.and_then(|server| server.drain_limit);
    let exists = |id: &DestinationId| {
        let is_it = |address, port: NonZeroU16| (address, port.get()) == (id.address, id.port);
        owner.is_none_or(|server| {
            server.real_servers().any(|real| is_it(real.address, real.port))
                || server.unchosen.iter().any(|&(address, port)| is_it(address, port))
        })
    };
    let unwanted = observed.destinations.iter().filter(|there| there.weight == 0);
    unwanted
        .map(Destination::id)
        .filter(|id| !is_wanted(id))
        .map(|id| (id, if exists(&id) { Cause::Leaving { limit } } else { Cause::Gone }))
        .collect()
}

/// A set that is not as it must be makes the rules that refer to it wrong, or impossible.
fn all_sets_fit(report: &Report) -> Result<(), BackendError> {
    let Some(failure) = report.failed.first() else { return Ok(()) };
    Err(BackendError::Missing {
        what: format!("an ipset of ours ({failure})"),
        remedy: "remove whatever has its name: `iptables-save | grep NAME` shows the rules that \
                 refer to it, `ipset destroy NAME` removes it once there are none"
            .to_owned(),
    })
}

fn no_mark_left(touched: &Touched) -> impl Iterator<Item = Failure> {
    touched.unmarked.iter().map(|key| Failure {
        server: Some(*key),
        object: format!("firewall mark for the inside clients of {key}"),
        error: ObjectError::Exhausted,
    })
}

/// The families in which the kernel and the packet filter work.
fn families(iptables: &Iptables) -> Vec<Family> {
    let works = |family: &Family| match family {
        Family::Ipv4 => true,
        Family::Ipv6 => has_ipv6() && iptables.save(Family::Ipv6).is_ok(),
    };
    Family::ALL.into_iter().filter(works).collect()
}

/// A socket makes the kernel load the module, if there is one.
fn has_ipv6() -> bool {
    let disabled = std::fs::read_to_string("/proc/sys/net/ipv6/conf/all/disable_ipv6");
    std::net::UdpSocket::bind((std::net::Ipv6Addr::UNSPECIFIED, 0)).is_ok()
        && disabled.is_ok_and(|value| value.trim() == "0")
}

/// What `desired` wants, and everything to compare: all of it, and all of ours that is there.
fn wish(desired: &DesiredState, observed: &Observed, marks: MarkRange) -> (Ledger, Touched) {
    let (mut ledger, mut touched) = (Ledger::new(marks), Touched::default());
    adopt_marks(ledger.marks_mut(), observed);
    for server in desired.iter() {
        ledger.set(server, &mut touched);
    }
    for id in observed.services.keys().filter(|id| ownership::owns(id, observed, marks)) {
        touched.services.entry(*id).or_insert(None);
    }
    for (&set, observed) in &observed.sets {
        for &entry in observed.members.keys() {
            let object = ownership::shared_of_member(set, entry);
            touched.shared.entry(object).or_insert(None);
        }
    }
    for &address in observed.routes.keys() {
        touched.shared.entry(Shared::Vip(address)).or_insert(None);
    }
    (ledger, touched)
}

/// A virtual server keeps the mark that its packets get now.
fn adopt_marks(marks: &mut Marks, observed: &Observed) {
    for family in Family::ALL {
        let set = SetId { purpose: Purpose::InternalMark, family };
        let members = observed.sets.get(&set).into_iter().flat_map(|set| &set.members);
        for (entry, mark) in members {
            if let (Some(key), Some(mark)) = (key_of_entry(entry), mark) {
                marks.adopt(key, *mark);
            }
        }
    }
    for id in observed.services.keys() {
        if let ServiceId::Fwmark { mark, .. } = *id {
            marks.take(mark);
        }
    }
}

/// The shared object that an op removes.
const fn removed(op: &Op) -> Option<Shared> {
    match *op {
        Op::DeleteMember(set, entry) => Some(ownership::shared_of_member(set, entry)),
        Op::DeleteRoute(route) => Some(Shared::Vip(route.address)),
        _ => None,
    }
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

impl Backend for IpvsBackend {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn resync(&mut self, desired: &DesiredState) -> Result<Report, BackendError> {
        self.reconcile(desired).map(|(report, _)| report)
    }

    fn apply(&mut self, delta: &Delta) -> Result<Report, BackendError> {
        let mut touched = Touched::default();
        for server in &delta.upserts {
            self.ledger.set(server, &mut touched);
        }
        for key in &delta.removals {
            self.ledger.remove(key, &mut touched);
        }
        let keys = delta.upserts.iter().map(|server| server.key).chain(delta.removals.clone());
        for key in keys {
            for object in self.leftovers.remove(&key).unwrap_or_default() {
                touched.shared.entry(object).or_insert(Some(key));
            }
        }
        let steps = plan(&touched, &self.ledger, &self.observed, self.config.node_ips);
        let mut report = self.carry_out(&steps)?;
        report.failed.extend(no_mark_left(&touched));
        self.watch_drains(touched.services.keys());
        Ok(report)
    }

    fn audit(&mut self, desired: &DesiredState) -> Result<Report, BackendError> {
        let (report, drift) = self.reconcile(desired)?;
        Ok(Report { drift, ..report })
    }

    fn maintain(&mut self, now: Instant) -> Result<Maintenance, BackendError> {
        let mut report = Report::default();
        for id in self.drains.due(now) {
            let statuses = self.kernel.destinations(&id).map_err(|source| BackendError::Io {
                attempt: format!("count the connections of {id}"),
                source,
            })?;
            let ended = self.drains.look(&id, &statuses, now);
            let steps = self.end_drains(id, &ended);
            report.merge(self.carry_out(&steps)?);
            self.watch_drains([&id]);
        }
        Ok(Maintenance { report, next: self.drains.next(now) })
    }

    fn cleanup(&mut self) -> Result<Report, BackendError> {
        self.observed = self.observe()?;
        let (ledger, touched) = wish(&DesiredState::new(), &self.observed, self.config.rules.marks);
        self.ledger = ledger;
        self.drains.clear();
        self.leftovers.clear();
        let steps = plan(&touched, &self.ledger, &self.observed, self.config.node_ips);
        let mut report = self.carry_out(&steps)?;
        self.remove_rules(&mut report);
        let mut leftovers = self.draining_services();
        leftovers.extend(destroyed_sets(&self.observed));
        report.merge(self.carry_out(&leftovers)?);
        Ok(report)
    }
}
