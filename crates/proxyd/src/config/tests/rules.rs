use super::{Severity, file};
use crate::config::Mode;

/// The fields of all errors, and of all warnings, that a file for IPVS causes.
#[track_caller]
fn check(text: &str, errors: &[&str], warnings: &[&str]) {
    let head = if text.contains("mode:") { "" } else { "mode: ipvs\n" };
    let configuration = file(&format!("{head}{text}"));
    let problems = configuration.all_problems();
    assert_eq!(configuration.fields_of(Severity::Error), errors, "{text}\n{problems}");
    assert_eq!(configuration.fields_of(Severity::Warning), warnings, "{text}\n{problems}");
    assert_eq!(configuration.settings().is_some(), errors.is_empty(), "{text}");
}

#[test]
fn each_rule_has_its_limits() {
    for (good, bad, field) in [
        (
            "iptables: {masqueradeBit: 31}",
            "iptables: {masqueradeBit: 32}",
            "iptables.masqueradeBit",
        ),
        ("iptables: {masqueradeBit: 0}", "iptables: {masqueradeBit: -1}", "iptables.masqueradeBit"),
        ("ipvs: {tcpTimeout: 1ns}", "ipvs: {tcpTimeout: -1ns}", "ipvs.tcpTimeout"),
        ("ipvs: {tcpFinTimeout: 0s}", "ipvs: {tcpFinTimeout: -1s}", "ipvs.tcpFinTimeout"),
        ("ipvs: {udpTimeout: 0}", "ipvs: {udpTimeout: -1s}", "ipvs.udpTimeout"),
        (
            "ipvs: {excludeCIDRs: ['::1/128']}",
            "ipvs: {excludeCIDRs: ['::1']}",
            "ipvs.excludeCIDRs[0]",
        ),
        ("ipvs: {syncPeriod: 1s}", "ipvs: {syncPeriod: -1s}", "ipvs.syncPeriod"),
        ("ipvs: {minSyncPeriod: 30s}", "ipvs: {minSyncPeriod: 31s}", "ipvs.minSyncPeriod"),
        ("ipvs: {minSyncPeriod: 0s}", "ipvs: {minSyncPeriod: -1s}", "ipvs.minSyncPeriod"),
        ("ipvs: {scheduler: mh}", "ipvs: {scheduler: MH}", "ipvs.scheduler"),
        ("conntrack: {maxPerCore: 0}", "conntrack: {maxPerCore: -1}", "conntrack.maxPerCore"),
        ("conntrack: {min: 0}", "conntrack: {min: -1}", "conntrack.min"),
        (
            "conntrack: {tcpEstablishedTimeout: 0s}",
            "conntrack: {tcpEstablishedTimeout: -1s}",
            "conntrack.tcpEstablishedTimeout",
        ),
        (
            "conntrack: {tcpCloseWaitTimeout: 0s}",
            "conntrack: {tcpCloseWaitTimeout: -1s}",
            "conntrack.tcpCloseWaitTimeout",
        ),
        ("conntrack: {udpTimeout: 1s}", "conntrack: {udpTimeout: -1s}", "conntrack.udpTimeout"),
        (
            "conntrack: {udpStreamTimeout: 1s}",
            "conntrack: {udpStreamTimeout: -1s}",
            "conntrack.udpStreamTimeout",
        ),
        ("oomScoreAdj: 1000", "oomScoreAdj: 1001", "oomScoreAdj"),
        ("oomScoreAdj: -1000", "oomScoreAdj: -1001", "oomScoreAdj"),
        ("mode: ipvs", "mode: userspace", "mode"),
        (
            "clientConnection: {burst: 10}",
            "clientConnection: {burst: -1}",
            "clientConnection.burst",
        ),
        ("configSyncPeriod: 15m", "configSyncPeriod: -1ns", "configSyncPeriod"),
        ("bindAddress: 192.0.2.1", "bindAddress: 192.0.2", "bindAddress"),
        ("hostnameOverride: ' A '", "hostnameOverride: ' '", "hostnameOverride"),
        (
            "healthzBindAddress: '[::1]:1'",
            "healthzBindAddress: 'localhost:1'",
            "healthzBindAddress",
        ),
        (
            "healthzBindAddress: '0.0.0.0:65535'",
            "healthzBindAddress: '0.0.0.0:65536'",
            "healthzBindAddress",
        ),
        (
            "metricsBindAddress: '0.0.0.0:1'",
            "metricsBindAddress: '0.0.0.0:0'",
            "metricsBindAddress",
        ),
        ("metricsBindAddress: '::'", "metricsBindAddress: ':10249'", "metricsBindAddress"),
        (
            "nodePortAddresses: [primary]",
            "nodePortAddresses: [primary, 10.0.0.0/8]",
            "nodePortAddresses",
        ),
        (
            "nodePortAddresses: [10.0.0.0/8]",
            "nodePortAddresses: [10.0.0.0/8, all]",
            "nodePortAddresses[1]",
        ),
        ("detectLocalMode: NodeCIDR", "detectLocalMode: nodeCIDR", "detectLocalMode"),
        (
            "{detectLocalMode: BridgeInterface, detectLocal: {bridgeInterface: br0}}",
            "{detectLocalMode: BridgeInterface, detectLocal: {interfaceNamePrefix: br0}}",
            "detectLocal.bridgeInterface",
        ),
        (
            "{detectLocalMode: InterfaceNamePrefix, detectLocal: {interfaceNamePrefix: br0}}",
            "{detectLocalMode: InterfaceNamePrefix, detectLocal: {bridgeInterface: br0}}",
            "detectLocal.interfaceNamePrefix",
        ),
        ("clusterCIDR: 10.0.0.0/8", "clusterCIDR: 10.0.0.0", "clusterCIDR"),
        (
            "clusterCIDR: '10.0.0.0/8,fd00::/64'",
            "clusterCIDR: '10.0.0.0/8,10.1.0.0/16'",
            "clusterCIDR",
        ),
        ("logging: {format: json}", "logging: {format: xml}", "logging.format"),
        (
            "logging: {flushFrequency: 5s}",
            "logging: {flushFrequency: -1}",
            "logging.flushFrequency",
        ),
        ("proxyd: {binding: address}", "proxyd: {binding: ''}", "proxyd.binding"),
        ("proxyd: {drainLimit: 0s}", "proxyd: {drainLimit: -1s}", "proxyd.drainLimit"),
        ("proxyd: {drainGrace: 1h}", "proxyd: {drainGrace: -1h}", "proxyd.drainGrace"),
        (
            "proxyd: {internalMarks: {value: 0x4000}}",
            "proxyd: {internalMarks: {value: 0x4001}}",
            "proxyd.internalMarks.value",
        ),
        (
            "proxyd: {auditServicesPerSecond: 1}",
            "proxyd: {auditServicesPerSecond: 0}",
            "proxyd.auditServicesPerSecond",
        ),
    ] {
        let [good, bad] = [good, bad].map(|text| match text.strip_prefix('{') {
            Some(fields) => fields[..fields.len() - 1].replacen(", ", "\n", 1),
            None => text.to_owned(),
        });
        check(&good, &[], &[]);
        check(&bad, &[field], &[]);
    }
}

