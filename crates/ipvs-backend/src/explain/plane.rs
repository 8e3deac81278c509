//! What decides about packets: as it is wanted, or as it was found.

use std::io;
use std::net::IpAddr;

use proxy_core::DesiredState;

use crate::backend::wish::wish;
use crate::kernel::Kernel;
use crate::netlink::ipvs::ServiceId;
use crate::observe::{NodeIps, Observed, is_node_address};
use crate::ownership::Ownership;
use crate::plan::{plan, set_steps};
use crate::rules::RuleConfig;
use crate::{IpvsConfig, explain::Owner};

/// Everything that decides about a packet on one node.
#[derive(Clone, Debug)]
pub struct DataPlane {
    /// Sets, IPVS services, routes and addresses.
    pub held: Observed,
    /// What the static rules are made of.
    pub rules: RuleConfig,
    /// The source address of the node's own connections.
    pub ips: NodeIps,
}

impl DataPlane {
    /// What a node whose interfaces have `node_addresses` holds once `desired` is in place: what
    /// the ops leave behind that are planned for an empty kernel.
    #[must_use]
    pub fn of(
        desired: &DesiredState,
        config: &IpvsConfig,
        node_addresses: impl IntoIterator<Item = IpAddr>,
    ) -> Self {
        let node_addresses = node_addresses.into_iter().filter(|ip| is_node_address(*ip));
        let mut held = Observed { node_addresses: node_addresses.collect(), ..Observed::default() };
        let ownership = Ownership { marks: config.rules.marks, excluded: config.excluded.clone() };
        let (ledger, touched) = wish(desired, &held, &ownership);
        let mut steps = set_steps(&ledger, &held);
        steps.extend(plan(&touched, &ledger, &held, &config.node));
        for step in steps {
            held.record(&step.op);
        }
        Self::found(held, config)
    }

    /// What was read from a kernel, with rules as they should be.
    #[must_use]
    pub fn found(held: Observed, config: &IpvsConfig) -> Self {
        Self { held, rules: config.rules.clone(), ips: config.node.ips }
    }

    /// Whose an address is, for this node's routes.
    #[must_use]
    pub fn owner(&self, address: IpAddr) -> Owner {
        let Observed { node_addresses, routes, device, .. } = &self.held;
        let is_on_device = device.as_ref().is_some_and(|it| it.addresses.contains(&address));
        if address.is_loopback() || node_addresses.contains(&address) {
            Owner::Interface
        } else if is_on_device || routes.contains_key(&address) {
            Owner::Service
        } else {
            Owner::Elsewhere
        }
    }

    pub(super) fn is_local(&self, address: IpAddr) -> bool {
        self.owner(address) != Owner::Elsewhere
    }
}

/// What `kernel` holds now, with the servers of those services that `pick` picks from it.
///
/// # Errors
/// When a dump could not be read to its end.
pub fn read(
    kernel: &mut impl Kernel,
    pick: impl FnOnce(&Observed) -> Vec<ServiceId>,
) -> io::Result<Observed> {
    let mut observed = kernel.observe()?;
    for id in pick(&observed) {
        let Some(service) = observed.services.get_mut(&id) else { continue };
        let statuses = kernel.destinations(&id)?;
        service.destinations = statuses.into_iter().map(|status| status.destination).collect();
    }
    Ok(observed)
}
