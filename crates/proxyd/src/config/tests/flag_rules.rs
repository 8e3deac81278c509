use serde_json::json;

use super::{Configuration, Origin, Severity, file_with, flags, try_flags};

#[test]
fn every_flag_sets_its_field() {
    for (args, path, value) in [
        (&["--proxy-mode=ipvs"][..], "mode", json!("ipvs")),
        (&["--proxy-mode", "ipvs"], "mode", json!("ipvs")),
        (&["--proxy_mode=ipvs"], "mode", json!("ipvs")),
        (&["--proxy-mode=iptables", "--proxy-mode=ipvs"], "mode", json!("ipvs")),
        (&["--kubeconfig", "/k"], "clientConnection.kubeconfig", json!("/k")),
        (&["--kube-api-content-type=a"], "clientConnection.contentType", json!("a")),
        (&["--kube-api-qps=7"], "clientConnection.qps", json!(7.0)),
        (&["--kube-api-burst=0"], "clientConnection.burst", json!(0)),
        (&["--hostname-override= Node-A "], "hostnameOverride", json!("node-a")),
        (&["--hostname-override="], "hostnameOverride", json!("")),
        (&["--bind-address=::1"], "bindAddress", json!("::1")),
        (&["--bind-address=::1"], "healthzBindAddress", json!("[::]:10256")),
        (&["--bind-address-hard-fail"], "bindAddressHardFail", json!(true)),
        (&["--profiling=T"], "enableProfiling", json!(true)),
        (&["--show-hidden-metrics-for-version=1.35"], "showHiddenMetricsForVersion", json!("1.35")),
        (
            &["--feature-gates=A=true,B=false", "--feature-gates=C=1"],
            "featureGates",
            json!({"A": true, "B": false, "C": true}),
        ),
        (&["--iptables-masquerade-bit=3"], "iptables.masqueradeBit", json!(3)),
        (&["--masquerade-all"], "iptables.masqueradeAll", json!(true)),
        (&["--masquerade-all=false"], "iptables.masqueradeAll", json!(false)),
        (&["--iptables-localhost-nodeports=false"], "iptables.localhostNodePorts", json!(false)),
        (&["--iptables-sync-period=1m"], "iptables.syncPeriod", json!("1m0s")),
        (&["--iptables-min-sync-period=2s"], "iptables.minSyncPeriod", json!("2s")),
        (&["--ipvs-sync-period=1m"], "ipvs.syncPeriod", json!("1m0s")),
        (&["--ipvs-min-sync-period=2s"], "ipvs.minSyncPeriod", json!("2s")),
        (&["--ipvs-scheduler=wrr"], "ipvs.scheduler", json!("wrr")),
        (
            &["--ipvs-exclude-cidrs=a,b", "--ipvs-exclude-cidrs", "c"],
            "ipvs.excludeCIDRs",
            json!(["a", "b", "c"]),
        ),
        (&["--ipvs-strict-arp=1"], "ipvs.strictARP", json!(true)),
        (&["--ipvs-tcp-timeout=1s"], "ipvs.tcpTimeout", json!("1s")),
        (&["--ipvs-tcpfin-timeout=1s"], "ipvs.tcpFinTimeout", json!("1s")),
        (&["--ipvs-udp-timeout=1s"], "ipvs.udpTimeout", json!("1s")),
        (&["--detect-local-mode=NodeCIDR"], "detectLocalMode", json!("NodeCIDR")),
        (&["--pod-bridge-interface=br0"], "detectLocal.bridgeInterface", json!("br0")),
        (&["--pod-interface-name-prefix=cali"], "detectLocal.interfaceNamePrefix", json!("cali")),
        (&["--cluster-cidr=10.0.0.0/8,fd00::/64"], "clusterCIDR", json!("10.0.0.0/8,fd00::/64")),
        (&["--nodeport-addresses=primary"], "nodePortAddresses", json!(["primary"])),
        (&["--nodeport-addresses="], "nodePortAddresses", json!([])),
        (&["--oom-score-adj", "-5"], "oomScoreAdj", json!(-5)),
        (&["--conntrack-max-per-core=0"], "conntrack.maxPerCore", json!(0)),
        (&["--conntrack-min=1"], "conntrack.min", json!(1)),
        (
            &["--conntrack-tcp-timeout-established=0s"],
            "conntrack.tcpEstablishedTimeout",
            json!("0s"),
        ),
        (&["--conntrack-tcp-timeout-close-wait=1s"], "conntrack.tcpCloseWaitTimeout", json!("1s")),
        (&["--conntrack-tcp-be-liberal"], "conntrack.tcpBeLiberal", json!(true)),
        (&["--conntrack-udp-timeout=1s"], "conntrack.udpTimeout", json!("1s")),
        (&["--conntrack-udp-timeout-stream=1s"], "conntrack.udpStreamTimeout", json!("1s")),
        (&["--config-sync-period=1m"], "configSyncPeriod", json!("1m0s")),
        (&["-v", "4"], "logging.verbosity", json!(4)),
        (&["-v=4"], "logging.verbosity", json!(4)),
        (&["-v4"], "logging.verbosity", json!(4)),
        (&["--v=4"], "logging.verbosity", json!(4)),
        (
            &["--vmodule=a=1,b*=2"],
            "logging.vmodule",
            json!([{"filePattern": "a", "verbosity": 1}, {"filePattern": "b*", "verbosity": 2}]),
        ),
        (&["--logging-format=json"], "logging.format", json!("json")),
        (&["--log-flush-frequency=1s"], "logging.flushFrequency", json!("1s")),
        (&["--log-text-split-stream"], "logging.options.text.splitStream", json!(true)),
        (&["--log-text-info-buffer-size=1Ki"], "logging.options.text.infoBufferSize", json!("1Ki")),
        (&["--log-json-split-stream"], "logging.options.json.splitStream", json!(true)),
        (&["--log-json-info-buffer-size=0"], "logging.options.json.infoBufferSize", json!("0")),
        (&["--proxy-port-range=1-2"], "portRange", json!("1-2")),
    ] {
        let configuration = Configuration::of_flags(&flags(args));
        assert_eq!(*configuration.field(path), value, "{args:?}");
    }
}

