//! Who may use a Service's load-balancer IPs. It never fails open: ranges that cannot be read
//! let nobody in, rather than everybody.

use std::net::IpAddr;

use ipnet::IpNet;

use super::findings::Findings;
use super::{ServiceSpec, text};
use crate::{Admission, ClusterIps, Family, SourceRanges};

/// `spec.loadBalancerSourceRanges` by family. In order, for each family:
/// 1. no range is given at all: anyone;
/// 2. one of its ranges is the whole family: anyone, with a warning;
/// 3. it has usable ranges: only clients inside one of them;
/// 4. none of the given ranges is usable, for either family: nobody;
/// 5. an unusable range was written for this family: nobody;
/// 6. all ranges are for the other family: anyone, with a warning if it has a load-balancer IP.
pub(super) fn source_ranges(
    spec: &ServiceSpec,
    cluster_ips: ClusterIps,
    load_balancer_ips: &[IpAddr],
    findings: &mut Findings,
) -> SourceRanges {
    let given = Given::read(spec, cluster_ips, findings);
    let mut ranges = SourceRanges::default();
    for family in Family::ALL {
        let has_address = load_balancer_ips.iter().any(|ip| Family::of(*ip) == family);
        ranges.set(family, given.admission(family, has_address, findings));
    }
    ranges
}

struct Given {
    usable: Vec<IpNet>,
    /// Of each unusable range, the family it looks like.
    unusable: Vec<Option<Family>>,
}

impl Given {
    fn read(spec: &ServiceSpec, cluster_ips: ClusterIps, findings: &mut Findings) -> Self {
        let mut given = Self { usable: Vec::new(), unusable: Vec::new() };
        for (index, value) in spec.load_balancer_source_ranges.iter().enumerate() {
            let field = format!("spec.loadBalancerSourceRanges[{index}]");
            let Some(range) = text::cidr(value.trim()) else {
                let reason =
                    "is not a range and admits nobody; write it as 192.0.2.0/24 or 2001:db8::/32";
                findings.reject(field, value, reason);
                given.unusable.push(text::intended_family(value.trim()));
                continue;
            };
            let family = family(&range);
            if cluster_ips.of(family).is_none() {
                findings.warn(format!(
                    "{field} {range} has no effect: there is no {family} cluster IP"
                ));
            } else if text::is_everything(&range) {
                findings.warn(format!(
                    "{field} {range} opens the load-balancer IPs to every {family} client"
                ));
            }
            given.usable.push(range);
        }
        given.usable.sort_unstable();
        given.usable.dedup();
        given
    }

    fn admission(&self, family: Family, has_address: bool, findings: &mut Findings) -> Admission {
        let own: Vec<IpNet> =
            self.usable.iter().copied().filter(|range| self::family(range) == family).collect();
        if own.iter().any(text::is_everything) {
            return Admission::Anyone;
        }
        let none_usable = self.usable.is_empty() && !self.unusable.is_empty();
        if !own.is_empty() || none_usable || self.unusable.contains(&Some(family)) {
            return Admission::Only(own.into());
        }
        if has_address && !self.usable.is_empty() {
            findings.warn(format!(
                "spec.loadBalancerSourceRanges has no {family} range, so the {family} \
                 load-balancer IPs are open to every client"
            ));
        }
        Admission::Anyone
    }
}

fn family(range: &IpNet) -> Family {
    Family::of(range.addr())
}

#[cfg(test)]
mod tests {
    use crate::api::testing::{Outcome, ingress, outcome, service};
    use crate::{Admission, Family};

    /// A dual-stack Service; expected is `IPv4 | IPv6`, each `anyone`, `nobody` or ranges.
    #[track_caller]
    fn check(given: &[&str], expected: &str) -> Outcome {
        check_with(&["10.96.0.9", "fd00::9"], &[], given, expected)
    }

