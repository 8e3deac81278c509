//! What is changed in the cluster, and where in the kernel that shows.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ::tests::apiserver::Population;
use ipvs_backend::netlink::ipvs::ServiceId;
use proxy_core::Protocol;
use serde_json::{Value, json};

use crate::kernel::service;

/// A Service that is as most are: one family, reached at its cluster IP, every endpoint used.
#[derive(Clone, Debug)]
pub(crate) struct Plain {
    pub(crate) service: Value,
    pub(crate) slice: Value,
    pub(crate) number: u32,
}

impl Plain {
    /// The plain ones of a cluster, in an order that is spread over it.
    pub(crate) fn all(population: &Population) -> impl Iterator<Item = Self> {
        let count = population.services();
        // A prime step comes by every one of them.
        let numbers = (0..count).map(move |step| {
            u32::try_from(u64::from(step) * 7_919 % u64::from(count)).expect("below count")
        });
        numbers.filter_map(|number| {
            let service = population.service(number);
            let spec = &service["spec"];
            let is_plain = spec["type"] == "ClusterIP"
                && spec["clusterIP"] != "None"
                && spec["ipFamilies"] == json!(["IPv4"])
                && spec["internalTrafficPolicy"] == "Cluster"
                && spec["externalIPs"].is_null()
                && spec["trafficDistribution"].is_null()
                && spec["sessionAffinity"] == "None";
            let slice = is_plain.then(|| population.changed_slice(number, 0))?;
            Some(Self { service, slice, number })
        })
    }

    /// Its IPVS service.
    pub(crate) fn id(&self) -> ServiceId {
        let address = self.service["spec"]["clusterIP"].as_str().and_then(|it| it.parse().ok());
        service(Protocol::Tcp, address.expect("it has an address"), 80)
    }

    /// A Service that the cluster does not have, with a number, and one endpoint.
    pub(crate) fn another(&self, number: u32) -> Self {
        let mut other = self.clone();
        let name = format!("new-{number}");
        let [.., high, low] = number.to_be_bytes();
        let address = format!("10.63.{high}.{low}");
        other.service["metadata"]["name"] = name.clone().into();
        other.service["spec"]["clusterIP"] = address.clone().into();
        other.service["spec"]["clusterIPs"] = json!([address]);
        other.slice["metadata"]["name"] = name.clone().into();
        other.slice["metadata"]["labels"]["kubernetes.io/service-name"] = name.into();
        other.slice["endpoints"] = json!([endpoint(stranger(number), Condition::Ready)]);
        other
    }
}

/// How it is with an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    Ready,
    Terminating,
}

/// An endpoint, ready or about to go.
pub(crate) fn endpoint(address: IpAddr, condition: Condition) -> Value {
    let is_ready = condition == Condition::Ready;
    json!({
        "addresses": [address],
        "conditions": { "ready": is_ready, "serving": true, "terminating": !is_ready },
        "nodeName": "node-1",
        "zone": "zone-b",
    })
}

/// The address of a pod that no cluster of ours has, by a number.
pub(crate) fn stranger(number: u32) -> IpAddr {
    Ipv4Addr::from_bits(Ipv4Addr::new(10, 255, 0, 0).to_bits() - 1 - number % (1 << 20)).into()
}

/// A server at the port that all HTTP endpoints have.
pub(crate) const fn server(address: IpAddr) -> SocketAddr {
    SocketAddr::new(address, 8080)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn plain_services_come_once_each_and_most_are() {
        let population = Population::new(1000, 3, 10);
        let numbers: Vec<_> = Plain::all(&population).map(|plain| plain.number).collect();
        let distinct: BTreeSet<_> = numbers.iter().collect();
        assert_eq!(distinct.len(), numbers.len());
        assert!(numbers.len() > 300, "{}", numbers.len());
    }
}
