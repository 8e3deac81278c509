//! A configuration with defaults into [`Settings`]. Pure. Every rule is applied, whatever the
//! others said: all errors are told at once.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use ipnet::IpNet;
use ipvs_backend::rules::{MarkBit, Masquerade};
use proxy_core::Scheduler;
use serde_json::Value;

use super::layer::{Origins, origin_of};
use super::problem::{Problem, Severity};
use super::scalar::GoDuration;
use super::settings::{
    Arp, BindFailure, Client, Conntrack, DetectLocal, IpvsTimeouts, LogFormat, Logging, Mode,
    NodePortAddresses, Settings, TcpWindow,
};
use super::v1alpha1::{self, KubeProxyConfiguration};
use super::{gates, own};

/// The settings, if no error was added to `problems`.
pub(super) fn settings(
    config: &KubeProxyConfiguration,
    master: Option<String>,
    origins: &Origins,
    problems: &mut Vec<Problem>,
) -> Option<Settings> {
    let mut check = Check { origins, problems };
    let ipvs = &config.ipvs;
    let (drain, internal_marks, audit) = own::backend(&config.proxyd, &mut check);
    let (sync_period, min_sync_period) = check.periods(ipvs);
    let masquerade_all = config.iptables.masquerade_all == Some(true);
    let settings = Settings {
        mode: check.mode(config.mode.as_deref().unwrap_or_default(), &config.proxyd),
        manifests: config.proxyd.manifests.as_deref().filter(|it| !it.is_empty()).map(Into::into),
        node_ips: own::node_ips(&config.proxyd, &mut check),
        input_policy: own::input_policy(&config.proxyd, &mut check),
        node_name: check.node_name(config.hostname_override.as_deref().unwrap_or_default()),
        client: Client {
            other_servers: own::api_servers(&config.proxyd, &mut check),
            ..check.client(&config.client_connection, master)
        },
        page: own::page(&config.proxyd, &mut check),
        nodes: own::nodes(&config.proxyd, &mut check),
        bind_address: check.bind_address(config.bind_address.as_deref().unwrap_or_default()),
        healthz: check.server("healthzBindAddress", config.healthz_bind_address.as_deref()),
        metrics: check.server("metricsBindAddress", config.metrics_bind_address.as_deref()),
        socket: own::socket(&config.proxyd, &mut check),
        bind_failure: match config.bind_address_hard_fail {
            Some(true) => BindFailure::Fatal,
            _ => BindFailure::Retry,
        },
        sync_period,
        min_sync_period,
        resync_period: check.positive("configSyncPeriod", config.config_sync_period),
        scheduler: check.scheduler(ipvs.scheduler.as_deref().unwrap_or_default()),
        excluded: check
            .networks("ipvs.excludeCIDRs", ipvs.exclude_cidrs.as_deref().unwrap_or_default()),
        arp: if ipvs.strict_arp == Some(true) { Arp::Strict } else { Arp::Leave },
        timeouts: IpvsTimeouts {
            tcp: check.timeout("ipvs.tcpTimeout", ipvs.tcp_timeout),
            tcp_fin: check.timeout("ipvs.tcpFinTimeout", ipvs.tcp_fin_timeout),
            udp: check.timeout("ipvs.udpTimeout", ipvs.udp_timeout),
        },
        masquerade_bit: check.masquerade_bit(config.iptables.masquerade_bit),
        masquerade: if masquerade_all { Masquerade::All } else { Masquerade::OffCluster },
        detect_local: check.detect_local(config),
        node_ports: check.node_ports(config.node_port_addresses.as_deref().unwrap_or_default()),
        external_ips: gates::external_ips(config, &mut check),
        conntrack: check.conntrack(&config.conntrack),
        oom_score_adj: check.oom_score_adj(config.oom_score_adj),
        logging: check.logging(&config.logging),
        binding: own::binding(&config.proxyd, &mut check),
        drain,
        internal_marks,
        audit,
    };
    let is_error = |problem: &Problem| problem.severity == Severity::Error;
    (!problems.iter().any(is_error)).then_some(settings)
}

