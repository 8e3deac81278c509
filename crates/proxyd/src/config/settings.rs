//! The configuration, understood: what the daemon works with.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use ipvs_backend::drain::DrainPolicy;
use ipvs_backend::marks::MarkRange;
use ipvs_backend::rules::{Detector, InputPolicy, MarkBit, Masquerade, RuleConfig};
use ipvs_backend::{AuditPace, Binding, IpvsConfig, NodeIps, NodePlan};
use proxy_core::Scheduler;

/// Everything that a configuration file and flags say, checked, in the types that act on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The kind of proxy that is asked for: proxyd serves as none but [`Mode::Ipvs`].
    pub mode: Mode,
    /// The directory that is read in place of an API server.
    pub manifests: Option<PathBuf>,
    /// Source addresses of the node's own connections to virtual servers, at most one a family.
    pub node_ips: Vec<IpAddr>,
    /// What becomes of packets for virtual servers where the packet filter drops by default.
    pub input_policy: InputPolicy,
    /// Name of this node, in lower case; `None` for the host's name.
    pub node_name: Option<String>,
    /// The API server.
    pub client: Client,
    /// Which Nodes are asked for.
    pub nodes: WatchedNodes,
    /// Who may look at the page of the metrics server.
    pub page: PageFor,
    /// The address of this node, if not unspecified; its family goes first. Nothing listens on it.
    pub bind_address: IpAddr,
    /// Where `/healthz` and `/livez` are served; `None` for nowhere.
    pub healthz: Option<SocketAddr>,
    /// Where metrics are served; `None` for nowhere.
    pub metrics: Option<SocketAddr>,
    /// Where the daemon answers who looks at this node; `None` for nowhere.
    pub socket: Option<PathBuf>,
    /// What happens when one of the three cannot listen.
    pub bind_failure: BindFailure,
    /// Everything is compared with the kernel this often.
    pub sync_period: Duration,
    /// Between two changes of the kernel at least; zero for at once.
    pub min_sync_period: Duration,
    /// All objects are read anew from the API server's cache this often.
    pub resync_period: Duration,
    /// Of Services that do not ask for one.
    pub scheduler: Scheduler,
    /// IPVS services with addresses in these networks are left alone.
    pub excluded: Vec<IpNet>,
    /// Whether the node answers ARP only for addresses of the interface that was asked.
    pub arp: Arp,
    /// How long IPVS keeps idle connections.
    pub timeouts: IpvsTimeouts,
    /// The bit that marks packets to be masqueraded.
    pub masquerade_bit: MarkBit,
    /// Whose connections to cluster IPs are masqueraded.
    pub masquerade: Masquerade,
    /// How clients in the cluster are told from others.
    pub detect_local: DetectLocal,
    /// Where node ports are served.
    pub node_ports: NodePortAddresses,
    /// Whether `externalIPs` of Services are served (gate `AllowServiceExternalIPs`).
    pub external_ips: ExternalIps,
    /// The connection tracker's settings.
    pub conntrack: Conntrack,
    /// For `/proc/self/oom_score_adj`.
    pub oom_score_adj: i16,
    /// How the daemon logs.
    pub logging: Logging,
    /// How addresses of Services are made local to this node.
    pub binding: Binding,
    /// How draining ends.
    pub drain: DrainPolicy,
    /// The marks that lead inside clients to servers of their own.
    pub internal_marks: MarkRange,
    /// How fast destinations are compared in quiet times.
    pub audit: AuditPace,
}

impl Settings {
    /// What the backend is told, with what is known of the node besides: its addresses, how pods
    /// are told from others, and how those of this node are told.
    #[must_use]
    pub fn ipvs_config(&self, ips: NodeIps, detector: Detector, own_pods: Detector) -> IpvsConfig {
        IpvsConfig {
            node: NodePlan { ips, binding: self.binding, ..NodePlan::default() },
            rules: RuleConfig {
                mark_bit: self.masquerade_bit,
                masquerade: self.masquerade,
                detector,
                own_pods,
                marks: self.internal_marks,
                input_policy: self.input_policy,
            },
            drain: self.drain,
            audit: self.audit,
            excluded: self.excluded.clone(),
        }
    }
}

