//! Every flag there is, in kube-proxy's spelling, and those of proxyd's own.

/// A flag.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flag {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) target: Target,
}

/// What a flag's value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `--flag`, `--flag=true` or `--flag=false`.
    Bool,
    Text,
    Integer,
    Float,
    /// Values with commas between; every occurrence adds.
    List,
    /// `A=true,B=false`; every occurrence adds.
    Gates,
    /// `pattern=2,other=3`; every occurrence adds.
    Patterns,
    /// `--flag`, or `--flag=word`.
    Word,
}

impl Flag {
    /// Whether kube-proxy has no such flag.
    pub(super) fn is_own(&self) -> bool {
        matches!(self.target, Target::Field(path) if path.starts_with("proxyd."))
    }
}

/// What a flag is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// It sets the field at a path.
    Field(&'static str),
    /// It is the port of the address at a path, if that has none.
    Port(&'static str),
    /// It tells the process what to do; it is no part of the configuration.
    Action,
    /// It has no effect, in kube-proxy either.
    Ignored,
    /// Older kube-proxies had it.
    Removed,
}

const fn field(name: &'static str, kind: Kind, path: &'static str) -> Flag {
    Flag { name, kind, target: Target::Field(path) }
}

const fn text(name: &'static str, path: &'static str) -> Flag {
    field(name, Kind::Text, path)
}

const fn switch(name: &'static str, path: &'static str) -> Flag {
    field(name, Kind::Bool, path)
}

const fn number(name: &'static str, path: &'static str) -> Flag {
    field(name, Kind::Integer, path)
}

const fn port(name: &'static str, path: &'static str) -> Flag {
    Flag { name, kind: Kind::Integer, target: Target::Port(path) }
}

const fn action(name: &'static str, kind: Kind) -> Flag {
    Flag { name, kind, target: Target::Action }
}

const fn removed(name: &'static str, kind: Kind) -> Flag {
    Flag { name, kind, target: Target::Removed }
}

pub(super) const FLAGS: &[Flag] = &[
    action("config", Kind::Text),
    action("write-config-to", Kind::Text),
    action("cleanup", Kind::Bool),
    action("init-only", Kind::Bool),
    action("master", Kind::Text),
    action("version", Kind::Word),
    text("kubeconfig", "clientConnection.kubeconfig"),
    text("kube-api-content-type", "clientConnection.contentType"),
    field("kube-api-qps", Kind::Float, "clientConnection.qps"),
    number("kube-api-burst", "clientConnection.burst"),
    text("hostname-override", "hostnameOverride"),
    text("bind-address", "bindAddress"),
    text("healthz-bind-address", "healthzBindAddress"),
    port("healthz-port", "healthzBindAddress"),
    text("metrics-bind-address", "metricsBindAddress"),
    port("metrics-port", "metricsBindAddress"),
    switch("bind-address-hard-fail", "bindAddressHardFail"),
    switch("profiling", "enableProfiling"),
    text("show-hidden-metrics-for-version", "showHiddenMetricsForVersion"),
    field("feature-gates", Kind::Gates, "featureGates"),
    text("proxy-mode", "mode"),
    number("iptables-masquerade-bit", "iptables.masqueradeBit"),
    switch("masquerade-all", "iptables.masqueradeAll"),
    switch("iptables-localhost-nodeports", "iptables.localhostNodePorts"),
    text("iptables-sync-period", "iptables.syncPeriod"),
    text("iptables-min-sync-period", "iptables.minSyncPeriod"),
    text("ipvs-sync-period", "ipvs.syncPeriod"),
    text("ipvs-min-sync-period", "ipvs.minSyncPeriod"),
    text("ipvs-scheduler", "ipvs.scheduler"),
    field("ipvs-exclude-cidrs", Kind::List, "ipvs.excludeCIDRs"),
    switch("ipvs-strict-arp", "ipvs.strictARP"),
    text("ipvs-tcp-timeout", "ipvs.tcpTimeout"),
    text("ipvs-tcpfin-timeout", "ipvs.tcpFinTimeout"),
    text("ipvs-udp-timeout", "ipvs.udpTimeout"),
    text("detect-local-mode", "detectLocalMode"),
    text("pod-bridge-interface", "detectLocal.bridgeInterface"),
    text("pod-interface-name-prefix", "detectLocal.interfaceNamePrefix"),
    text("cluster-cidr", "clusterCIDR"),
    field("nodeport-addresses", Kind::List, "nodePortAddresses"),
    number("oom-score-adj", "oomScoreAdj"),
    number("conntrack-max-per-core", "conntrack.maxPerCore"),
    number("conntrack-min", "conntrack.min"),
    text("conntrack-tcp-timeout-established", "conntrack.tcpEstablishedTimeout"),
    text("conntrack-tcp-timeout-close-wait", "conntrack.tcpCloseWaitTimeout"),
    switch("conntrack-tcp-be-liberal", "conntrack.tcpBeLiberal"),
    text("conntrack-udp-timeout", "conntrack.udpTimeout"),
    text("conntrack-udp-timeout-stream", "conntrack.udpStreamTimeout"),
    text("config-sync-period", "configSyncPeriod"),
    number("v", "logging.verbosity"),
    field("vmodule", Kind::Patterns, "logging.vmodule"),
    text("logging-format", "logging.format"),
    text("log-flush-frequency", "logging.flushFrequency"),
    switch("log-text-split-stream", "logging.options.text.splitStream"),
    text("log-text-info-buffer-size", "logging.options.text.infoBufferSize"),
    switch("log-json-split-stream", "logging.options.json.splitStream"),
    text("log-json-info-buffer-size", "logging.options.json.infoBufferSize"),
    text("proxy-port-range", "portRange"),
    text("manifests", "proxyd.manifests"),
    switch("any-mode", "proxyd.anyMode"),
    field("api-servers", Kind::List, "proxyd.apiServers"),
    text("watch-nodes", "proxyd.watchNodes"),
    text("page", "proxyd.page"),
    field("node-ip", Kind::List, "proxyd.nodeIPs"),
    text("input-policy", "proxyd.inputPolicy"),
    text("binding", "proxyd.binding"),
    text("drain-limit", "proxyd.drainLimit"),
    text("drain-grace", "proxyd.drainGrace"),
    text("socket", "proxyd.socket"),
    Flag { name: "boot-id-file", kind: Kind::Text, target: Target::Ignored },
    Flag { name: "machine-id-file", kind: Kind::Text, target: Target::Ignored },
    removed("cleanup-ipvs", Kind::Bool),
    removed("cleanup-iptables", Kind::Bool),
    removed("udp-timeout", Kind::Text),
    removed("resource-container", Kind::Text),
    removed("add-dir-header", Kind::Bool),
    removed("alsologtostderr", Kind::Bool),
    removed("log-backtrace-at", Kind::Text),
    removed("log-dir", Kind::Text),
    removed("log-file", Kind::Text),
    removed("log-file-max-size", Kind::Text),
    removed("logtostderr", Kind::Bool),
    removed("one-output", Kind::Bool),
    removed("skip-headers", Kind::Bool),
    removed("skip-log-headers", Kind::Bool),
    removed("stderrthreshold", Kind::Text),
];