    #[track_caller]
    fn check_with(cluster: &[&str], vips: &[&str], given: &[&str], expected: &str) -> Outcome {
        let (value, outcome) = outcome(service(|service| {
            service.spec.kind = Some("LoadBalancer".to_owned());
            let family = |ip: &&str| if ip.contains(':') { "IPv6" } else { "IPv4" };
            service.spec.cluster_ip = cluster.first().map(|&text| text.to_owned());
            service.spec.ip_families = cluster.iter().map(|ip| family(ip).to_owned()).collect();
            service.spec.cluster_ips = cluster.iter().map(|&text| text.to_owned()).collect();
            service.status.load_balancer.ingress = vips.iter().map(|ip| ingress(ip, "")).collect();
            service.spec.load_balancer_source_ranges =
                given.iter().map(|&text| text.to_owned()).collect();
        }));
        let ranges = value.unwrap().source_ranges;
        let shown = Family::ALL.map(|family| match ranges.of(family) {
            Admission::Anyone => "anyone".to_owned(),
            Admission::Only(ranges) if ranges.is_empty() => "nobody".to_owned(),
            Admission::Only(ranges) => {
                ranges.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
            }
        });
        assert_eq!(shown.join(" | "), expected, "{given:?}");
        outcome
    }

    #[test]
    fn ranges_are_sorted_by_family() {
        check(&[], "anyone | anyone").silent();
        check(&["10.0.0.0/8"], "10.0.0.0/8 | anyone").silent();
        check(&["fd00::/8"], "anyone | fd00::/8").silent();
        check(&[" 10.1.2.3/8 ", "9.0.0.0/8", "10.0.0.0/8"], "9.0.0.0/8 10.0.0.0/8 | anyone")
            .silent();
    }

    #[test]
    fn a_range_of_everything_opens_its_family() {
        check(&[" 10.0.0.0/8 ", "0.0.0.0/0", "fd00::/8"], "anyone | fd00::/8")
            .warned("spec.loadBalancerSourceRanges[1] 0.0.0.0/0 opens");
        check(&["::/0", "10.0.0.0/8"], "10.0.0.0/8 | anyone").warned("::/0 opens");
        check(&["bogus", "0.0.0.0/0"], "anyone | anyone")
            .rejected("spec.loadBalancerSourceRanges[0]", "bogus");
    }

    #[test]
    fn ranges_that_cannot_be_read_let_nobody_in() {
        check(&["bogus"], "nobody | nobody").rejected("spec.loadBalancerSourceRanges[0]", "bogus");
        check(&[""], "nobody | nobody").rejected("spec.loadBalancerSourceRanges[0]", "");
        check(&["10.0.0.0"], "nobody | nobody")
            .rejected("spec.loadBalancerSourceRanges[0]", "10.0.0.0");
    }

    #[test]
    fn an_unusable_range_closes_the_family_it_was_written_for() {
        check(&["10.0.0.0/33", "fd00::/8"], "nobody | fd00::/8")
            .rejected("spec.loadBalancerSourceRanges[0]", "10.0.0.0/33");
        check(&["10.0.0.0/8", "fd00::/129"], "10.0.0.0/8 | nobody")
            .rejected("spec.loadBalancerSourceRanges[1]", "fd00::/129");
        check(&["10.0.0.0/33", "10.0.0.0/8"], "10.0.0.0/8 | anyone")
            .rejected("spec.loadBalancerSourceRanges[0]", "10.0.0.0/33");
        check(&["bogus", "10.0.0.0/8"], "10.0.0.0/8 | anyone")
            .rejected("spec.loadBalancerSourceRanges[0]", "bogus");
    }

    #[test]
    fn a_family_left_open_by_ranges_of_the_other_is_a_warning() {
        let dual = ["10.96.0.9", "fd00::9"];
        check_with(&dual, &["2001:db8::7"], &["10.0.0.0/8"], "10.0.0.0/8 | anyone")
            .warned("so the IPv6 load-balancer IPs are open to every client");
        check_with(&["10.96.0.9"], &[], &["fd00::/8"], "anyone | fd00::/8")
            .warned("spec.loadBalancerSourceRanges[0] fd00::/8 has no effect");
    }
}
