use serde_json::json;

use super::{Configuration, HEAD, KUBEADM, KubeProxyFlags, Origin, Severity, file};

#[test]
fn what_a_strict_reader_refuses_costs_one_warning() {
    let configuration = file(
        "Mode: nftables\nmode: iptables\nmode: ipvs\nipvs: {scheduler: wrr}\nnoSuch: {a: [b]}\n\
         ipvs: {syncPeriod: 7s, excludeCidrs: [x]}\n",
    );
    assert_eq!(
        configuration.all_problems(),
        "warning: config.conf: line 3: unknown field Mode is ignored, did you mean mode?; line 5: \
         field mode is given twice, the last counts; line 7: unknown field noSuch is ignored; line \
         8: field ipvs is given twice, the last counts; line 8: unknown field ipvs.excludeCidrs is \
         ignored, did you mean excludeCIDRs? (the rest was read)\n"
    );
    assert_eq!(configuration.field("mode"), "ipvs");
    assert_eq!(configuration.field("ipvs.syncPeriod"), "7s");
    // Of a section that is given twice, too, only the last counts.
    assert_eq!(configuration.field("ipvs.scheduler"), "");
    assert_eq!(configuration.field("ipvs.excludeCIDRs"), &json!(null));
}

#[test]
fn every_value_of_a_wrong_type_is_an_error_at_its_place() {
    let configuration = file(
        "mode: ipvs\nipvs:\n  syncPeriod: 5\n  strictARP: maybe\n  minSyncPeriod: 1m\n\
         oomScoreAdj: 3000000000\nconntrack: []\nwinkernel: none\nfeatureGates: {A: 1}\n\
         clusterCIDR: [10.0.0.0/8]\nnodePortAddresses: 10.0.0.0/8\n",
    );
    assert_eq!(
        configuration.fields_of(Severity::Error),
        [
            "ipvs.syncPeriod",
            "ipvs.strictARP",
            "oomScoreAdj",
            "conntrack",
            "winkernel",
            "featureGates",
            "clusterCIDR",
            "nodePortAddresses"
        ]
    );
    assert!(configuration.settings().is_none());
    assert_eq!(
        configuration.problems()[0].to_string(),
        "error: ipvs.syncPeriod = 5 (line 5, column 3): invalid value: integer `5`, expected a \
         duration with units (h, m, s, ms, us, ns), as 30s or 1h30m"
    );
}

#[test]
fn json_is_read_as_yaml_is() {
    let text = "{\n\t\"apiVersion\": \"kubeproxy.config.k8s.io/v1alpha1\",\n\t\"kind\": \
                \"KubeProxyConfiguration\",\n\t\"mode\": \"ipvs\",\n\t\"ipvs\": {\"strictARP\": \
                true, \"syncPeriod\": \"1m\"}, \"oomScoreAdj\": null\n}\n";
    let configuration = Configuration::of_file("config.json", text, &KubeProxyFlags::default());
    assert_eq!(configuration.all_problems(), "");
    assert_eq!(configuration.field("ipvs.strictARP"), true);
    assert_eq!(configuration.field("oomScoreAdj"), -999);
    assert!(matches!(configuration.origin("ipvs.syncPeriod"), Origin::File { line: 5, .. }));
}

#[test]
fn another_kind_of_file_is_an_error_and_nothing_else_is_said() {
    for (text, expected) in [
        ("", "config.conf: holds no object"),
        ("[]", "config.conf: holds no object"),
        ("mode: ipvs", "apiVersion: is missing"),
        ("apiVersion: kubeproxy.config.k8s.io/v1alpha1", "kind: is missing"),
        ("kind: KubeProxyConfiguration\napiVersion: null", "apiVersion = null (line 2, column 1)"),
        (
            "apiVersion: kubeproxy.config.k8s.io/v1alpha2\nkind: KubeProxyConfiguration",
            "apiVersion = \"kubeproxy.config.k8s.io/v1alpha2\" (line 1, column 1)",
        ),
        (
            "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeletConfiguration",
            "kind = \"KubeletConfiguration\" (line 2, column 1)",
        ),
        ("a: [", "config.conf (line 1, column "),
        (&format!("{HEAD}---\n{HEAD}"), "config.conf"),
    ] {
        let configuration = Configuration::of_file("config.conf", text, &KubeProxyFlags::default());
        let problems = configuration.all_problems();
        assert!(problems.starts_with(&format!("error: {expected}")), "{text}: {problems}");
        assert_eq!(configuration.problems().len(), 1, "{text}: {problems}");
        assert!(configuration.settings().is_none());
    }
}

