use ipvs_backend::drain::DrainPolicy;
use ipvs_backend::marks::MarkRange;
use ipvs_backend::rules::Detector;
use ipvs_backend::{AuditPace, Binding, IpvsConfig, NodeIps};
use serde_json::json;

use super::{Configuration, Origin, file, flags};
use crate::config::defaults::with_port;
use crate::config::{DetectLocal, ExternalIps, NodePortAddresses, Settings};

#[test]
fn every_field_has_kube_proxys_default() {
    let configuration = Configuration::of_flags(&flags(&[]));
    let expected = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "featureGates": {},
        "clientConnection": {
            "kubeconfig": "", "acceptContentTypes": "",
            "contentType": "application/vnd.kubernetes.protobuf", "qps": 5.0, "burst": 10,
        },
        "logging": {
            "format": "text", "flushFrequency": "5s", "verbosity": 0, "vmodule": [],
            "options": {
                "text": { "splitStream": false, "infoBufferSize": "0" },
                "json": { "splitStream": false, "infoBufferSize": "0" },
            },
        },
        "hostnameOverride": "",
        "bindAddress": "0.0.0.0",
        "healthzBindAddress": "0.0.0.0:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "bindAddressHardFail": false,
        "enableProfiling": false,
        "showHiddenMetricsForVersion": "",
        "mode": "",
        "iptables": {
            "masqueradeBit": 14, "masqueradeAll": false, "localhostNodePorts": true,
            "syncPeriod": "30s", "minSyncPeriod": "1s",
        },
        "ipvs": {
            "syncPeriod": "30s", "minSyncPeriod": "0s", "scheduler": "", "excludeCIDRs": null,
            "strictARP": false, "tcpTimeout": "0s", "tcpFinTimeout": "0s", "udpTimeout": "0s",
        },
        "nftables": {
            "masqueradeBit": 14, "masqueradeAll": false, "syncPeriod": "30s",
            "minSyncPeriod": "1s",
        },
        "winkernel": {
            "networkName": "", "sourceVip": "", "enableDSR": false, "rootHnsEndpointName": "",
            "forwardHealthCheckVip": false,
        },
        "windowsRunAsService": false,
        "detectLocalMode": "",
        "detectLocal": { "bridgeInterface": "", "interfaceNamePrefix": "" },
        "clusterCIDR": "",
        "nodePortAddresses": null,
        "oomScoreAdj": -999,
        "conntrack": {
            "maxPerCore": 32768, "min": 131_072, "tcpEstablishedTimeout": "24h0m0s",
            "tcpCloseWaitTimeout": "1h0m0s", "tcpBeLiberal": false, "udpTimeout": "0s",
            "udpStreamTimeout": "0s",
        },
        "configSyncPeriod": "15m0s",
        "portRange": "",
        "proxyd": {
            "binding": "route", "drainLimit": "15m0s", "drainGrace": "30s",
            "internalMarks": { "value": "0x2000", "mask": "0x1fff" },
            "manifests": "",
            "anyMode": false,
            "apiServers": null,
            "watchNodes": "own",
            "page": "none",
            "nodeIPs": null,
            "inputPolicy": "accept",
            "auditServicesPerSecond": 20, "socket": "/run/proxyd/proxyd.sock",
        },
    });
    assert_eq!(configuration.effective, expected);
    assert_eq!(configuration.origin("conntrack.min"), Origin::Default);
}

#[test]
fn the_servers_addresses_follow_the_family_and_get_their_ports() {
    for (given, healthz, metrics) in [
        ("bindAddress: '::'", "[::]:10256", "[::1]:10249"),
        ("bindAddress: 192.0.2.1", "0.0.0.0:10256", "127.0.0.1:10249"),
        (
            "{healthzBindAddress: 192.0.2.1, metricsBindAddress: '::1'}",
            "192.0.2.1:10256",
            "[::1]:10249",
        ),
        (
            "{healthzBindAddress: '192.0.2.1:1', metricsBindAddress: '[::]:2'}",
            "192.0.2.1:1",
            "[::]:2",
        ),
    ] {
        let given = given.trim_start_matches('{').trim_end_matches('}').replace(", ", "\n");
        let configuration = file(&format!("mode: ipvs\n{given}\n"));
        assert_eq!(configuration.field("healthzBindAddress"), healthz, "{given}");
        assert_eq!(configuration.field("metricsBindAddress"), metrics, "{given}");
    }
    assert_eq!(with_port("[2001:db8::1]", 7), "[2001:db8::1]:7");
    assert_eq!(with_port("localhost", 7), "localhost");
    assert_eq!(with_port("", 7), "");
}