#[test]
fn all_errors_are_told_at_once_with_place_value_and_remedy() {
    let configuration = file(
        "mode: userspace\nipvs:\n  syncPeriod: -5s\n  minSyncPeriod: 1h\nclusterCIDR: a,b\n\
         oomScoreAdj: 9999\nproxyd: {auditServicesPerSecond: 0}\n",
    );
    assert_eq!(
        configuration.all_problems(),
        "error: mode = \"userspace\" (line 3, column 1): must be ipvs (or iptables, nftables, which \
         proxyd is not)\n\
         error: ipvs.syncPeriod = \"-5s\" (line 5, column 3): must be more than 0; leave it out for \
         the default\n\
         error: clusterCIDR = \"a,b\" (line 7, column 1): must be one network, or an IPv4 and an \
         IPv6 one, as 10.244.0.0/16,fd00:10:244::/56\n\
         error: oomScoreAdj = 9999 (line 8, column 1): must be from -1000 to 1000\n\
         error: proxyd.auditServicesPerSecond = 0 (line 9, column 10): must be 1 or more: drift \
         would never be found between full comparisons\n"
    );
}

#[test]
fn another_mode_is_a_warning_that_says_what_will_happen() {
    for mode in ["''", "iptables", "nftables"] {
        check(&format!("mode: {mode}"), &[], &["mode"]);
    }
    let problem = file("mode: iptables").problems()[0].to_string();
    assert!(
        problem.ends_with(
            "say mode: ipvs (--proxy-mode=ipvs), or proxyd.anyMode: true (--any-mode), for proxyd \
             to serve"
        ),
        "{problem}"
    );
    for text in [
        "mode: iptables\nproxyd: {anyMode: true}",
        "proxyd: {anyMode: true}",
        "proxyd: {manifests: /etc/manifests}",
    ] {
        check(text, &[], &[]);
        assert_eq!(file(text).settings().unwrap().mode, Mode::Ipvs, "{text}");
    }
    check("mode: nftables\nproxyd: {manifests: /etc/manifests}", &[], &["mode"]);
}

