//! Every metric as it is told, against the names that others rely on, the rules of Prometheus and
//! the page that documents them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use ipvs_backend::netlink::ipvs::{DestinationId, ServiceId, Stats64};
use ipvs_backend::{FamilyTally, Tally};
use proxy_core::memory::Fault;
use proxy_core::{FrontendKind, Protocol, ServiceKey, ServicePortName};

use super::testing::{Scene, service, slice};
use super::totals::{EndpointReading, Reading, ServicePort};
use super::*;

/// Something of everything happened.
fn eventful() -> Scene {
    let mut scene = Scene::started();
    scene.event(service("web", "10.96.0.9", ""));
    scene.event(slice("web", "n1", 1));
    scene.after(2).step();
    scene.reconciler.backend_mut().fail(Fault::Before);
    scene.reconciler.request_resync();
    scene.step();
    scene.reconciler.backend_mut().tamper(|servers| servers.clear());
    scene.after(60).step();
    let counted = FamilyTally {
        rule_failures: 1,
        forgotten_flows: 2,
        flow_looks: vec![Duration::from_millis(2)],
    };
    let families = [counted.clone(), counted];
    scene.recorder.measured(&Tally { families, draining: 1, draining_since: None });
    for resource in Resource::ALL {
        let sources = scene.metrics.sources();
        sources.heard(resource, scene.wall());
        sources.connection(resource, Connection::Down);
        sources.rejected(resource, 1);
    }
    scene.requests.done("GET", "10.96.0.1:443", "200", Duration::from_millis(3));
    for path in ["/healthz", "/livez"] {
        scene.metrics.probes().answered(path, 200);
    }
    read_traffic(&scene.metrics);
    scene
}

/// As if the kernel had been read.
fn read_traffic(metrics: &Metrics) {
    let address: IpAddr = [10, 96, 0, 9].into();
    let id = ServiceId::Address { protocol: Protocol::Tcp, address, port: 80 };
    let name = ServicePortName { service: ServiceKey::new("default", "web"), port: "http".into() };
    let port = ServicePort { name, protocol: Protocol::Tcp };
    let stats = Stats64 { connections: 7, packets_in: 1, bytes_out: 9, ..Stats64::default() };
    let frontend = (FrontendKind::ClusterIp, 80);
    let endpoint = DestinationId { address: [10, 1, 0, 1].into(), port: 8080 };
    let totals = &mut metrics.statistics.lock().unwrap().totals;
    totals.read(vec![Reading { id, port: port.clone(), frontend, stats }]);
    let found = [EndpointReading { endpoint, active: 3, connections: 7 }];
    totals.read_endpoints([(id, port, &found[..])]);
}

/// A metric as it is told.
#[derive(Debug, Default)]
struct Told {
    kind: String,
    help: String,
    labels: BTreeSet<String>,
    /// Bounds of buckets, as they are written.
    buckets: Vec<String>,
}

/// Reads the text format 0.0.4 strictly: a sample belongs to the metric that was announced last.
fn read(text: &str) -> BTreeMap<String, Told> {
    let mut metrics = BTreeMap::<String, Told>::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            current = name.to_owned();
            let told = Told { help: help.trim_end_matches('.').to_owned(), ..Told::default() };
            assert!(metrics.insert(current.clone(), told).is_none(), "{name} comes twice");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(name, current);
            metrics.get_mut(name).unwrap().kind = kind.to_owned();
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            value.parse::<f64>().unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let told = metrics.get_mut(&current).unwrap();
            let suffix = name.strip_prefix(&current).unwrap_or_else(|| panic!("{line}"));
            let suffixes: &[_] = match &*told.kind {
                "histogram" => &["_bucket", "_count", "_sum"],
                _ => &[""],
            };
            assert!(suffixes.contains(&suffix), "{line}");
            for label in labels.trim_end_matches('}').split("\",").filter(|it| !it.is_empty()) {
                match label.split_once("=\"").unwrap() {
                    ("le", bound) => {
                        let bound = bound.trim_end_matches('"').to_owned();
                        if !told.buckets.contains(&bound) {
                            told.buckets.push(bound);
                        }
                    }
                    (name, _) => drop(told.labels.insert(name.to_owned())),
                }
            }
        }
    }
    metrics
}

