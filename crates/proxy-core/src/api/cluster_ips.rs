//! The cluster IP of each family. Everything else of a Service depends on it.

use std::net::IpAddr;

use super::findings::{Findings, given};
use super::{ServiceSpec, text};
use crate::{ClusterIps, Family};

/// The cluster IPs of a Service, or `None` if one of them cannot be used: a Service that answered
/// at only one of its addresses would look healthy and fail half of its clients.
///
/// 1. None without `clusterIP`, whatever `clusterIPs` says.
/// 2. `clusterIPs`, or `clusterIP` alone where that list is absent.
/// 3. The address at position i belongs to the family at position i of `ipFamilies`; where that
///    list is absent, the first to its own family, and no other to any.
pub(super) fn cluster_ips(spec: &ServiceSpec, findings: &mut Findings) -> Option<ClusterIps> {
    let given = given_addresses(spec, findings);
    let mut cluster_ips = ClusterIps::default();
    let mut usable = true;
    for (index, (field, text)) in given.iter().enumerate() {
        let Some(address) = address(field, text, findings) else {
            usable = false;
            continue;
        };
        let own = Family::of(address);
        match spec.ip_families.get(index).map(String::as_str) {
            Some(named) if named != own.to_string() => {
                findings.reject(
                    field,
                    text,
                    format!(
                        "is an {own} address, but spec.ipFamilies[{index}] is {named:?}, so \
                             the Service is not served; make the two lists agree"
                    ),
                );
                usable = false;
            }
            None if index > 0 || !spec.ip_families.is_empty() => {
                findings.warn(format!(
                    "{field} {text} is not used: it has no family in spec.ipFamilies"
                ));
            }
            _ if cluster_ips.of(own).is_some() => {
                findings.warn(format!(
                    "{field} {text} is not used: one {own} cluster IP comes before it"
                ));
            }
            _ => cluster_ips.set(address),
        }
    }
    usable.then_some(cluster_ips)
}

/// The addresses as given, each with its field.
fn given_addresses<'a>(spec: &'a ServiceSpec, findings: &mut Findings) -> Vec<(String, &'a str)> {
    let Some(first) = given(spec.cluster_ip.as_deref()) else { return Vec::new() };
    if spec.cluster_ips.is_empty() {
        return vec![("spec.clusterIP".to_owned(), first)];
    }
    if text::ip(first) != text::ip(&spec.cluster_ips[0]) {
        findings.reject(
            "spec.clusterIP",
            first,
            "differs from spec.clusterIPs[0], which is used instead; make the two equal",
        );
    }
    let field = |index| format!("spec.clusterIPs[{index}]");
    spec.cluster_ips.iter().enumerate().map(|(index, text)| (field(index), &**text)).collect()
}

fn address(field: &str, value: &str, findings: &mut Findings) -> Option<IpAddr> {
    let Some(address) = text::ip(value) else {
        findings.reject(
            field,
            value,
            "is not an IP address, so the Service is not served; correct it",
        );
        return None;
    };
    if let Some(what) = text::special(address) {
        findings.reject(
            field,
            value,
            format!(
                "is {what}, so the Service is not served; use an address of the service network"
            ),
        );
        return None;
    }
    Some(address)
}

#[cfg(test)]
mod tests {
    use crate::Family;
    use crate::api::ServiceSpec;
    use crate::api::testing::{Outcome, outcome, service};

    /// Cluster IPs as `IPv4 IPv6`, `-` for none; `None` when the Service is not served.
    #[track_caller]
    fn check(ip: &str, ips: &[&str], families: &[&str], expected: Option<&str>) -> Outcome {
        let (value, outcome) = outcome(service(|service| {
            service.spec = ServiceSpec {
                cluster_ip: Some(ip.to_owned()),
                cluster_ips: ips.iter().map(|&text| text.to_owned()).collect(),
                ip_families: families.iter().map(|&text| text.to_owned()).collect(),
                ..std::mem::take(&mut service.spec)
            };
        }));
        let shown = value.map(|service| {
            Family::ALL
                .map(|family| {
                    service
                        .cluster_ips
                        .of(family)
                        .map_or_else(|| "-".to_owned(), |ip| ip.to_string())
                })
                .join(" ")
        });
        assert_eq!(shown.as_deref(), expected);
        outcome
    }

    #[test]
    fn each_family_has_its_cluster_ip() {
        check("10.0.0.1", &[], &[], Some("10.0.0.1 -")).silent();
        check("fd00::1", &[], &[], Some("- fd00::1")).silent();
        check("10.0.0.1", &["10.0.0.1"], &["IPv4"], Some("10.0.0.1 -")).silent();
        let both = Some("10.0.0.1 fd00::1");
        check("10.0.0.1", &["10.0.0.1", "fd00::1"], &["IPv4", "IPv6"], both).silent();
        check("fd00::1", &["fd00::1", "10.0.0.1"], &["IPv6", "IPv4"], both).silent();
        check("fd00::1", &["fd00::1"], &["IPv6", "IPv4"], Some("- fd00::1")).silent();
        check("010.0.0.001", &[], &["IPv4"], Some("10.0.0.1 -")).silent();
        check("::ffff:10.0.0.1", &[], &[], Some("10.0.0.1 -")).silent();
    }

    #[test]
    fn a_service_is_not_served_at_half_of_its_addresses() {
        check("bogus", &[], &[], None).rejected("spec.clusterIP", "bogus");
        check("10.0.0.1", &["10.0.0.1", "bogus"], &["IPv4", "IPv6"], None)
            .rejected("spec.clusterIPs[1]", "bogus");
        check("10.0.0.1", &[], &["IPv6"], None).rejected("spec.clusterIP", "10.0.0.1");
        check("10.0.0.1", &[], &["IPv5"], None).rejected("spec.clusterIP", "10.0.0.1");
        check("127.0.0.1", &[], &[], None).rejected("spec.clusterIP", "127.0.0.1");
        check("0.0.0.0", &[], &[], None).rejected("spec.clusterIP", "0.0.0.0");
        check("ff02::1", &[], &[], None).rejected("spec.clusterIP", "ff02::1");
        check("169.254.1.1", &[], &[], None).rejected("spec.clusterIP", "169.254.1.1");
    }

    #[test]
    fn what_contradicts_without_doubt_costs_nothing() {
        check("", &["10.0.0.1", "fd00::1"], &["IPv4", "IPv6"], None).warned("no cluster IP");
        check("10.0.0.1", &["10.0.0.1", "fd00::1"], &[], Some("10.0.0.1 -"))
            .warned("spec.clusterIPs[1] fd00::1 is not used");
        check("10.0.0.2", &["10.0.0.1"], &["IPv4"], Some("10.0.0.1 -"))
            .rejected("spec.clusterIP", "10.0.0.2");
        check("10.0.0.1", &["10.0.0.1", "fd00::1"], &["IPv4"], Some("10.0.0.1 -"))
            .warned("spec.clusterIPs[1] fd00::1 is not used");
        check("10.0.0.1", &["10.0.0.1", "10.0.0.2"], &["IPv4", "IPv4"], Some("10.0.0.1 -"))
            .warned("spec.clusterIPs[1] 10.0.0.2 is not used");
    }
}
