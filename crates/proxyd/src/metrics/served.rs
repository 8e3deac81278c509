//! What the backend was last told to serve, for those who ask from other threads: which Service a
//! virtual server is of. Kept change by change, so that one change costs the same however much
//! there is.

use std::collections::BTreeMap;
use std::sync::Arc;

use proxy_core::{
    Delta, DesiredState, Family, FrontendKind, ServiceKey, ServicePortName, VirtualServer,
    VirtualServerKey, WhenEmpty,
};

/// Virtual servers by key. They are shared with the desired state, not copied.
#[derive(Debug, Default)]
pub(crate) struct Served {
    servers: BTreeMap<VirtualServerKey, Arc<VirtualServer>>,
    /// How many frontends of a Service have no answer, by policy and family.
    unanswered: BTreeMap<(Policy, Family), BTreeMap<ServiceKey, usize>>,
}

/// The traffic policy of a Service that is Local.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Policy {
    /// `internalTrafficPolicy`.
    Internal,
    /// `externalTrafficPolicy`.
    External,
}

impl Policy {
    pub(super) const ALL: [Self; 2] = [Self::Internal, Self::External];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::External => "external",
        }
    }
}

impl Served {
    /// Takes in what the backend was told to change.
    pub(super) fn apply(&mut self, delta: &Delta) {
        for key in &delta.removals {
            let before = self.servers.remove(key);
            self.count(before.as_deref(), None);
        }
        for server in &delta.upserts {
            let before = self.servers.insert(server.key, server.clone());
            self.count(before.as_deref(), Some(server));
        }
    }

    /// Everything that the backend was told.
    pub(super) fn of(desired: &DesiredState) -> Self {
        let mut served = Self::default();
        served.apply(&Delta { upserts: desired.iter().cloned().collect(), removals: Vec::new() });
        served
    }

    /// The Service port that a virtual server is of, and what kind of frontend it is there.
    pub(super) fn origin(
        &self,
        key: &VirtualServerKey,
    ) -> Option<(&ServicePortName, FrontendKind)> {
        self.servers.get(key).map(|server| (&server.origin, server.kind))
    }

    /// Services whose Local policy leaves this node without an endpoint, while others have some.
    pub(super) fn without_local_endpoints(&self, policy: Policy, family: Family) -> usize {
        self.unanswered.get(&(policy, family)).map_or(0, BTreeMap::len)
    }

    fn count(&mut self, before: Option<&VirtualServer>, after: Option<&VirtualServer>) {
        if let Some((place, server)) = before.and_then(unanswered) {
            let services = self.unanswered.entry(place).or_default();
            if let Some(count) = services.get_mut(&server.origin.service) {
                *count -= 1;
                if *count == 0 {
                    services.remove(&server.origin.service);
                }
            }
        }
        if let Some((place, server)) = after.and_then(unanswered) {
            let services = self.unanswered.entry(place).or_default();
            *services.entry(server.origin.service.clone()).or_default() += 1;
        }
    }
}

/// Whether a policy keeps this node from answering outside clients of a frontend, or anybody.
fn unanswered(server: &VirtualServer) -> Option<((Policy, Family), &VirtualServer)> {
    let pool = &server.external;
    let is_unanswered = pool.servers.is_empty() && pool.when_empty == WhenEmpty::Drop;
    let policy = match server.kind {
        FrontendKind::ClusterIp => Policy::Internal,
        _ => Policy::External,
    };
    is_unanswered.then_some(((policy, server.key.family()), server))
}