#[test]
fn actions_and_inherited_flags_are_taken_and_change_nothing() {
    let args = flags(&[
        "--proxy-mode=ipvs",
        "--cleanup",
        "--init-only=false",
        "--version=raw",
        "--master=https://a",
        "--write-config-to=/x",
        "--boot-id-file=/x",
        "--machine-id-file",
        "/x",
    ]);
    let configuration = Configuration::of_flags(&args);
    assert_eq!(configuration.all_problems(), "");
    assert_eq!(args.write_config_to(), Some("/x"));
    let settings = configuration.settings().unwrap();
    assert_eq!(settings.client.master.as_deref(), Some("https://a"));
}

#[test]
fn the_deprecated_ports_go_to_addresses_without_one() {
    for (args, healthz, warnings) in [
        (&["--healthz-bind-address=192.0.2.1", "--healthz-port=7"][..], "192.0.2.1:7", 0),
        (&["--healthz-bind-address=::1", "--healthz-port=7"], "[::1]:7", 0),
        (&["--healthz-bind-address=192.0.2.1"], "192.0.2.1:10256", 0),
        (&["--healthz-bind-address=192.0.2.1:8", "--healthz-port=7"], "192.0.2.1:8", 1),
        (&["--healthz-port=7"], "0.0.0.0:10256", 1),
        (&["--healthz-port=0"], "", 0),
        (&["--healthz-bind-address=192.0.2.1:8", "--healthz-port=0"], "", 0),
        (&["--healthz-bind-address="], "", 0),
    ] {
        let args = [&["--proxy-mode=ipvs"], args].concat();
        let configuration = Configuration::of_flags(&flags(&args));
        assert_eq!(configuration.field("healthzBindAddress"), healthz, "{args:?}");
        assert_eq!(configuration.problems().len(), warnings, "{args:?}");
        assert_eq!(configuration.settings().unwrap().healthz, healthz.parse().ok(), "{args:?}");
    }
    let disabled = Configuration::of_flags(&flags(&["--proxy-mode=ipvs", "--metrics-port=0"]));
    assert_eq!(disabled.settings().unwrap().metrics, None);
    let wrong = Configuration::of_flags(&flags(&["--metrics-port=70000"]));
    assert_eq!(wrong.fields_of(Severity::Error), ["--metrics-port"]);
}