/// Applies rules to fields. A field that breaks one is reported, and stands in with some value.
pub(super) struct Check<'a> {
    origins: &'a Origins,
    problems: &'a mut Vec<Problem>,
}

impl Check<'_> {
    pub(super) fn error(&mut self, path: &str, value: impl Into<Value>, reason: impl Into<String>) {
        self.add(path, Problem::error(path, reason).with_value(value));
    }

    pub(super) fn warning(
        &mut self,
        path: &str,
        value: impl Into<Value>,
        reason: impl Into<String>,
    ) {
        self.add(path, Problem::warning(path, reason).with_value(value));
    }

    fn add(&mut self, path: &str, problem: Problem) {
        self.problems.push(problem.from(origin_of(self.origins, path)));
    }

    /// A duration of zero or more.
    pub(super) fn duration(&mut self, path: &str, given: Option<GoDuration>) -> Duration {
        let given = given.unwrap_or_default();
        given.get().unwrap_or_else(|| {
            self.error(path, given.to_string(), "must not be less than 0");
            Duration::ZERO
        })
    }

    /// A duration of zero or more, where zero means that nothing is set.
    fn timeout(&mut self, path: &str, given: Option<GoDuration>) -> Option<Duration> {
        Some(self.duration(path, given)).filter(|timeout| !timeout.is_zero())
    }

    fn positive(&mut self, path: &str, given: Option<GoDuration>) -> Duration {
        let given = given.unwrap_or_default();
        match given.get() {
            Some(period) if !period.is_zero() => period,
            _ => {
                let reason = "must be more than 0; leave it out for the default";
                self.error(path, given.to_string(), reason);
                Duration::from_secs(30)
            }
        }
    }

    /// The periods of kube-proxy's IPVS mode, whatever the mode: those of others never apply here.
    fn periods(&mut self, ipvs: &v1alpha1::Ipvs) -> (Duration, Duration) {
        let sync = self.positive("ipvs.syncPeriod", ipvs.sync_period);
        let path = "ipvs.minSyncPeriod";
        let min = self.duration(path, ipvs.min_sync_period);
        // A period that is an error stands in with some value.
        let is_known = self.problems.iter().all(|problem| problem.field != "ipvs.syncPeriod");
        if min > sync && is_known {
            let sync = GoDuration::new(sync);
            let reason = format!("must not be more than ipvs.syncPeriod, which is {sync}");
            self.error(path, GoDuration::new(min).to_string(), reason);
        }
        (sync, min)
    }

    fn mode(&mut self, mode: &str, proxyd: &v1alpha1::Proxyd) -> Mode {
        let (parsed, otherwise) = match mode {
            "ipvs" => return Mode::Ipvs,
            "" | "iptables" | "nftables" if proxyd.any_mode == Some(true) => return Mode::Ipvs,
            // No kube-proxy reads manifests: there is nothing to be mistaken for.
            "" if proxyd.manifests.as_deref().is_some_and(|it| !it.is_empty()) => {
                return Mode::Ipvs;
            }
            "" => (Mode::Unset, "kube-proxy would run in iptables mode"),
            "iptables" | "nftables" => {
                let is_iptables = mode == "iptables";
                let mode = if is_iptables { Mode::Iptables } else { Mode::Nftables };
                (mode, "kube-proxy would run in this mode")
            }
            _ => {
                self.error(
                    "mode",
                    mode,
                    "must be ipvs (or iptables, nftables, which proxyd is not)",
                );
                return Mode::Unset;
            }
        };
        let reason = format!(
            "{otherwise}; proxyd serves with IPVS only, and will not change a node's mode unasked: \
             say mode: ipvs (--proxy-mode=ipvs), or proxyd.anyMode: true (--any-mode), for proxyd \
             to serve"
        );
        self.warning("mode", mode, reason);
        parsed
    }

    fn node_name(&mut self, given: &str) -> Option<String> {
        let name = given.trim().to_lowercase();
        if name.is_empty() && !given.is_empty() {
            let reason = "is only white space; leave it out for the host's name";
            self.error("hostnameOverride", given, reason);
        }
        (!name.is_empty()).then_some(name)
    }

    fn client(&mut self, client: &v1alpha1::ClientConnection, master: Option<String>) -> Client {
        let burst = client.burst.unwrap_or_default();
        let kubeconfig = client.kubeconfig.as_ref().filter(|path| !path.is_empty());
        Client {
            kubeconfig: kubeconfig.map(Into::into),
            master,
            qps: client.qps.unwrap_or_default(),
            burst: self.count("clientConnection.burst", burst),
            ..Client::default()
        }
    }

    /// A number of zero or more.
    fn count(&mut self, path: &str, given: i32) -> u32 {
        u32::try_from(given).unwrap_or_else(|_| {
            self.error(path, given, "must not be less than 0");
            0
        })
    }

    fn bind_address(&mut self, given: &str) -> IpAddr {
        given.parse().unwrap_or_else(|_| {
            let reason = "must be an IP address; 0.0.0.0 or :: for any of the node's";
            self.error("bindAddress", given, reason);
            Ipv4Addr::UNSPECIFIED.into()
        })
    }

    fn server(&mut self, path: &str, given: Option<&str>) -> Option<SocketAddr> {
        let given = given.filter(|given| !given.is_empty())?;
        let address = given.parse().ok().filter(|address: &SocketAddr| address.port() != 0);
        if address.is_none() {
            let reason = "must be an IP address with a port from 1 to 65535, as 0.0.0.0:10256 or \
                          [::]:10256";
            self.error(path, given, reason);
        }
        address
    }

    fn scheduler(&mut self, given: &str) -> Scheduler {
        if given.is_empty() {
            return Scheduler::default();
        }
        given.parse().unwrap_or_else(|_| {
            let names = Scheduler::ALL.iter().map(|scheduler| scheduler.name());
            let names = names.collect::<Vec<_>>().join(", ");
            self.error(
                "ipvs.scheduler",
                given,
                format!("is no scheduler of IPVS; there are {names}"),
            );
            Scheduler::default()
        })
    }

    fn networks(&mut self, path: &str, given: &[String]) -> Vec<IpNet> {
        let mut networks = Vec::new();
        for (index, text) in given.iter().enumerate() {
            match text.parse() {
                Ok(network) => networks.push(network),
                Err(_) => {
                    let reason = "must be a network, as 10.96.0.0/12 or fd00::/108";
                    self.error(&format!("{path}[{index}]"), text.as_str(), reason);
                }
            }
        }
        networks
    }

    fn masquerade_bit(&mut self, given: Option<i32>) -> MarkBit {
        let bit = given.unwrap_or_default();
        u8::try_from(bit).ok().and_then(MarkBit::new).unwrap_or_else(|| {
            self.error("iptables.masqueradeBit", bit, "must be a bit of the mark, 0 to 31");
            MarkBit::default()
        })
    }

    fn detect_local(&mut self, config: &KubeProxyConfiguration) -> DetectLocal {
        let interface = |name: &Option<String>| name.clone().unwrap_or_default();
        let mode = config.detect_local_mode.as_deref().unwrap_or_default();
        match mode {
            "" | "ClusterCIDR" => {
                self.cluster_cidr(config.cluster_cidr.as_deref().unwrap_or_default())
            }
            "NodeCIDR" => DetectLocal::NodeCidr,
            "BridgeInterface" => {
                let name = interface(&config.detect_local.bridge_interface);
                self.interface("detectLocal.bridgeInterface", mode, &name);
                DetectLocal::BridgeInterface(name)
            }
            "InterfaceNamePrefix" => {
                let prefix = interface(&config.detect_local.interface_name_prefix);
                self.interface("detectLocal.interfaceNamePrefix", mode, &prefix);
                DetectLocal::InterfaceNamePrefix(prefix)
            }
            _ => {
                let reason =
                    "must be ClusterCIDR, NodeCIDR, BridgeInterface or InterfaceNamePrefix";
                self.error("detectLocalMode", mode, reason);
                DetectLocal::NodeCidr
            }
        }
    }

    fn interface(&mut self, path: &str, mode: &str, name: &str) {
        if name.is_empty() {
            self.error(path, name, format!("must name an interface for detectLocalMode {mode}"));
        }
    }

    /// One network, or one of each family.
    fn cluster_cidr(&mut self, given: &str) -> DetectLocal {
        let (mut ipv4, mut ipv6) = (None, None);
        let mut is_valid = true;
        for text in given.split(',').filter(|_| !given.is_empty()) {
            let before = match text.trim().parse() {
                Ok(network @ IpNet::V4(_)) => ipv4.replace(network),
                Ok(network @ IpNet::V6(_)) => ipv6.replace(network),
                Err(_) => {
                    is_valid = false;
                    None
                }
            };
            is_valid &= before.is_none();
        }
        if !is_valid {
            let reason = "must be one network, or an IPv4 and an IPv6 one, as \
                          10.244.0.0/16,fd00:10:244::/56";
            self.error("clusterCIDR", given, reason);
        }
        DetectLocal::ClusterCidr { ipv4, ipv6 }
    }

    fn node_ports(&mut self, given: &[String]) -> NodePortAddresses {
        match given {
            [] => NodePortAddresses::All,
            [word] if word == "primary" => NodePortAddresses::Primary,
            _ if given.iter().any(|word| word == "primary") => {
                let reason = "primary must stand alone; give networks or primary, not both";
                self.error("nodePortAddresses", given, reason);
                NodePortAddresses::Primary
            }
            _ => NodePortAddresses::Cidrs(self.networks("nodePortAddresses", given)),
        }
    }

    fn conntrack(&mut self, conntrack: &v1alpha1::Conntrack) -> Conntrack {
        let max_per_core = conntrack.max_per_core.unwrap_or_default();
        Conntrack {
            max_per_core: NonZeroU32::new(self.count("conntrack.maxPerCore", max_per_core)),
            min: self.count("conntrack.min", conntrack.min.unwrap_or_default()),
            tcp_established: self
                .timeout("conntrack.tcpEstablishedTimeout", conntrack.tcp_established_timeout),
            tcp_close_wait: self
                .timeout("conntrack.tcpCloseWaitTimeout", conntrack.tcp_close_wait_timeout),
            udp: self.timeout("conntrack.udpTimeout", conntrack.udp_timeout),
            udp_stream: self.timeout("conntrack.udpStreamTimeout", conntrack.udp_stream_timeout),
            tcp_window: match conntrack.tcp_be_liberal {
                Some(true) => TcpWindow::Liberal,
                _ => TcpWindow::Leave,
            },
        }
    }

    fn oom_score_adj(&mut self, given: Option<i32>) -> i16 {
        let score = given.unwrap_or_default();
        i16::try_from(score).ok().filter(|score| (-1000..=1000).contains(score)).unwrap_or_else(
            || {
                self.error("oomScoreAdj", score, "must be from -1000 to 1000");
                0
            },
        )
    }

    fn logging(&mut self, logging: &v1alpha1::Logging) -> Logging {
        let format = match logging.format.as_deref() {
            None | Some("text") => LogFormat::Text,
            Some("json") => LogFormat::Json,
            Some(other) => {
                self.error("logging.format", other, "must be text or json");
                LogFormat::Text
            }
        };
        let patterns = logging.vmodule.as_deref().unwrap_or_default();
        for item in patterns {
            let pattern = item.file_pattern.as_str();
            if pattern.is_empty() || pattern.contains(['=', ',']) {
                let reason = "patterns must not be empty, or contain = or ,";
                self.error("logging.vmodule", pattern, reason);
            }
        }
        if format == LogFormat::Json && !patterns.is_empty() {
            let reason = "works only with logging.format: text";
            self.error("logging.vmodule", patterns.len(), reason);
        }
        if let Some(flush) = logging.flush_frequency {
            self.duration("logging.flushFrequency", Some(flush.0));
        }
        Logging { format, verbosity: logging.verbosity.unwrap_or_default() }
    }
}
