//! Feature gates. kube-proxy refuses gates it does not know; here they are passed over, so that a
//! file serves kube-proxies of several versions.

use super::settings::ExternalIps;
use super::v1alpha1::KubeProxyConfiguration;
use super::validate::Check;

/// Whether `externalIPs` are served. Other gates have no effect.
pub(super) fn external_ips(config: &KubeProxyConfiguration, check: &mut Check<'_>) -> ExternalIps {
    let mut external_ips = ExternalIps::Serve;
    for (name, is_on) in config.feature_gates.iter().flatten() {
        let path = format!("featureGates.{name}");
        match (name.as_str(), *is_on) {
            ("AllowServiceExternalIPs", false) => external_ips = ExternalIps::Ignore,
            // What they say is so in any case.
            (
                "AllowServiceExternalIPs" | "PreferSameTrafficDistribution" | "KubeProxyIPVS",
                true,
            ) => {}
            ("PreferSameTrafficDistribution" | "KubeProxyIPVS", false) => {
                check.warning(&path, false, "is on and cannot be turned off; ignored");
            }
            _ => check.warning(&path, *is_on, "has no effect in proxyd; ignored"),
        }
    }
    external_ips
}
