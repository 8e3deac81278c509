//! What this node should serve, and the differences between two such states.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::diff::{Change, diff};
use crate::repack::repack;
use crate::{
    Conflict, FrontendKind, HealthCheck, Name, Resolution, ServiceKey, VirtualServer,
    VirtualServerKey, Warning,
};

/// Changes to a set of virtual servers. Whole virtual servers, never parts of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// To be made exactly so, whether or not they exist. Sorted by key.
    pub upserts: Vec<Arc<VirtualServer>>,
    /// To be removed, if they exist. Sorted.
    pub removals: Vec<VirtualServerKey>,
}

impl Delta {
    /// What turns the servers of `from` into those of `to`.
    #[must_use]
    pub fn between(from: &DesiredState, to: &DesiredState) -> Self {
        let keyed = |state: &'_ DesiredState| -> Vec<_> {
            state.iter().map(|server| (server.key, server.clone())).collect()
        };
        let mut delta = Self::default();
        for (key, change) in diff(keyed(from), keyed(to)) {
            match change {
                Change::Removed(_) => delta.removals.push(key),
                Change::Kept(before, after) if before == after => {}
                Change::Added(server) | Change::Kept(_, server) => delta.upserts.push(server),
            }
        }
        delta
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.upserts.is_empty() && self.removals.is_empty()
    }

    /// How many virtual servers it names.
    #[must_use]
    pub fn len(&self) -> usize {
        self.upserts.len() + self.removals.len()
    }
}

/// The virtual servers a node should have, and which Service each comes from.
///
/// Several Services can claim one address, protocol and port. Every claim is kept; the one with
/// the first rank is served: by kind (cluster IP, load-balancer IP, external IP, node port), then
/// the older Service, then by namespace and name. When the owner goes, the next takes its place.
#[derive(Clone, Debug, Default)]
pub struct DesiredState {
    /// The claims that are served.
    owners: BTreeMap<VirtualServerKey, Claim>,
    /// The claims that are not, by rank.
    losers: BTreeMap<VirtualServerKey, Vec<Claim>>,
    services: BTreeMap<ServiceKey, Record>,
    /// Services with warnings.
    warned: BTreeSet<ServiceKey>,
    health_checks: BTreeMap<ServiceKey, Box<[HealthCheck]>>,
    health_checks_revision: u64,
}

#[derive(Clone, Debug)]
struct Claim {
    server: Arc<VirtualServer>,
    created: Option<Name>,
}

impl Claim {
    fn service(&self) -> &ServiceKey {
        &self.server.origin.service
    }

    /// Services without a creation time, which only hand-written files have, count as youngest.
    fn rank(&self) -> (FrontendKind, bool, Option<&Name>, &ServiceKey) {
        (self.server.kind, self.created.is_none(), self.created.as_ref(), self.service())
    }
}

/// What is remembered of a Service besides its claims.
#[derive(Clone, Debug, Default)]
struct Record {
    keys: Box<[VirtualServerKey]>,
    warnings: Box<[Warning]>,
}

impl DesiredState {
    /// A state that serves nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces everything that comes from `service`. Returns what that changes in the whole:
    /// another Service's claim may surface, or sink.
    pub fn replace(&mut self, service: &ServiceKey, resolution: Resolution) -> Delta {
        let Resolution { servers, health_checks, warnings, created } = resolution;
        let keys: Box<[_]> = servers.iter().map(|server| server.key).collect();
        let previous = self.services.remove(service).unwrap_or_default();
        let new = servers.into_iter().map(|server| (server.key, server));
        let old = previous.keys.iter().map(|key| (*key, ()));
        let mut delta = Delta::default();
        for (key, change) in diff(old, new) {
            let claim = match change {
                Change::Removed(()) => None,
                Change::Added(server) | Change::Kept((), server) => {
                    Some(Claim { server, created: created.clone() })
                }
            };
            self.reclaim(key, service, claim, &mut delta);
        }
        if warnings.is_empty() {
            self.warned.remove(service);
        } else {
            self.warned.insert(service.clone());
        }
        if !(keys.is_empty() && warnings.is_empty()) {
            self.services.insert(service.clone(), Record { keys, warnings: warnings.into() });
        }
        self.replace_health_checks(service, health_checks);
        delta
    }

