//! Every metric that is written while things happen: its name, type, labels and meaning.
//!
//! kube-proxy's names mean here what they mean there, as far as one program that keeps both
//! families in one state can mean it. Metrics that are read when somebody asks are in `statistics`
//! and `process`.

use std::fmt;
use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family as Labelled, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};
use proxy_core::Family;

/// A label with its value.
pub(super) type Label = [(&'static str, &'static str); 1];

pub(super) type Counters = Labelled<Label, Counter>;
pub(super) type Gauges = Labelled<Label, Gauge>;
/// A gauge of seconds.
pub(super) type Seconds = Gauge<f64, AtomicU64>;
pub(super) type SecondsBy = Labelled<Label, Seconds>;
pub(super) type Histograms = Labelled<Label, Histogram, Buckets>;

/// Clones share their values.
#[derive(Clone, Debug)]
pub(crate) struct Families {
    pub(super) sync_duration: Histograms,
    pub(super) last_sync: SecondsBy,
    pub(super) last_queued: SecondsBy,
    pub(super) endpoint_changes_pending: Gauge,
    pub(super) endpoint_changes: Counter,
    pub(super) service_changes_pending: Gauge,
    pub(super) service_changes: Counter,
    pub(super) network_programming: Histograms,
    pub(super) no_local_endpoints: Labelled<[(&'static str, &'static str); 2], Gauge>,
    pub(super) restore_failures: Counters,
    pub(super) flow_sync_duration: Histograms,
    pub(super) flows_deleted: Counters,
    pub(super) healthz: Counters,
    pub(super) livez: Counters,
    pub(super) services_pending: Gauge,
    pub(super) sync_failures: Counters,
    pub(super) drift: Counters,
    pub(super) kernel_changes: Counter,
    pub(super) draining: Gauge,
    pub(super) last_event: SecondsBy,
    pub(super) connected: Gauges,
    pub(super) rejections: Gauges,
    pub(super) conflicts: Gauge,
}

/// Kinds of failures: of single objects, and of whole steps (`kernel`).
const FAILURES: [&str; 5] = ["unsupported", "conflict", "exhausted", "refused", "kernel"];

/// How objects differed from what had been left there.
const DRIFT: [&str; 3] = ["missing", "changed", "unexpected"];

/// Makes histograms with the buckets of one metric.
#[derive(Clone, Copy)]
pub(super) struct Buckets(pub(super) fn() -> Vec<f64>);

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new((self.0)())
    }
}

impl fmt::Debug for Buckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries((self.0)()).finish()
    }
}

/// From 1 ms to 16.384 s, doubling.
fn sync_buckets() -> Vec<f64> {
    (0..15).map(|power| 0.001 * f64::from(1_u32 << power)).collect()
}

/// From a quarter of a second to five minutes.
fn network_programming_buckets() -> Vec<f64> {
    let seconds = (1..60).chain((60..120).step_by(5)).chain((120..=300).step_by(30));
    [0.25, 0.5].into_iter().chain(seconds.map(f64::from)).collect()
}

