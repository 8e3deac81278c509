//! EndpointSlices.

use serde_json::{Value, json};

use super::addresses::Place;
use super::mix::{Exposure, Families, Mix};
use super::nodes::zone;
use super::services::Port;
use super::{Population, SLICE, metadata};

/// Of how many endpoints one is not ready.
const NOT_READY: u64 = 97;

impl Population {
    /// The EndpointSlices of a Service: of each family as many as it takes.
    #[must_use]
    pub fn slices(&self, number: u32) -> Vec<Value> {
        let parts = self.endpoints.div_ceil(SLICE).max(1);
        let families = Mix::of(number).families.names().iter();
        families
            .flat_map(|family| (0..parts).map(move |part| (*family, part)))
            .map(|(family, part)| self.slice(number, family, part, 0))
            .collect()
    }

    /// The first EndpointSlice of a Service after some changes: each odd one replaces an endpoint by
    /// a new pod, each even one takes that back.
    #[must_use]
    pub fn changed_slice(&self, number: u32, changes: u32) -> Value {
        let families = Mix::of(number).families;
        self.slice(number, families.names()[0], 0, changes)
    }

    fn slice(&self, number: u32, family: &'static str, part: u32, changes: u32) -> Value {
        let mix = Mix::of(number);
        let (namespace, name) = Self::service_name(number);
        let range = part * SLICE..self.endpoints.min((part + 1) * SLICE);
        let replaced = (changes % 2 == 1 && !range.is_empty())
            .then(|| range.start + changes / 2 % (range.end - range.start));
        let endpoints = range.map(|endpoint| {
            let pod = match replaced == Some(endpoint) {
                true => self.replacement(number),
                false => u64::from(number) * u64::from(self.endpoints) + u64::from(endpoint),
            };
            let mut endpoint = self.endpoint(pod, family, &namespace, &name);
            if mix.prefers_zone {
                endpoint["hints"] = json!({ "forZones": [{ "name": endpoint["zone"] }] });
            }
            endpoint
        });
        let slice = Slice {
            namespace: &namespace,
            service: &name,
            family,
            part,
            is_headless: mix.exposure == Exposure::Headless,
        };
        slice.object(&endpoints.collect::<Vec<_>>(), &mix.ports())
    }

    /// The pod that replaces one of a Service's.
    fn replacement(&self, number: u32) -> u64 {
        u64::from(self.services) * u64::from(self.endpoints) + u64::from(number)
    }

    /// The endpoint that a pod is.
    pub(super) fn endpoint(&self, pod: u64, family: &str, namespace: &str, name: &str) -> Value {
        let place: Place = self.addresses.place(pod);
        let families = if family == "IPv4" { Families::Ipv4 } else { Families::Ipv6 };
        let is_ready = pod % NOT_READY != NOT_READY - 1;
        json!({
            "addresses": families.of(self.addresses.pod(place)),
            "conditions": { "ready": is_ready, "serving": is_ready, "terminating": false },
            "nodeName": Self::node_name(place.node),
            "targetRef": {
                "kind": "Pod",
                "namespace": namespace,
                "name": format!("{name}-{pod:08x}"),
                "uid": format!("00000000-0000-4000-9000-{pod:012x}"),
            },
            "zone": zone(place.node),
        })
    }
}

/// What a slice is, beside its endpoints and ports.
pub(super) struct Slice<'a> {
    pub(super) namespace: &'a str,
    pub(super) service: &'a str,
    pub(super) family: &'a str,
    pub(super) part: u32,
    pub(super) is_headless: bool,
}

impl Slice<'_> {
    pub(super) fn object(&self, endpoints: &[Value], ports: &[Port]) -> Value {
        let Self { namespace, service, family, part, is_headless } = self;
        let name = format!("{service}-{}-{part}", family.to_lowercase());
        let mut labels = json!({
            "app.kubernetes.io/name": service,
            "kubernetes.io/service-name": service,
            "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        });
        if *is_headless {
            labels["service.kubernetes.io/headless"] = "".into();
        }
        let ports = ports.iter().map(
            |port| json!({ "name": port.name, "port": port.target, "protocol": port.protocol }),
        );
        json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": metadata(namespace, &name, &labels, "kube-controller-manager"),
            "addressType": family,
            "endpoints": endpoints,
            "ports": ports.collect::<Vec<_>>(),
        })
    }
}