#[test]
fn own_settings_are_checked() {
    for (text, errors) in [
        ("proxyd: {inputPolicy: respect, binding: address}", &[][..]),
        ("proxyd: {inputPolicy: drop}", &["proxyd.inputPolicy"]),
        ("proxyd: {binding: loopback}", &["proxyd.binding"]),
        ("proxyd: {nodeIPs: [192.0.2.1, '2001:db8::1']}", &[]),
        ("proxyd: {nodeIPs: [192.0.2.1, 192.0.2.2]}", &["proxyd.nodeIPs[1]"]),
        ("proxyd: {apiServers: ['https://192.0.2.1:6443', 'http://[::1]:80']}", &[]),
        ("proxyd: {apiServers: ['192.0.2.1:6443']}", &["proxyd.apiServers[0]"]),
        ("proxyd: {watchNodes: all}", &[]),
        ("proxyd: {watchNodes: none}", &["proxyd.watchNodes"]),
        ("proxyd: {page: none}", &[]),
        ("proxyd: {page: loopback}", &[]),
        ("proxyd: {page: all}", &[]),
        ("proxyd: {page: 'yes'}", &["proxyd.page"]),
        ("proxyd: {nodeIPs: [127.0.0.1]}", &["proxyd.nodeIPs[0]"]),
        ("proxyd: {nodeIPs: [node-1]}", &["proxyd.nodeIPs[0]"]),
        ("proxyd: {socket: ''}", &[]),
        ("proxyd: {socket: proxyd.sock}", &["proxyd.socket"]),
    ] {
        check(&format!("mode: ipvs\n{text}"), errors, &[]);
    }
}

#[test]
fn what_has_no_effect_is_a_warning_when_it_is_not_the_default() {
    for (text, warnings) in [
        ("enableProfiling: true", &["enableProfiling"][..]),
        ("enableProfiling: false", &[]),
        ("iptables: {localhostNodePorts: false}", &["iptables.localhostNodePorts"]),
        ("iptables: {localhostNodePorts: true, syncPeriod: 30s}", &[]),
        ("iptables: {syncPeriod: 31s}", &["iptables.syncPeriod"]),
        ("nftables: {masqueradeBit: 14, masqueradeAll: true}", &["nftables.masqueradeAll"]),
        ("winkernel: {sourceVip: 192.0.2.1}", &["winkernel.sourceVip"]),
        ("portRange: 1-2", &["portRange"]),
        ("clientConnection: {contentType: application/json}", &["clientConnection.contentType"]),
        ("logging: {options: {json: {splitStream: true}}}", &["logging.options.json.splitStream"]),
        ("featureGates: {NoSuchGate: true}", &["featureGates.NoSuchGate"]),
        (
            "featureGates: {PreferSameTrafficDistribution: false}",
            &["featureGates.PreferSameTrafficDistribution"],
        ),
        ("featureGates: {KubeProxyIPVS: true, AllowServiceExternalIPs: true}", &[]),
    ] {
        check(text, &[], warnings);
    }
}

#[test]
fn patterns_of_logs_are_checked_though_nothing_uses_them() {
    let tolerated = &["logging.vmodule"];
    check("logging: {vmodule: [{filePattern: a, verbosity: 1}]}", &[], tolerated);
    check("logging: {vmodule: [{filePattern: 'a=', verbosity: 1}]}", tolerated, &[]);
    check("logging: {vmodule: [{verbosity: 1}]}", tolerated, &[]);
    let json = "logging: {format: json, vmodule: [{filePattern: a, verbosity: 1}]}";
    check(json, tolerated, &[]);
}
