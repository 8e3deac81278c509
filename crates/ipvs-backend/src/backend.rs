//! [`IpvsBackend`]: the contract of [`proxy_core::Backend`] kept with the kernel's objects.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Instant;

use proxy_core::{
    Backend, BackendError, Capabilities, Delta, DesiredState, Drift, DriftKind, Failure, Family,
    FrontendKind, ObjectError, Report, VirtualServerKey,
};

use crate::drain::{Cause, DrainPolicy, Drains};
use crate::iptables::Iptables;
use crate::kernel::{Kernel, Netlink};
use crate::ledger::{Ledger, Touched};
use crate::netlink::ipvs::{DestinationId, ServiceId};
use crate::netlink::{Traffic, TrafficCounts};
use crate::object::Shared;
use crate::observe::{NodeIps, Observed};
use crate::op::{Op, Step};
use crate::plan::{destroyed_sets, drains, missing_sets, plan};
use crate::rules::{RuleConfig, removal_input, restore_input, static_rules};
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
        let capabilities = Capabilities {
            families: families(&iptables),
            frontends: vec![FrontendKind::ClusterIp],
            split_audiences: false,
            ..Capabilities::all()
        };
        Ok(Self {
            drains: Drains::new(config.drain),
            config,
            capabilities,
            kernel,
            iptables,
            traffic,
            ledger: Ledger::default(),
            observed: Observed::default(),
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
        let (ledger, touched) = wish(desired, &observed);
        let mut steps = missing_sets(&observed);
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
        let (ledger, touched) = wish(desired, &self.observed);
        self.ledger = ledger;
        self.leftovers.clear();
        let sets = missing_sets(&self.observed);
        let mut report = self.carry_out(&sets)?;
        let mut drift: Vec<_> = sets.iter().map(|step| drift_of(&step.op)).collect();
        let rules = self.ensure_rules().map_err(|source| BackendError::Io {
            attempt: "load the static rules".to_owned(),
            source,
        })?;
        report.changes += rules.len();
        drift.extend(rules);
        let steps = plan(&touched, &self.ledger, &self.observed, self.config.node_ips);
        drift.extend(steps.iter().map(|step| drift_of(&step.op)));
        let Report { failed, changes, .. } = self.carry_out(&steps)?;
        report.failed.extend(failed);
        report.changes += changes;
        self.drains.clear();
        self.watch_drains(touched.services.keys());
        Ok((report, drift))
    }

    fn carry_out(&mut self, steps: &[Step]) -> Result<Report, BackendError> {
        let done = exec::run(&mut self.kernel, steps, &mut self.observed).map_err(|source| {
            BackendError::Io { attempt: "program the kernel".to_owned(), source }
        })?;
        for Step { op, server } in done.refused {
            if let (Some(object), Some(server)) = (removed(&op), server) {
                self.leftovers.entry(server).or_default().insert(object);
            }
        }
        Ok(Report { failed: done.failed, drift: Vec::new(), changes: done.changes })
    }

    /// Notes which destinations of `services` are at weight 0 and not wanted.
    fn watch_drains<'a>(&mut self, services: impl IntoIterator<Item = &'a ServiceId>) {
        for id in services {
            let draining = match (self.ledger.server(id), self.observed.services.get(id)) {
                (Some(server), Some(observed)) if drains(id) => {
                    let is_wanted = |destination: DestinationId| {
                        server.external.servers.iter().any(|real| {
                            (real.address, real.port.get())
                                == (destination.address, destination.port)
                        })
                    };
                    let unwanted = observed
                        .destinations
                        .iter()
                        .map(crate::netlink::ipvs::Destination::id)
                        .filter(|destination| !is_wanted(*destination));
                    unwanted
                        .map(|destination| {
                            let is_leaving = server.leaving.iter().any(|(address, port)| {
                                (*address, port.get()) == (destination.address, destination.port)
                            });
                            let limit = server.drain_limit;
                            let cause =
                                if is_leaving { Cause::Leaving { limit } } else { Cause::Gone };
                            (destination, cause)
                        })
                        .collect()
                }
                _ => Vec::new(),
            };
            self.drains.set(*id, draining);
        }
    }
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
fn wish(desired: &DesiredState, observed: &Observed) -> (Ledger, Touched) {
    let (mut ledger, mut touched) = (Ledger::default(), Touched::default());
    for server in desired.iter() {
        ledger.set(server, &mut touched);
    }
    for id in observed.services.keys().filter(|id| ownership::owns(id, observed)) {
        touched.services.entry(*id).or_insert(None);
    }
    for (&set, observed) in &observed.sets {
        for &entry in &observed.members {
            let object = ownership::shared_of_member(set, entry);
            touched.shared.entry(object).or_insert(None);
        }
    }
    for &address in observed.routes.keys() {
        touched.shared.entry(Shared::Vip(address)).or_insert(None);
    }
    (ledger, touched)
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
    let kind = match op {
        Op::CreateSet(..)
        | Op::AddMember(..)
        | Op::AddService(_)
        | Op::AddDestination(..)
        | Op::AddRoute(_) => DriftKind::Missing,
        Op::SetService(_) | Op::SetDestination(..) | Op::ReplaceRoute { .. } => DriftKind::Changed,
        Op::DestroySet(_)
        | Op::DeleteMember(..)
        | Op::DeleteService(_)
        | Op::DeleteDestination(..)
        | Op::DeleteRoute(_) => DriftKind::Unexpected,
    };
    Drift { object: op.to_string()[2..].to_owned(), kind }
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
        let report = self.carry_out(&steps)?;
        self.watch_drains(touched.services.keys());
        Ok(report)
    }

    fn audit(&mut self, desired: &DesiredState) -> Result<Report, BackendError> {
        let (report, drift) = self.reconcile(desired)?;
        Ok(Report { drift, ..report })
    }

    fn maintain(&mut self, now: Instant) -> Result<Option<Instant>, BackendError> {
        for id in self.drains.due(now) {
            let statuses = self.kernel.destinations(&id).map_err(|source| BackendError::Io {
                attempt: format!("count the connections of {id}"),
                source,
            })?;
            let ended = self.drains.look(&id, &statuses, now);
            let steps: Vec<_> = ended
                .into_iter()
                .map(|destination| Step {
                    op: Op::DeleteDestination(id, destination),
                    server: self.ledger.server(&id).map(|server| server.key),
                })
                .collect();
            // What could not be removed drains on and is tried again at the next look.
            let _ = self.carry_out(&steps)?;
            self.watch_drains([&id]);
        }
        Ok(self.drains.next(now))
    }

    fn cleanup(&mut self) -> Result<Report, BackendError> {
        self.observed = self.observe()?;
        let (ledger, touched) = wish(&DesiredState::new(), &self.observed);
        self.ledger = ledger;
        self.drains.clear();
        self.leftovers.clear();
        let steps = plan(&touched, &self.ledger, &self.observed, self.config.node_ips);
        let mut report = self.carry_out(&steps)?;
        self.remove_rules(&mut report);
        let Report { failed, changes, .. } = self.carry_out(&destroyed_sets(&self.observed))?;
        report.failed.extend(failed);
        report.changes += changes;
        Ok(report)
    }
}
