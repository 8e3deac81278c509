//! External IPs and load-balancer IPs. Each entry stands alone: a bad one costs only itself.

use std::net::IpAddr;

use super::findings::{Findings, given};
use super::{LoadBalancerStatus, ServiceSpec, text};
use crate::{ClusterIps, Family};

/// `spec.externalIPs`; blank entries are dropped without a word.
pub(super) fn external_ips(
    spec: &ServiceSpec,
    cluster_ips: ClusterIps,
    findings: &mut Findings,
) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for (index, value) in spec.external_ips.iter().enumerate() {
        if !value.trim().is_empty() {
            let field = format!("spec.externalIPs[{index}]");
            addresses.extend(frontend(&field, value, cluster_ips, findings));
        }
    }
    sorted(addresses)
}

/// `status.loadBalancer.ingress[].ip` where nodes are to answer at it (`ipMode` VIP, KEP-1860).
pub(super) fn load_balancer_ips(
    status: &LoadBalancerStatus,
    cluster_ips: ClusterIps,
    findings: &mut Findings,
) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for (index, entry) in status.ingress.iter().enumerate() {
        let Some(value) = given(entry.ip.as_deref()) else {
            continue;
        };
        let field = format!("status.loadBalancer.ingress[{index}]");
        match given(entry.ip_mode.as_deref()) {
            None | Some("VIP") => {
                addresses.extend(frontend(&format!("{field}.ip"), value, cluster_ips, findings));
            }
            Some("Proxy") => {}
            Some(mode) => findings.reject(
                format!("{field}.ipMode"),
                mode,
                format!("is not a mode, so {value} is not served; use VIP or Proxy"),
            ),
        }
    }
    sorted(addresses)
}

fn frontend(
    field: &str,
    value: &str,
    cluster_ips: ClusterIps,
    findings: &mut Findings,
) -> Option<IpAddr> {
    let Some(address) = text::ip(value) else {
        findings.reject(
            field,
            value,
            "is not an IP address and is not served; correct or remove it",
        );
        return None;
    };
    if let Some(what) = text::special(address) {
        let reason = format!("is {what} and is not served; use an address that routers can reach");
        findings.reject(field, value, reason);
        return None;
    }
    let family = Family::of(address);
    if cluster_ips.of(family).is_none() {
        findings.warn(format!("{field} {address} is not served: there is no {family} cluster IP"));
        return None;
    }
    Some(address)
}

fn sorted(mut addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    addresses.sort_unstable();
    addresses.dedup();
    addresses.shrink_to_fit();
    addresses
}

#[cfg(test)]
mod tests {
    use crate::api::testing::{Outcome, ingress, outcome, service, shown};

    #[track_caller]
    fn external(given: &[&str], expected: &str) -> Outcome {
        let (value, outcome) = outcome(service(|service| {
            service.spec.external_ips = given.iter().map(|&text| text.to_owned()).collect();
        }));
        assert_eq!(shown(&value.unwrap().external_ips), expected, "{given:?}");
        outcome
    }

    #[test]
    fn external_ips_are_sorted_and_canonical() {
        external(&["", "  "], "").silent();
        external(&["203.0.113.9", "203.0.113.5"], "203.0.113.5 203.0.113.9").silent();
        external(&["203.0.113.5", "203.000.113.005"], "203.0.113.5").silent();
        external(&["10.0.0.10", "10.0.0.9"], "10.0.0.9 10.0.0.10").silent();
    }

    #[test]
    fn a_bad_external_ip_costs_only_itself() {
        external(&["", "  ", "bogus", "010.0.0.5"], "10.0.0.5")
            .rejected("spec.externalIPs[2]", "bogus");
        external(&["127.0.0.1", "10.0.0.5"], "10.0.0.5")
            .rejected("spec.externalIPs[0]", "127.0.0.1");
        external(&["0.0.0.0"], "").rejected("spec.externalIPs[0]", "0.0.0.0");
        external(&["224.0.0.1"], "").rejected("spec.externalIPs[0]", "224.0.0.1");
        external(&["255.255.255.255"], "").rejected("spec.externalIPs[0]", "255.255.255.255");
        external(&["169.254.169.254"], "").rejected("spec.externalIPs[0]", "169.254.169.254");
        external(&["fe80::1"], "").rejected("spec.externalIPs[0]", "fe80::1");
        external(&["::1"], "").rejected("spec.externalIPs[0]", "::1");
    }

    #[test]
    fn an_external_ip_of_a_family_without_cluster_ip_is_dropped_with_a_warning() {
        external(&["2001:db8::5", "203.0.113.5"], "203.0.113.5")
            .warned("spec.externalIPs[0] 2001:db8::5 is not served: there is no IPv6 cluster IP");
    }

    #[track_caller]
    fn load_balancer(given: &[(&str, &str)], expected: &str) -> Outcome {
        let (value, outcome) = outcome(service(|service| {
            service.spec.kind = Some("LoadBalancer".to_owned());
            service.status.load_balancer.ingress =
                given.iter().map(|(ip, mode)| ingress(ip, mode)).collect();
        }));
        assert_eq!(shown(&value.unwrap().load_balancer_ips), expected, "{given:?}");
        outcome
    }

    #[test]
    fn only_ingress_ips_in_mode_vip_are_served() {
        load_balancer(&[("198.51.100.7", "")], "198.51.100.7").silent();
        load_balancer(&[("198.51.100.7", "VIP")], "198.51.100.7").silent();
        load_balancer(&[("198.51.100.7", "Proxy")], "").silent();
        load_balancer(&[("", "")], "").silent();
        load_balancer(&[("198.51.100.7", "vip"), ("198.51.100.8", "")], "198.51.100.8")
            .rejected("status.loadBalancer.ingress[0].ipMode", "vip");
        load_balancer(&[("bogus", ""), ("198.51.100.8", "")], "198.51.100.8")
            .rejected("status.loadBalancer.ingress[0].ip", "bogus");
        load_balancer(&[("2001:db8::7", "")], "").warned("there is no IPv6 cluster IP");
    }
}