#[track_caller]
fn settings(text: &str) -> Settings {
    let configuration = file(&format!("mode: ipvs\n{text}"));
    configuration.settings().cloned().unwrap_or_else(|| panic!("{}", configuration.all_problems()))
}

#[test]
fn defaults_tell_the_backend_its_own_defaults_and_to_look_aside() {
    let config =
        settings("").ipvs_config(NodeIps::default(), Detector::default(), Detector::default());
    let audit = AuditPace { aside: true, ..AuditPace::default() };
    let expected = IpvsConfig { audit, ..IpvsConfig::default() };
    assert_eq!(format!("{config:?}"), format!("{expected:?}"));
}

#[test]
fn own_settings_become_the_backends_types() {
    let settings = settings(
        "ipvs: {excludeCIDRs: [192.0.2.0/24]}\niptables: {masqueradeBit: 3}\n\
         proxyd:\n  binding: address\n  drainLimit: 1m\n  drainGrace: 0s\n  \
         auditServicesPerSecond: 100\n  internalMarks: {value: 0x10000, mask: 0xff}\n",
    );
    let config = settings.ipvs_config(NodeIps::default(), Detector::default(), Detector::default());
    assert_eq!(config.node.binding, Binding::Address);
    let (limit, grace) = (std::time::Duration::from_secs(60), std::time::Duration::ZERO);
    assert_eq!(config.drain, DrainPolicy { limit, grace, ..DrainPolicy::default() });
    assert_eq!(config.rules.marks, MarkRange::new(0x10000, 0xff).unwrap());
    assert_eq!(config.rules.mark_bit.mask(), 8);
    assert_eq!((config.audit.services, config.audit.interval.as_secs()), (100, 1));
    assert_eq!(config.excluded, ["192.0.2.0/24".parse().unwrap()]);
}

#[test]
fn detection_of_local_clients_is_one_of_four() {
    let cidr = |ipv4: &str, ipv6: &str| DetectLocal::ClusterCidr {
        ipv4: ipv4.parse().ok(),
        ipv6: ipv6.parse().ok(),
    };
    for (text, expected) in [
        ("", cidr("", "")),
        ("clusterCIDR: 10.0.0.0/8", cidr("10.0.0.0/8", "")),
        ("clusterCIDR: fd00::/64,10.0.0.0/8", cidr("10.0.0.0/8", "fd00::/64")),
        ("detectLocalMode: ClusterCIDR", cidr("", "")),
        ("detectLocalMode: NodeCIDR\nclusterCIDR: not looked at", DetectLocal::NodeCidr),
        (
            "detectLocalMode: BridgeInterface\ndetectLocal: {bridgeInterface: br0}",
            DetectLocal::BridgeInterface("br0".to_owned()),
        ),
        (
            "detectLocalMode: InterfaceNamePrefix\ndetectLocal: {interfaceNamePrefix: cali}",
            DetectLocal::InterfaceNamePrefix("cali".to_owned()),
        ),
    ] {
        assert_eq!(settings(text).detect_local, expected, "{text}");
    }
}

#[test]
fn node_ports_are_served_in_one_of_three_ways() {
    let cidrs = vec!["10.0.0.0/8".parse().unwrap(), "::/0".parse().unwrap()];
    for (text, expected) in [
        ("nodePortAddresses: []", NodePortAddresses::All),
        ("nodePortAddresses: [primary]", NodePortAddresses::Primary),
        ("nodePortAddresses: [10.0.0.0/8, '::/0']", NodePortAddresses::Cidrs(cidrs)),
    ] {
        assert_eq!(settings(text).node_ports, expected, "{text}");
    }
}

#[test]
fn the_one_gate_that_counts_counts() {
    assert_eq!(settings("").external_ips, ExternalIps::Serve);
    let gated = settings("featureGates: {AllowServiceExternalIPs: false}");
    assert_eq!(gated.external_ips, ExternalIps::Ignore);
}
