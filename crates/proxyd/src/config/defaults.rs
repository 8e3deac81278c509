//! What a field is when nobody gave it. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipvs_backend::AuditPace;
use ipvs_backend::drain::DrainPolicy;

use super::scalar::{FlushFrequency, GoDuration, MarkBits, Quantity};
use super::v1alpha1::{API_VERSION, Conntrack, InternalMarks, Ipvs, KIND, KubeProxyConfiguration};
use super::v1alpha1::{Logging, OutputOptions, Proxyd};

pub(super) const HEALTHZ_PORT: u16 = 10256;
pub(super) const METRICS_PORT: u16 = 10249;

/// Where a daemon answers those who look at this node.
pub(crate) const DEFAULT_SOCKET: &str = "/run/proxyd/proxyd.sock";

/// Fills every field that is not given with kube-proxy's default, but for lists, which stay null.
pub(super) fn set_defaults(config: &mut KubeProxyConfiguration) {
    config.api_version = Some(API_VERSION.to_owned());
    config.kind = Some(KIND.to_owned());
    or_empty([
        &mut config.hostname_override,
        &mut config.show_hidden_metrics_for_version,
        &mut config.mode,
        &mut config.detect_local_mode,
        &mut config.cluster_cidr,
        &mut config.port_range,
        &mut config.detect_local.bridge_interface,
        &mut config.detect_local.interface_name_prefix,
        &mut config.client_connection.kubeconfig,
        &mut config.client_connection.accept_content_types,
        &mut config.winkernel.network_name,
        &mut config.winkernel.source_vip,
        &mut config.winkernel.root_hns_endpoint_name,
        &mut config.ipvs.scheduler,
    ]);
    for switch in [
        &mut config.bind_address_hard_fail,
        &mut config.enable_profiling,
        &mut config.iptables.masquerade_all,
        &mut config.nftables.masquerade_all,
        &mut config.ipvs.strict_arp,
        &mut config.conntrack.tcp_be_liberal,
        &mut config.winkernel.enable_dsr,
        &mut config.winkernel.forward_health_check_vip,
        &mut config.windows_run_as_service,
    ] {
        switch.get_or_insert(false);
    }
    config.feature_gates.get_or_insert_default();
    let client = &mut config.client_connection;
    client.content_type.get_or_insert_with(|| "application/vnd.kubernetes.protobuf".to_owned());
    client.qps.get_or_insert(5.0);
    client.burst.get_or_insert(10);
    config.iptables.localhost_node_ports.get_or_insert(true);
    for (bit, sync_period, min_sync_period) in [
        (
            &mut config.iptables.masquerade_bit,
            &mut config.iptables.sync_period,
            &mut config.iptables.min_sync_period,
        ),
        (
            &mut config.nftables.masquerade_bit,
            &mut config.nftables.sync_period,
            &mut config.nftables.min_sync_period,
        ),
    ] {
        bit.get_or_insert(14);
        or_seconds(sync_period, 30);
        or_seconds(min_sync_period, 1);
    }
    config.oom_score_adj.get_or_insert(-999);
    or_seconds(&mut config.config_sync_period, 15 * 60);
    set_addresses(config);
    set_ipvs(&mut config.ipvs);
    set_conntrack(&mut config.conntrack);
    set_logging(&mut config.logging);
    set_proxyd(&mut config.proxyd);
}

/// `address` with `port` if it is an IP address without one.
pub(super) fn with_port(address: &str, port: u16) -> String {
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match bare.unwrap_or(address).parse::<IpAddr>() {
        Ok(ip) => SocketAddr::new(ip, port).to_string(),
        Err(_) => address.to_owned(),
    }
}

/// The servers' addresses are of the family of `bindAddress`. An empty one, which only a flag can
/// give, stays: it disables the server.
fn set_addresses(config: &mut KubeProxyConfiguration) {
    let bind = config.bind_address.get_or_insert_with(|| "0.0.0.0".to_owned());
    let (any, loopback): (IpAddr, IpAddr) = match bind.parse() {
        Ok(IpAddr::V4(_)) => (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::LOCALHOST.into()),
        _ => (Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::LOCALHOST.into()),
    };
    for (address, ip, port) in [
        (&mut config.healthz_bind_address, any, HEALTHZ_PORT),
        (&mut config.metrics_bind_address, loopback, METRICS_PORT),
    ] {
        let given = address.take().unwrap_or_else(|| ip.to_string());
        *address = Some(with_port(&given, port));
    }
}

fn set_ipvs(ipvs: &mut Ipvs) {
    or_seconds(&mut ipvs.sync_period, 30);
    or_seconds(&mut ipvs.min_sync_period, 0);
    or_seconds(&mut ipvs.tcp_timeout, 0);
    or_seconds(&mut ipvs.tcp_fin_timeout, 0);
    or_seconds(&mut ipvs.udp_timeout, 0);
}

fn set_conntrack(conntrack: &mut Conntrack) {
    conntrack.max_per_core.get_or_insert(32_768);
    conntrack.min.get_or_insert(131_072);
    or_seconds(&mut conntrack.tcp_established_timeout, 24 * 60 * 60);
    or_seconds(&mut conntrack.tcp_close_wait_timeout, 60 * 60);
    or_seconds(&mut conntrack.udp_timeout, 0);
    or_seconds(&mut conntrack.udp_stream_timeout, 0);
}

fn set_logging(logging: &mut Logging) {
    logging.format.get_or_insert_with(|| "text".to_owned());
    logging.flush_frequency.get_or_insert(FlushFrequency(GoDuration::from_secs(5)));
    logging.verbosity.get_or_insert(0);
    logging.vmodule.get_or_insert_default();
    let options = &mut logging.options;
    for OutputOptions { split_stream, info_buffer_size } in [&mut options.text, &mut options.json] {
        split_stream.get_or_insert(false);
        info_buffer_size.get_or_insert_with(|| Quantity("0".to_owned()));
    }
}

/// The libraries' own defaults.
fn set_proxyd(proxyd: &mut Proxyd) {
    let drain = DrainPolicy::default();
    proxyd.manifests.get_or_insert_default();
    proxyd.any_mode.get_or_insert(false);
    proxyd.input_policy.get_or_insert_with(|| "accept".to_owned());
    proxyd.page.get_or_insert_with(|| "none".to_owned());
    proxyd.watch_nodes.get_or_insert_with(|| "own".to_owned());
    proxyd.binding.get_or_insert_with(|| "route".to_owned());
    proxyd.drain_limit.get_or_insert_with(|| GoDuration::new(drain.limit));
    proxyd.drain_grace.get_or_insert_with(|| GoDuration::new(drain.grace));
    proxyd.socket.get_or_insert_with(|| DEFAULT_SOCKET.to_owned());
    let pace = u32::try_from(AuditPace::default().services).expect("a small number");
    proxyd.audit_services_per_second.get_or_insert(pace);
    let InternalMarks { value, mask } = &mut proxyd.internal_marks;
    value.get_or_insert(MarkBits(0x2000));
    mask.get_or_insert(MarkBits(0x1fff));
}

fn or_empty<const N: usize>(texts: [&mut Option<String>; N]) {
    for text in texts {
        text.get_or_insert_default();
    }
}

fn or_seconds(duration: &mut Option<GoDuration>, seconds: u32) {
    duration.get_or_insert(GoDuration::from_secs(seconds));
}
