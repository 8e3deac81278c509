//! Virtual servers that the backend cannot express. They wait until their Service changes.

use std::collections::BTreeMap;

use crate::{Capabilities, Feature, Resolution, ServiceKey, VirtualServerKey};

/// A virtual server that the backend cannot express.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    /// The Service it comes from.
    pub service: ServiceKey,
    /// The virtual server.
    pub server: VirtualServerKey,
    /// What the backend lacks.
    pub feature: Feature,
}

#[derive(Debug, Default)]
pub(super) struct Parking {
    places: BTreeMap<ServiceKey, Vec<(VirtualServerKey, Feature)>>,
}

impl Parking {
    /// Takes out of `resolution` what `capabilities` cannot express, and remembers it in place of
    /// what was parked for the Service before. Returns what was not parked for the same reason.
    pub(super) fn park(
        &mut self,
        service: &ServiceKey,
        resolution: &mut Resolution,
        capabilities: &Capabilities,
    ) -> Vec<Parked> {
        let before = self.places.remove(service).unwrap_or_default();
        let mut now = Vec::new();
        resolution.servers.retain(|server| match capabilities.missing_for(server) {
            Some(feature) => {
                now.push((server.key, feature));
                false
            }
            None => true,
        });
        let new = now.iter().filter(|place| !before.contains(place));
        let parked = new.map(|place| parked(service, place)).collect();
        if !now.is_empty() {
            self.places.insert(service.clone(), now);
        }
        parked
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Parked> {
        self.places
            .iter()
            .flat_map(|(service, places)| places.iter().map(move |place| parked(service, place)))
    }

    pub(super) fn len(&self) -> usize {
        self.places.values().map(Vec::len).sum()
    }
}

fn parked(service: &ServiceKey, (server, feature): &(VirtualServerKey, Feature)) -> Parked {
    Parked { service: service.clone(), server: *server, feature: *feature }
}