/// kube-proxy 1.36 in its IPVS mode: name, type, labels, buckets.
const KUBE_PROXY: [(&str, &str, &str, &str); 14] = [
    (
        "sync_proxy_rules_duration_seconds",
        "histogram",
        "ip_family",
        "0.001 0.002 0.004 0.008 0.016 0.032 0.064 0.128 0.256 0.512 1.024 2.048 4.096 8.192 16.384 +Inf",
    ),
    ("sync_proxy_rules_last_timestamp_seconds", "gauge", "ip_family", ""),
    ("sync_proxy_rules_last_queued_timestamp_seconds", "gauge", "ip_family", ""),
    ("sync_proxy_rules_endpoint_changes_pending", "gauge", "", ""),
    ("sync_proxy_rules_endpoint_changes_total", "counter", "", ""),
    ("sync_proxy_rules_service_changes_pending", "gauge", "", ""),
    ("sync_proxy_rules_service_changes_total", "counter", "", ""),
    (
        "network_programming_duration_seconds",
        "histogram",
        "ip_family",
        "0.25 0.5 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 65 70 75 80 85 90 95 100 105 110 115 120 150 180 210 240 270 300 +Inf",
    ),
    ("sync_proxy_rules_no_local_endpoints_total", "gauge", "ip_family traffic_policy", ""),
    ("sync_proxy_rules_iptables_restore_failures_total", "counter", "ip_family", ""),
    (
        "conntrack_reconciler_sync_duration_seconds",
        "histogram",
        "ip_family",
        "0.001 0.002 0.004 0.008 0.016 0.032 0.064 0.128 0.256 0.512 1.024 2.048 4.096 8.192 16.384 +Inf",
    ),
    ("conntrack_reconciler_deleted_entries_total", "counter", "ip_family", ""),
    ("proxy_healthz_total", "counter", "code", ""),
    ("proxy_livez_total", "counter", "code", ""),
];

#[test]
fn kube_proxys_metrics_have_its_names_types_labels_and_buckets() {
    let told = read(&eventful().text());
    for (name, kind, labels, buckets) in KUBE_PROXY {
        let metric = told.get(&format!("kubeproxy_{name}")).unwrap_or_else(|| panic!("{name}"));
        let found: Vec<_> = metric.labels.iter().map(String::as_str).collect();
        assert_eq!((&*metric.kind, &*found.join(" ")), (kind, labels), "{name}");
        let bound = |text: &str| text.parse::<f64>().unwrap();
        let found: Vec<_> = metric.buckets.iter().map(|it| bound(it)).collect();
        assert_eq!(found, buckets.split_whitespace().map(bound).collect::<Vec<_>>(), "{name}");
    }
    assert_eq!(
        told.keys().filter(|name| name.starts_with("kubeproxy_")).count(),
        KUBE_PROXY.len(),
        "no others"
    );
    let requests = &told["rest_client_requests_total"];
    let labels: Vec<_> = requests.labels.iter().map(String::as_str).collect();
    assert_eq!((&*requests.kind, &*labels), ("counter", &["code", "host", "method"][..]));
    let durations = &told["rest_client_request_duration_seconds"];
    let labels: Vec<_> = durations.labels.iter().map(String::as_str).collect();
    assert_eq!((&*durations.kind, &*labels), ("histogram", &["host", "verb"][..]));
}

/// What `promtool check metrics` looks at, and no more than that.
#[test]
fn names_and_texts_keep_to_the_rules_of_prometheus() {
    /// kube-proxy calls it so.
    const EXEMPT: &str = "kubeproxy_sync_proxy_rules_no_local_endpoints_total";
    for (name, Told { kind, help, labels, .. }) in read(&eventful().text()) {
        assert!(!help.is_empty(), "{name} is not explained");
        assert!(["counter", "gauge", "histogram"].contains(&&*kind), "{name}: {kind}");
        let is_total = name.ends_with("_total");
        assert!(is_total == (kind == "counter") || name == EXEMPT, "{name} is a {kind}");
        for text in labels.iter().chain([&name]) {
            let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
            assert!(text.bytes().all(is_plain), "{text}");
        }
        let words: Vec<_> = name.split('_').collect();
        for unit in ["milliseconds", "ms", "minutes", "kilobytes", "kb", "bits", "percent", "sec"] {
            assert!(!words.contains(&unit), "{name}: {unit} is no base unit");
        }
        for kind in ["counter", "gauge", "histogram", "summary"] {
            assert!(!words.contains(&kind), "{name} names a type");
        }
        assert!(!["_count", "_sum", "_bucket"].iter().any(|it| name.ends_with(it)), "{name}");
        assert!(!labels.contains("quantile"), "{name}");
    }
}

