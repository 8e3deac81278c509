//! Input vocabulary: the nodes of the cluster, as far as forwarding depends on them.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::{Family, Name};

/// A node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// `metadata.name`.
    pub name: Name,
    /// Label `topology.kubernetes.io/zone`; an empty value is no zone.
    pub zone: Option<Name>,
    /// `status.addresses`: every `InternalIP`, then every `ExternalIP`.
    pub addresses: Vec<IpAddr>,
    /// `spec.podCIDRs`.
    pub pod_cidrs: Vec<IpNet>,
    /// Whether it is about to go.
    pub tenure: Tenure,
}

/// Whether a node is about to leave the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tenure {
    /// It stays.
    #[default]
    Staying,
    /// It has a `deletionTimestamp`, or the cluster autoscaler's taint
    /// `ToBeDeletedByClusterAutoscaler`: load balancers should send it nothing new.
    Leaving,
}

impl Node {
    /// The first address of `family`.
    #[must_use]
    pub fn address(&self, family: Family) -> Option<IpAddr> {
        self.addresses.iter().copied().find(|address| Family::of(*address) == family)
    }
}

/// The node that decides, as endpoint selection sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThisNode<'a> {
    /// Its name; never empty.
    pub name: &'a str,
    /// Its zone, if it has one.
    pub zone: Option<&'a str>,
}