#[test]
fn null_and_zero_say_the_default_save_where_kube_proxy_tells_them_apart() {
    let configuration = file(
        "mode: ipvs\nhostnameOverride:\nipvs: null\nconfigSyncPeriod: 0\nbindAddress: ''\n\
         clientConnection: {qps: 0, burst: 0}\nlogging: {flushFrequency: 0s}\n\
         iptables: {masqueradeBit: 0, localhostNodePorts: false, minSyncPeriod: 0s}\n\
         conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0}\n\
         oomScoreAdj: 0\nproxyd: {drainGrace: 0s}\n",
    );
    for (path, value) in [
        ("ipvs.syncPeriod", json!("30s")),
        ("configSyncPeriod", json!("15m0s")),
        ("bindAddress", json!("0.0.0.0")),
        ("clientConnection.qps", json!(5.0)),
        ("clientConnection.burst", json!(10)),
        ("logging.flushFrequency", json!("5s")),
        ("iptables.minSyncPeriod", json!("1s")),
        ("iptables.masqueradeBit", json!(0)),
        ("iptables.localhostNodePorts", json!(false)),
        ("conntrack.maxPerCore", json!(0)),
        ("conntrack.min", json!(0)),
        ("conntrack.tcpEstablishedTimeout", json!("0s")),
        ("conntrack.tcpCloseWaitTimeout", json!("0s")),
        ("oomScoreAdj", json!(0)),
        ("proxyd.drainGrace", json!("0s")),
    ] {
        let given = configuration.field(path);
        // A bare 0 is a duration, too.
        assert!(*given == value, "{path}: {given} is not {value}");
    }
    assert_eq!(configuration.origin("configSyncPeriod"), Origin::Default);
    assert!(matches!(configuration.origin("oomScoreAdj"), Origin::File { .. }));
}

#[test]
fn flush_frequency_and_marks_have_two_notations_each() {
    let configuration = file(
        "mode: ipvs\nlogging: {flushFrequency: 2500000000}\n\
         proxyd: {internalMarks: {value: 0x100, mask: '0xff'}}\n",
    );
    assert_eq!(configuration.field("logging.flushFrequency"), "2.5s");
    assert_eq!(configuration.field("proxyd.internalMarks.value"), "0x100");
    assert_eq!(configuration.field("proxyd.internalMarks.mask"), "0xff");
}

#[test]
fn kubeadms_file_becomes_settings() {
    let configuration = Configuration::of_file("config.conf", KUBEADM, &KubeProxyFlags::default());
    let settings = configuration.settings().unwrap();
    assert_eq!(settings.sync_period.as_secs(), 30);
    assert!(settings.min_sync_period.is_zero());
    assert_eq!(settings.healthz, Some("0.0.0.0:10256".parse().unwrap()));
    assert_eq!(settings.conntrack.max_per_core.map(u32::from), Some(32_768));
}

#[test]
fn a_gate_given_twice_is_noticed_too() {
    let configuration =
        file("mode: ipvs\nfeatureGates: {KubeProxyIPVS: false, KubeProxyIPVS: true}\n");
    assert_eq!(
        configuration.all_problems(),
        "warning: config.conf: line 4: featureGates.KubeProxyIPVS is given twice, the last counts \
         (the rest was read)\n"
    );
}

#[test]
fn what_is_no_yaml_is_told_with_its_place_once() {
    let configuration = file("mode: ipvs\n? [a]\n: b\n");
    assert_eq!(
        configuration.all_problems(),
        "error: config.conf (line 4, column 3): expected string scalar\n"
    );
}
