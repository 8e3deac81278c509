//! `KubeProxyConfiguration` of `kubeproxy.config.k8s.io/v1alpha1`, field by field, and proxyd's own
//! settings beside them. `None` is a field that was not given, and serializes as null: the value of
//! `KubeProxyConfiguration::default()` therefore also tells which fields there are.
//!
//! What a value means is decided in [`super::validate`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::scalar::{FlushFrequency, GoDuration, MarkBits, Quantity};

pub(crate) const API_VERSION: &str = "kubeproxy.config.k8s.io/v1alpha1";
pub(crate) const KIND: &str = "KubeProxyConfiguration";

macro_rules! section {
    ($(#[$attribute:meta])* $name:ident { $($(#[$of:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$attribute])*
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        pub(crate) struct $name { $($(#[$of])* pub(crate) $field: $type,)* }
    };
}

section! {
    KubeProxyConfiguration {
        api_version: Option<String>,
        kind: Option<String>,
        feature_gates: Option<BTreeMap<String, bool>>,
        client_connection: ClientConnection,
        logging: Logging,
        hostname_override: Option<String>,
        bind_address: Option<String>,
        healthz_bind_address: Option<String>,
        metrics_bind_address: Option<String>,
        bind_address_hard_fail: Option<bool>,
        enable_profiling: Option<bool>,
        show_hidden_metrics_for_version: Option<String>,
        mode: Option<String>,
        iptables: Iptables,
        ipvs: Ipvs,
        nftables: Nftables,
        winkernel: Winkernel,
        detect_local_mode: Option<String>,
        detect_local: DetectLocal,
        #[serde(rename = "clusterCIDR")]
        cluster_cidr: Option<String>,
        node_port_addresses: Option<Vec<String>>,
        oom_score_adj: Option<i32>,
        conntrack: Conntrack,
        config_sync_period: Option<GoDuration>,
        port_range: Option<String>,
        windows_run_as_service: Option<bool>,
        proxyd: Proxyd,
    }
}

section! {
    ClientConnection {
        kubeconfig: Option<String>,
        accept_content_types: Option<String>,
        content_type: Option<String>,
        qps: Option<f64>,
        burst: Option<i32>,
    }
}

section! {
    Logging {
        format: Option<String>,
        flush_frequency: Option<FlushFrequency>,
        verbosity: Option<u32>,
        vmodule: Option<Vec<VmoduleItem>>,
        options: LoggingOptions,
    }
}

section! {
    VmoduleItem {
        file_pattern: String,
        verbosity: u32,
    }
}

section! {
    LoggingOptions {
        text: OutputOptions,
        json: OutputOptions,
    }
}

section! {
    OutputOptions {
        split_stream: Option<bool>,
        info_buffer_size: Option<Quantity>,
    }
}

section! {
    Iptables {
        masquerade_bit: Option<i32>,
        masquerade_all: Option<bool>,
        localhost_node_ports: Option<bool>,
        sync_period: Option<GoDuration>,
        min_sync_period: Option<GoDuration>,
    }
}

section! {
    Ipvs {
        sync_period: Option<GoDuration>,
        min_sync_period: Option<GoDuration>,
        scheduler: Option<String>,
        #[serde(rename = "excludeCIDRs")]
        exclude_cidrs: Option<Vec<String>>,
        #[serde(rename = "strictARP")]
        strict_arp: Option<bool>,
        tcp_timeout: Option<GoDuration>,
        tcp_fin_timeout: Option<GoDuration>,
        udp_timeout: Option<GoDuration>,
    }
}

section! {
    Nftables {
        masquerade_bit: Option<i32>,
        masquerade_all: Option<bool>,
        sync_period: Option<GoDuration>,
        min_sync_period: Option<GoDuration>,
    }
}

section! {
    Winkernel {
        network_name: Option<String>,
        source_vip: Option<String>,
        #[serde(rename = "enableDSR")]
        enable_dsr: Option<bool>,
        root_hns_endpoint_name: Option<String>,
        forward_health_check_vip: Option<bool>,
    }
}

section! {
    DetectLocal {
        bridge_interface: Option<String>,
        interface_name_prefix: Option<String>,
    }
}

section! {
    Conntrack {
        max_per_core: Option<i32>,
        min: Option<i32>,
        tcp_established_timeout: Option<GoDuration>,
        tcp_close_wait_timeout: Option<GoDuration>,
        tcp_be_liberal: Option<bool>,
        udp_timeout: Option<GoDuration>,
        udp_stream_timeout: Option<GoDuration>,
    }
}

section! {
    /// What kube-proxy does not have. kube-proxy warns about the key and ignores it, so that a file
    /// with it serves both.
    Proxyd {
        /// A directory to read objects from, in place of an API server.
        manifests: Option<String>,
        any_mode: Option<bool>,
        api_servers: Option<Vec<String>>,
        /// `none`, `loopback` or `all`.
        page: Option<String>,
        /// `own` or `all`.
        watch_nodes: Option<String>,
        #[serde(rename = "nodeIPs")]
        node_ips: Option<Vec<String>>,
        /// `accept` or `respect`.
        input_policy: Option<String>,
        /// `route` or `address`.
        binding: Option<String>,
        drain_limit: Option<GoDuration>,
        drain_grace: Option<GoDuration>,
        internal_marks: InternalMarks,
        audit_services_per_second: Option<u32>,
        /// Where the daemon answers `proxyd status` and the like; empty for nowhere.
        socket: Option<String>,
    }
}

section! {
    InternalMarks {
        value: Option<MarkBits>,
        mask: Option<MarkBits>,
    }
}