/// The kinds of kube-proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nothing is said, which is `Iptables` to kube-proxy.
    Unset,
    /// iptables.
    Iptables,
    /// IPVS, the only one that proxyd is.
    Ipvs,
    /// nftables.
    Nftables,
}

/// How the API server is reached.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Client {
    /// The file that says so; `None` for the service account of the pod.
    pub kubeconfig: Option<PathBuf>,
    /// Replaces the server of that file.
    pub master: Option<String>,
    /// Other API servers of the cluster, as URLs, to be asked in turn when one does not answer.
    pub other_servers: Vec<String>,
    /// Requests a second.
    pub qps: f64,
    /// Requests at once.
    pub burst: u32,
}

/// Which Nodes an API server is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WatchedNodes {
    /// This node's own.
    #[default]
    Own,
    /// Every one, so that no Service's external address that is another node's is taken from it.
    All,
}

/// Who may look at the page of the metrics server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PageFor {
    /// There is none.
    #[default]
    Nobody,
    /// Who asks from this node.
    Loopback,
    /// Who reaches the metrics server.
    Everybody,
}

/// What happens when a server cannot listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindFailure {
    /// It is tried again.
    Retry,
    /// The process ends.
    Fatal,
}

/// `ipvs.strictARP`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arp {
    /// The kernel's settings stay.
    Leave,
    /// `arp_ignore` 1 and `arp_announce` 2.
    Strict,
}

/// How long IPVS keeps idle connections; `None` leaves what the kernel has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IpvsTimeouts {
    /// Established TCP.
    pub tcp: Option<Duration>,
    /// TCP after a FIN.
    pub tcp_fin: Option<Duration>,
    /// UDP.
    pub udp: Option<Duration>,
}

/// How clients in the cluster are told from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DetectLocal {
    /// By their address, a network a family. Without one, nobody can be told in that family.
    ClusterCidr {
        /// Where pods have their IPv4 addresses.
        ipv4: Option<IpNet>,
        /// Where pods have their IPv6 addresses.
        ipv6: Option<IpNet>,
    },
    /// By their address, in the Node object's `podCIDRs`.
    NodeCidr,
    /// They come through this interface.
    BridgeInterface(String),
    /// They come through an interface whose name begins with this.
    InterfaceNamePrefix(String),
}

/// Where node ports are served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum NodePortAddresses {
    /// On every address of the node.
    #[default]
    All,
    /// On those in these networks.
    Cidrs(Vec<IpNet>),
    /// On the node's first address of each family.
    Primary,
}

/// Whether `externalIPs` are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExternalIps {
    /// They are.
    Serve,
    /// They are not.
    Ignore,
}

/// The connection tracker's settings; `None` leaves what the kernel has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conntrack {
    /// Connections for each CPU of the machine.
    pub max_per_core: Option<NonZeroU32>,
    /// Connections in all, at least, if `max_per_core` is set.
    pub min: u32,
    /// Idle time of established TCP.
    pub tcp_established: Option<Duration>,
    /// Of TCP that one side has closed.
    pub tcp_close_wait: Option<Duration>,
    /// Of UDP with one direction.
    pub udp: Option<Duration>,
    /// Of UDP with both.
    pub udp_stream: Option<Duration>,
    /// Whether packets outside of the TCP window pass.
    pub tcp_window: TcpWindow,
}

/// What becomes of packets outside of the TCP window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TcpWindow {
    /// The kernel's setting stays.
    #[default]
    Leave,
    /// They pass.
    Liberal,
}

/// How the daemon logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Logging {
    /// For whom.
    pub format: LogFormat,
    /// 0 for normal; more says more.
    pub verbosity: u32,
}

/// For whom logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// People.
    Text,
    /// Machines.
    Json,
}
