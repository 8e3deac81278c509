//! Addresses that other hosts of the cluster have: no node may take one for its own.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::net::IpAddr;

use crate::sorted::add;
use crate::{Name, ServiceKey};

/// Namespace and name of the Service whose endpoints are the API servers.
pub(crate) const API_SERVER: (&str, &str) = ("default", "kubernetes");

/// Whose an address is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// Another node of the cluster.
    Node(Name),
    /// An API server. A node that took its address for its own would be cut off from the cluster.
    ApiServer,
}

/// Whether this is the Service of the API server itself.
pub(crate) fn is_api_server(ServiceKey { namespace, name }: &ServiceKey) -> bool {
    (&**namespace, &**name) == API_SERVER
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(name) => write!(f, "Node {name}"),
            Self::ApiServer => f.write_str("the API server"),
        }
    }
}

/// Addresses of other hosts, with the hosts that have each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForeignAddresses {
    /// Sorted, never empty.
    owners: HashMap<IpAddr, Vec<Owner>>,
}

impl ForeignAddresses {
    /// Who has an address. Of several, nodes go before the API server, and each other by name,
    /// whatever came first.
    #[must_use]
    pub fn owner(&self, address: IpAddr) -> Option<&Owner> {
        self.owners.get(&address)?.first()
    }

    /// Moves `owner` from its addresses `before` to `after`. Returns the addresses that another has
    /// now, or none, or that had none.
    pub fn readdress(
        &mut self,
        owner: &Owner,
        before: &BTreeSet<IpAddr>,
        after: &BTreeSet<IpAddr>,
    ) -> Vec<IpAddr> {
        let mut changed = Vec::new();
        for &address in before.symmetric_difference(after) {
            let former = self.owner(address).cloned();
            if after.contains(&address) {
                add(self.owners.entry(address).or_default(), owner);
            } else {
                self.take(owner, address);
            }
            if self.owner(address) != former.as_ref() {
                changed.push(address);
            }
        }
        changed
    }

    fn take(&mut self, owner: &Owner, address: IpAddr) {
        let Some(owners) = self.owners.get_mut(&address) else { return };
        owners.retain(|it| it != owner);
        if owners.is_empty() {
            self.owners.remove(&address);
        }
    }
}
