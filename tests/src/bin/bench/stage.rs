//! A node, and an API server that it reaches, each in a network namespace of its own.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::Context as _;
use tests::apiserver::{ApiServer, Credentials, Options, Population};
use tests::lab::Namespace;

use crate::size::Size;

/// Where everything happens.
pub(crate) struct Stage {
    pub(crate) node: Namespace,
    pub(crate) api: ApiServer,
    pub(crate) population: Population,
    _beside: Namespace,
    files: PathBuf,
}

/// How often a proxy compares everything with the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audits {
    /// As it comes from kubeadm.
    Usual,
    /// Not while something else is measured.
    Rare,
}

/// The name of the node.
pub(crate) const NODE: &str = "node-0";
/// Its addresses, which the population gives its first node.
pub(crate) const NODE_IPS: [&str; 2] = ["172.16.0.1", "fd00:50::1"];

/// The API server's address, of which the population says that it is one.
const API: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(172, 31, 255, 1)), 6443);

/// A kube-proxy's configuration that chooses IPVS, and nothing else that costs.
const CONFIGURATION: &str = "\
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: ipvs
clusterCIDR: 10.64.0.0/10,fd00:244::/32
detectLocalMode: ClusterCIDR
";

impl Stage {
    /// A node whose API server has a cluster of this size.
    pub(crate) fn new(size: Size, audits: Audits) -> anyhow::Result<Self> {
        let beside = Namespace::new("api");
        let node = node();
        node.ip(&format!(
            "link add eth0 type veth peer name eth0 netns {}
            link set eth0 up
            addr add 172.16.0.1/12 dev eth0
            addr add fd00:50::1/64 dev eth0 nodad
            route add default via 172.31.255.1",
            beside.name()
        ));
        beside.ip("link set eth0 up\naddr add 172.31.255.1/12 dev eth0");
        let api = ApiServer::start_in(&beside, Options { address: API, ..Options::default() });
        let population = size.population();
        api.apply_all(population.objects());
        let files = std::env::temp_dir().join(format!("bench-{}", std::process::id()));
        let stage = Self { node, api, population, _beside: beside, files };
        fs::create_dir_all(stage.logs()).context("make directories for the files")?;
        let client = format!("clientConnection: {{ kubeconfig: {:?} }}\n", stage.kubeconfig());
        let period = match audits {
            Audits::Usual => "30s",
            Audits::Rare => "1h",
        };
        let period = format!("ipvs: {{ syncPeriod: {period} }}\n");
        fs::write(stage.config(), [CONFIGURATION, &client, &period].concat())
            .context("write the configuration")?;
        fs::write(stage.kubeconfig(), stage.api.kubeconfig(&Credentials::Nothing))
            .context("write the kubeconfig")?;
        Ok(stage)
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.files.join("config.conf")
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.files.join("kubeconfig.conf")
    }

    /// For what proxies say: a directory of its own, since they follow that of the configuration.
    pub(crate) fn logs(&self) -> PathBuf {
        self.files.join("logs")
    }
}

/// A namespace that forwards packets, as a node does.
pub(crate) fn node() -> Namespace {
    let node = Namespace::new("node");
    node.sysctl("net.ipv4.ip_forward", "1");
    node.sysctl("net.ipv6.conf.all.forwarding", "1");
    node
}
