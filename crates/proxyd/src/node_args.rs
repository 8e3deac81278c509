//! What every command about this node is told, and what it finds out first.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use ipnet::IpNet;
use ipvs_backend::rules::{Detector, InputPolicy, Masquerade, RuleConfig};
use ipvs_backend::{Binding, IpvsConfig, NodePlan};
use proxy_core::{Event, Node};

use crate::config::NodePortAddresses;
use crate::manifest::{Changes, Reader};
use crate::network::held_addresses;
use crate::node_facts::{NodeFacts, detector};
use crate::resolve::node_ip;

#[derive(Debug, Args)]
pub(crate) struct NodeArgs {
    /// Directory with the manifests.
    #[arg(long, value_name = "DIR")]
    pub(crate) manifests: PathBuf,
    /// Name of this node, as endpoints and the Node object spell it.
    #[arg(long, value_name = "NAME")]
    pub(crate) node_name: String,
    /// Source address of the node's own connections to Services, one a family. Default: the
    /// Node object's address that an interface has, else an interface's.
    #[arg(long = "node-ip", value_name = "IP", value_parser = node_ip)]
    node_ips: Vec<IpAddr>,
    /// Networks of the pods, one a family; clients from elsewhere reach cluster IPs masqueraded.
    /// Default: the podCIDRs of this node's Node object.
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    cluster_cidr: Vec<IpNet>,
    /// Tell pods by the bridge they come through, in place of their networks.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["cluster_cidr", "pod_interface_name_prefix"])]
    pod_bridge_interface: Option<String>,
    /// Tell pods by the beginning of the name of the interface they come through, in place of their
    /// networks.
    #[arg(long, value_name = "PREFIX", conflicts_with = "cluster_cidr")]
    pod_interface_name_prefix: Option<String>,
    /// Leave IPVS services with addresses in these networks alone: they are somebody else's.
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    ipvs_exclude_cidrs: Vec<IpNet>,
    /// How the addresses of Services are made local to this node: by local routes, or as addresses
    /// on kube-ipvs0, as kube-proxy does.
    #[arg(long, value_enum, default_value_t = BindingArg::Route)]
    binding: BindingArg,
    /// Serve node ports on addresses in these networks only, or on the node's `primary` address of
    /// each family. Default: on every address other hosts can reach.
    #[arg(long, value_name = "CIDRS|primary", value_parser = node_ports)]
    nodeport_addresses: Option<NodePortAddresses>,
    /// On a node whose INPUT policy is DROP: accept what is for Services all the same, unless a
    /// rule of the node's decides, or leave that to the node's rules.
    #[arg(long, value_enum, default_value_t = InputPolicyArg::Accept)]
    input_policy: InputPolicyArg,
    /// Masquerade every connection to a cluster IP.
    #[arg(long)]
    masquerade_all: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum InputPolicyArg {
    Accept,
    Respect,
}

impl From<InputPolicyArg> for InputPolicy {
    fn from(policy: InputPolicyArg) -> Self {
        match policy {
            InputPolicyArg::Accept => Self::Accept,
            InputPolicyArg::Respect => Self::Respect,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum BindingArg {
    Route,
    Address,
}

impl From<BindingArg> for Binding {
    fn from(binding: BindingArg) -> Self {
        match binding {
            BindingArg::Route => Self::Route,
            BindingArg::Address => Self::Address,
        }
    }
}

/// Reads `primary`, or networks with commas between.
fn node_ports(text: &str) -> Result<NodePortAddresses, String> {
    if text == "primary" {
        return Ok(NodePortAddresses::Primary);
    }
    let network = |word: &str| {
        let word = word.trim();
        word.parse().map_err(|_| {
            format!("{word:?} is no network; use `primary`, or networks such as 192.0.2.0/24")
        })
    };
    text.split(',').map(network).collect::<Result<_, _>>().map(NodePortAddresses::Cidrs)
}

/// What there is before anything is done.
pub(crate) struct FirstLook {
    /// Has read the manifests once.
    pub(crate) reader: Reader,
    /// What it found.
    pub(crate) changes: Changes,
    /// This node's own object, if there is one.
    pub(crate) node: Option<Arc<Node>>,
    /// What is known of this node.
    pub(crate) facts: NodeFacts,
    /// What the backend is told.
    pub(crate) config: IpvsConfig,
}

impl NodeArgs {
    /// Reads the manifests and the addresses of interfaces.
    pub(crate) fn look(&self) -> anyhow::Result<FirstLook> {
        let mut reader = Reader::new(&self.manifests);
        let changes = reader.read();
        let node = changes.events.iter().find_map(|event| match event {
            Event::Node(node) if *node.name == *self.node_name => Some(node.clone()),
            _ => None,
        });
        let held = held_addresses().context("read the addresses of interfaces")?;
        let node_ports = self.nodeport_addresses.clone().unwrap_or_default();
        let facts =
            NodeFacts::new(self.node_ips.clone(), node.clone(), held).with_node_ports(node_ports);
        let config = self.config(node.as_deref(), &facts);
        Ok(FirstLook { reader, changes, node, facts, config })
    }

    fn detector(&self, node: Option<&Node>) -> Detector {
        match (&self.pod_bridge_interface, &self.pod_interface_name_prefix) {
            (Some(bridge), _) => Detector::Interface(bridge.clone()),
            (None, Some(prefix)) => Detector::Interface(format!("{prefix}+")),
            (None, None) => detector(&self.cluster_cidr, node),
        }
    }

    fn config(&self, node: Option<&Node>, facts: &NodeFacts) -> IpvsConfig {
        let masquerade = if self.masquerade_all { Masquerade::All } else { Masquerade::OffCluster };
        IpvsConfig {
            node: NodePlan {
                ips: facts.node_ips(),
                binding: self.binding.into(),
                ..NodePlan::default()
            },
            rules: RuleConfig {
                masquerade,
                detector: self.detector(node),
                own_pods: detector(&[], node),
                input_policy: self.input_policy.into(),
                ..RuleConfig::default()
            },
            excluded: self.ipvs_exclude_cidrs.clone(),
            ..IpvsConfig::default()
        }
    }
}