#[test]
fn flags_are_taken_literally_where_a_file_would_say_the_default() {
    let configuration = Configuration::of_flags(&flags(&["--ipvs-sync-period=0s"]));
    assert_eq!(
        configuration.problems()[0].to_string(),
        "error: ipvs.syncPeriod = \"0s\" (flag --ipvs-sync-period): must be more than 0; leave it \
         out for the default"
    );
}

#[test]
fn values_of_a_wrong_form_are_errors() {
    for (arg, field) in [
        ("--oom-score-adj=x", "oomScoreAdj"),
        ("--masquerade-all=maybe", "iptables.masqueradeAll"),
        ("--kube-api-qps=inf", "clientConnection.qps"),
        ("--ipvs-sync-period=30", "ipvs.syncPeriod"),
        ("--hostname-override= ", "hostnameOverride"),
        ("--feature-gates=A", "--feature-gates"),
        ("--feature-gates=A=x", "--feature-gates"),
        ("--vmodule=a=x", "--vmodule"),
        ("-v=-1", "logging.verbosity"),
    ] {
        let configuration = Configuration::of_flags(&flags(&[arg]));
        assert_eq!(configuration.fields_of(Severity::Error), [field], "{arg}");
    }
}

#[test]
fn removed_flags_are_warned_about_and_unknown_ones_refused() {
    let args = flags(&[
        "--proxy-mode=ipvs",
        "--cleanup-ipvs",
        "--cleanup-iptables=true",
        "--udp-timeout",
        "250ms",
        "--resource-container=/x",
        "--logtostderr=true",
        "--alsologtostderr",
        "--log-dir",
        "/x",
        "--log_file=/y",
        "--stderrthreshold=2",
    ]);
    let configuration = Configuration::of_flags(&args);
    assert_eq!(
        configuration.fields_of(Severity::Warning),
        [
            "--cleanup-ipvs",
            "--cleanup-iptables",
            "--udp-timeout",
            "--resource-container",
            "--alsologtostderr",
            "--log-dir",
            "--log-file",
            "--logtostderr",
            "--stderrthreshold",
        ]
    );
    assert!(configuration.settings().is_some());
    for args in [
        &["--no-such-flag"][..],
        &["positional"],
        &["--proxy-mode"],
        &["--masquerade-all", "false"],
    ] {
        assert!(try_flags(args).is_err(), "{args:?}");
    }
}

#[test]
fn a_file_replaces_flags_but_the_name_those_about_logs_and_our_own() {
    let text = "mode: ipvs\nhostnameOverride: of-file\noomScoreAdj: -1\nlogging:\n  verbosity: 1\n  \
                format: json\n  vmodule: [{filePattern: file, verbosity: 1}]\n";
    let configuration = file_with(
        text,
        &[
            "--hostname-override=Of-Flag",
            "-v=5",
            "--logging-format=text",
            "--vmodule=flag=2",
            "--proxy-mode=iptables",
            "--oom-score-adj=-2",
            "--metrics-port=1",
            "--binding=address",
        ],
    );
    for (path, value, origin) in [
        ("mode", json!("ipvs"), Origin::File { line: 3, column: 1 }),
        ("oomScoreAdj", json!(-1), Origin::File { line: 5, column: 1 }),
        ("hostnameOverride", json!("of-flag"), Origin::Flag("hostname-override")),
        ("logging.verbosity", json!(5), Origin::Flag("v")),
        ("logging.format", json!("text"), Origin::Flag("logging-format")),
        (
            "logging.vmodule",
            json!([{"filePattern": "flag", "verbosity": 2}, {"filePattern": "file", "verbosity": 1}]),
            Origin::Flag("vmodule"),
        ),
        ("metricsBindAddress", json!("127.0.0.1:10249"), Origin::Default),
        ("proxyd.binding", json!("address"), Origin::Flag("binding")),
    ] {
        assert_eq!(*configuration.field(path), value, "{path}");
        assert_eq!(configuration.origin(path), origin, "{path}");
    }
    assert_eq!(
        configuration.fields_of(Severity::Warning),
        ["--proxy-mode", "--oom-score-adj", "--metrics-port", "logging.vmodule"]
    );
    let unset = file_with(text, &["--hostname-override="]);
    assert_eq!(unset.field("hostnameOverride"), "of-file");
}