#[test]
fn who_follows_objects_says_so() {
    let scene = Scene::begin();
    let sources = scene.metrics.sources();
    scene.check("proxyd_watch_connected{resource=\"services\"}", None);
    sources.connection(Resource::Services, Connection::Up);
    sources.heard(Resource::Services, scene.wall());
    scene.check("proxyd_watch_connected{resource=\"services\"}", 1.0);
    let heard = "proxyd_watch_last_event_timestamp_seconds{resource=\"services\"}";
    scene.check(heard, 1_767_323_045.0);
    sources.connection(Resource::Services, Connection::Down);
    scene.check("proxyd_watch_connected{resource=\"services\"}", 0.0);
    for count in [3, 0] {
        sources.rejected(Resource::Nodes, count);
        scene.check("proxyd_rejections{resource=\"nodes\"}", count as f64);
    }
    scene.metrics.probes().answered("/livez", 503);
    scene.check("kubeproxy_proxy_livez_total{code=\"503\"}", 1.0);
}

/// Dashboards and alerts are written for these.
const OURS: [(&str, &str); 17] = [
    ("build_info", "version"),
    ("services_pending", ""),
    ("sync_failures_total", "kind"),
    ("drift_total", "kind"),
    ("kernel_changes_total", ""),
    ("draining_destinations", ""),
    ("draining_oldest_seconds", ""),
    ("watch_last_event_timestamp_seconds", "resource"),
    ("watch_connected", "resource"),
    ("rejections", "resource"),
    ("conflicts", ""),
    ("service_connections_total", "namespace port protocol service"),
    ("service_packets_total", "direction namespace port protocol service"),
    ("service_bytes_total", "direction namespace port protocol service"),
    ("endpoint_active_connections", "endpoint namespace port service"),
    ("endpoint_connections_total", "endpoint namespace port service"),
    ("series_dropped", "kind"),
];

#[test]
fn our_metrics_have_their_names_and_labels() {
    let told = read(&eventful().text());
    for (name, labels) in OURS {
        let metric = told.get(&format!("proxyd_{name}")).unwrap_or_else(|| panic!("{name}"));
        let found: Vec<_> = metric.labels.iter().map(String::as_str).collect();
        assert_eq!(found.join(" "), labels, "{name}");
    }
    assert_eq!(told.keys().filter(|name| name.starts_with("proxyd_")).count(), OURS.len());
}

/// An alert on a metric that nobody tells would never be raised.
#[test]
fn dashboards_and_alerts_ask_for_nothing_that_is_not_told() {
    let told = read(&eventful().text());
    let monitoring = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/monitoring");
    for file in ["alerts.yaml", "dashboard.json"] {
        let text = std::fs::read_to_string(monitoring.join(file)).expect("it can be read");
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let names = words.filter(|it| it.starts_with("proxyd_") || it.starts_with("kubeproxy_"));
        let mut count = 0;
        for name in names {
            let bare =
                ["_bucket", "_count", "_sum"].into_iter().find_map(|it| name.strip_suffix(it));
            assert!(told.contains_key(bare.unwrap_or(name)), "{file} asks for {name}");
            count += 1;
        }
        assert!(count > 0, "{file} asks for nothing");
    }
}

#[test]
fn the_page_in_docs_lists_every_metric() {
    const BEGIN: &str =
        "<!-- This table is written by a test: UPDATE_EXPECT=1 cargo test -p proxyd -->\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
    let page = std::fs::read_to_string(&path).expect("docs/metrics.md can be read");
    let (before, rest) = page.split_once(BEGIN).expect("the page has a place for the table");
    let after = rest.split_once("<!-- end -->").expect("the table has an end").1;
    let table = table(&read(&eventful().text()));
    let expected = format!("{before}{BEGIN}{table}<!-- end -->{after}");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, &expected).expect("docs/metrics.md can be written");
    } else {
        let line = page.lines().zip(expected.lines()).position(|(one, other)| one != other);
        assert!(page == expected, "line {line:?} is otherwise; UPDATE_EXPECT=1 rewrites the page");
    }
}

fn table(metrics: &BTreeMap<String, Told>) -> String {
    let mut table = "\n| metric | type | labels | meaning |\n|---|---|---|---|\n".to_owned();
    for (name, Told { kind, help, labels, buckets }) in metrics {
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        let buckets = match &**buckets {
            [first, .., last, _] => {
                format!("; {} buckets from {first} to {last}", buckets.len() - 1)
            }
            _ => String::new(),
        };
        let labels = labels.join(", ");
        writeln!(table, "| `{name}` | {kind} | {labels} | {help}{buckets} |")
            .expect("a String takes all");
    }
    table + "\n"
}