impl Families {
    /// All of them, under their names in `registry`.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let histograms = |buckets| Histograms::new_with_constructor(Buckets(buckets));
        let families = Self {
            sync_duration: histograms(sync_buckets),
            last_sync: SecondsBy::default(),
            last_queued: SecondsBy::default(),
            endpoint_changes_pending: Gauge::default(),
            endpoint_changes: Counter::default(),
            service_changes_pending: Gauge::default(),
            service_changes: Counter::default(),
            network_programming: histograms(network_programming_buckets),
            no_local_endpoints: Labelled::default(),
            restore_failures: Counters::default(),
            flow_sync_duration: histograms(sync_buckets),
            flows_deleted: Counters::default(),
            healthz: Counters::default(),
            livez: Counters::default(),
            services_pending: Gauge::default(),
            sync_failures: Counters::default(),
            drift: Counters::default(),
            kernel_changes: Counter::default(),
            draining: Gauge::default(),
            last_event: SecondsBy::default(),
            connected: Gauges::default(),
            rejections: Gauges::default(),
            conflicts: Gauge::default(),
        };
        families.name_kube_proxys(registry);
        families.name_ours(registry);
        families.begin();
        families
    }

    /// What is counted is told before it happens for the first time: otherwise the first is missed.
    fn begin(&self) {
        for labels in Family::ALL.map(ip_family) {
            for histograms in
                [&self.sync_duration, &self.network_programming, &self.flow_sync_duration]
            {
                drop(histograms.get_or_create(&labels));
            }
            for counters in [&self.restore_failures, &self.flows_deleted] {
                drop(counters.get_or_create(&labels));
            }
        }
        for code in ["200", "503"] {
            for counters in [&self.healthz, &self.livez] {
                drop(counters.get_or_create(&[("code", code)]));
            }
        }
        for kind in FAILURES {
            drop(self.sync_failures.get_or_create(&[("kind", kind)]));
        }
        for kind in DRIFT {
            drop(self.drift.get_or_create(&[("kind", kind)]));
        }
    }

    /// The library appends `_total` to the names of counters.
    fn name_kube_proxys(&self, registry: &mut Registry) {
        name(
            registry,
            "kubeproxy_sync_proxy_rules_duration_seconds",
            "How long the kernel's programming took, failed attempts included",
            &self.sync_duration,
        );
        name(
            registry,
            "kubeproxy_sync_proxy_rules_last_timestamp_seconds",
            "When everything that was asked for was last in place",
            &self.last_sync,
        );
        name(
            registry,
            "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds",
            "When programming was last asked for",
            &self.last_queued,
        );
        name(
            registry,
            "kubeproxy_sync_proxy_rules_endpoint_changes_pending",
            "Changes of EndpointSlices that are not in place yet",
            &self.endpoint_changes_pending,
        );
        name(
            registry,
            "kubeproxy_sync_proxy_rules_endpoint_changes",
            "Changes of EndpointSlices",
            &self.endpoint_changes,
        );
        name(
            registry,
            "kubeproxy_sync_proxy_rules_service_changes_pending",
            "Services with changes that are not in place yet",
            &self.service_changes_pending,
        );
        name(
            registry,
            "kubeproxy_sync_proxy_rules_service_changes",
            "Changes of Services",
            &self.service_changes,
        );
        name(
            registry,
            "kubeproxy_network_programming_duration_seconds",
            "From a change of endpoints, by the clock of the control plane, until it is in place",
            &self.network_programming,
        );
        name(
            registry,
            "kubeproxy_sync_proxy_rules_no_local_endpoints_total",
            "Services whose Local traffic policy leaves this node without endpoints while others \
             have some",
            &self.no_local_endpoints,
        );
        name(
            registry,
            "kubeproxy_sync_proxy_rules_iptables_restore_failures",
            "Static rules that could not be loaded",
            &self.restore_failures,
        );
        name(
            registry,
            "kubeproxy_conntrack_reconciler_sync_duration_seconds",
            "How long it took to find and forget stale UDP flows",
            &self.flow_sync_duration,
        );
        name(
            registry,
            "kubeproxy_conntrack_reconciler_deleted_entries",
            "Stale UDP flows that the kernel was made to forget",
            &self.flows_deleted,
        );
        name(registry, "kubeproxy_proxy_healthz", "Answers of /healthz", &self.healthz);
        name(registry, "kubeproxy_proxy_livez", "Answers of /livez", &self.livez);
    }

    fn name_ours(&self, registry: &mut Registry) {
        name(
            registry,
            "proxyd_services_pending",
            "Services that wait to be programmed",
            &self.services_pending,
        );
        name(
            registry,
            "proxyd_sync_failures",
            "Kernel objects that could not be brought to their state, each time: unsupported by \
             this kernel, in conflict with somebody else's, a table exhausted, or refused; and \
             steps of which nothing is known: kernel",
            &self.sync_failures,
        );
        name(
            registry,
            "proxyd_drift",
            "Kernel objects that somebody else removed, changed or added, and that were mended",
            &self.drift,
        );
        name(
            registry,
            "proxyd_kernel_changes",
            "Kernel objects that were created, changed or removed",
            &self.kernel_changes,
        );
        name(
            registry,
            "proxyd_draining_destinations",
            "Real servers that left and wait for their connections to end",
            &self.draining,
        );
        name(
            registry,
            "proxyd_watch_last_event_timestamp_seconds",
            "When the API server last said something about a kind of object",
            &self.last_event,
        );
        name(
            registry,
            "proxyd_watch_connected",
            "Whether a kind of object is followed at the API server right now",
            &self.connected,
        );
        name(
            registry,
            "proxyd_rejections",
            "Fields of objects whose values cannot be used, right now",
            &self.rejections,
        );
        name(
            registry,
            "proxyd_conflicts",
            "Frontends that more than one Service claims, right now",
            &self.conflicts,
        );
    }
}

/// Registers what shares its values with `metric`.
fn name<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: &M) {
    registry.register(name, help, metric.clone());
}

/// The label that says which family something is about.
pub(super) const fn ip_family(family: Family) -> Label {
    [("ip_family", family_name(family))]
}

pub(super) const fn family_name(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "IPv4",
        Family::Ipv6 => "IPv6",
    }
}