    /// Puts everything close together, after much of it came at once.
    pub fn repack(&mut self) {
        repack(&mut self.owners);
        repack(&mut self.services);
    }

    /// The virtual server with this key.
    #[must_use]
    pub fn get(&self, key: &VirtualServerKey) -> Option<&Arc<VirtualServer>> {
        self.owners.get(key).map(|claim| &claim.server)
    }

    /// Every virtual server, by key.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<VirtualServer>> {
        self.owners.values().map(|claim| &claim.server)
    }

    /// How many virtual servers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.owners.len()
    }

    /// Whether there is no virtual server.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.owners.is_empty()
    }

    /// What brings the servers named by `keys` to this state, from whatever they are.
    #[must_use]
    pub fn delta_for(&self, keys: impl IntoIterator<Item = VirtualServerKey>) -> Delta {
        let mut delta = Delta::default();
        for key in keys.into_iter().collect::<BTreeSet<_>>() {
            match self.get(&key) {
                Some(server) => delta.upserts.push(server.clone()),
                None => delta.removals.push(key),
            }
        }
        delta
    }

    /// Keys that `service` claims, owned or lost.
    #[must_use]
    pub fn keys_of(&self, service: &ServiceKey) -> &[VirtualServerKey] {
        self.services.get(service).map_or(&[], |record| &record.keys)
    }

    /// How many keys are claimed by more than one Service.
    #[must_use]
    pub fn contested(&self) -> usize {
        self.losers.len()
    }

    /// Every lost claim, by key and rank.
    pub fn conflicts(&self) -> impl Iterator<Item = Conflict> {
        self.losers.iter().flat_map(|(key, losers)| {
            let owner = self.owners.get(key).map(Claim::service);
            losers.iter().filter_map(move |loser| {
                Some(Conflict {
                    key: *key,
                    kind: loser.server.kind,
                    owner: owner?.clone(),
                    loser: loser.service().clone(),
                })
            })
        })
    }

    /// Every health-check node port, by Service and family.
    #[must_use]
    pub fn health_checks(&self) -> Vec<&HealthCheck> {
        self.health_checks.values().flatten().collect()
    }

    /// A number that is another one whenever [`Self::health_checks`] are others: most changes
    /// leave them as they are, and need not look.
    #[must_use]
    pub const fn health_checks_revision(&self) -> u64 {
        self.health_checks_revision
    }

    /// Every warning, sorted. Costs what there are of them.
    #[must_use]
    pub fn warnings(&self) -> Vec<&Warning> {
        let records = self.warned.iter().filter_map(|service| self.services.get(service));
        let mut warnings: Vec<_> = records.flat_map(|record| &record.warnings).collect();
        warnings.sort_unstable();
        warnings
    }

    fn replace_health_checks(&mut self, service: &ServiceKey, health_checks: Vec<HealthCheck>) {
        let before = self.health_checks.get(service).map_or(&[][..], |checks| checks);
        if *before == *health_checks {
            return;
        }
        self.health_checks_revision += 1;
        if health_checks.is_empty() {
            self.health_checks.remove(service);
        } else {
            self.health_checks.insert(service.clone(), health_checks.into());
        }
    }

    /// Puts `claim` in the place of whatever `service` claimed under `key`.
    fn reclaim(
        &mut self,
        key: VirtualServerKey,
        service: &ServiceKey,
        claim: Option<Claim>,
        delta: &mut Delta,
    ) {
        let mut claims = self.losers.remove(&key).unwrap_or_default();
        let owner = self.owners.remove(&key);
        let before = owner.as_ref().map(|owner| owner.server.clone());
        claims.extend(owner);
        claims.retain(|other| other.service() != service);
        claims.extend(claim);
        claims.sort_unstable_by(|one, two| one.rank().cmp(&two.rank()));
        if claims.is_empty() {
            delta.removals.extend(before.map(|_| key));
            return;
        }
        let owner = claims.remove(0);
        if before.as_ref() != Some(&owner.server) {
            delta.upserts.push(owner.server.clone());
        }
        if !claims.is_empty() {
            self.losers.insert(key, claims);
        }
        self.owners.insert(key, owner);
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
