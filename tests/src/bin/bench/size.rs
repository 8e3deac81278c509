//! How large a cluster is.

use std::str::FromStr;

use anyhow::Context as _;
use tests::apiserver::Population;

/// Services, and endpoints of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) services: u32,
    pub(crate) endpoints: u32,
}

/// A node has so many pods in a cluster of our sizes, as long as there are no more than 5,000.
const PODS: u32 = 50;

impl Size {
    /// The cluster: the mix of Services that clusters have, on as many nodes as it takes.
    pub(crate) fn population(self) -> Population {
        let nodes = (self.services * self.endpoints / PODS).clamp(100, 5_000);
        Population::new(self.services, self.endpoints, nodes)
    }
}

impl FromStr for Size {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (services, endpoints) = text.split_once('x').context("write it as 10000x10")?;
        Ok(Self { services: services.parse()?, endpoints: endpoints.parse()? })
    }
}
