//! What every command about this node is told, and what it finds out first.

use std::fs;
use std::net::IpAddr;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use ipvs_backend::IpvsConfig;
use proxy_core::{Event, Model, Node, SchedulerFlags};

use crate::cluster::{Cluster, FirstNode};
use crate::config::{self, Configuration, DetectLocal, KubeProxyFlags, Mode, Settings};
use crate::manifest::Reader;
use crate::metrics::Requests;
use crate::network::held_addresses;
use crate::node_facts::{Held, NodeFacts};
use crate::source::{Changes, Object, Parser};

/// kube-proxy's flags, and proxyd's own.
#[derive(Debug, Args)]
pub(crate) struct NodeArgs {
    #[command(flatten)]
    pub(crate) flags: KubeProxyFlags,
}

/// What there is before anything is done.
pub(crate) struct FirstLook {
    /// Name of this node.
    pub(crate) node_name: String,
    /// This node's own object, if there is one.
    pub(crate) node: Option<Arc<Node>>,
    /// What is known of this node.
    pub(crate) facts: NodeFacts,
    /// What the backend is told.
    pub(crate) config: IpvsConfig,
    /// Knows this node's name, and nothing else yet.
    pub(crate) model: Model,
    /// Where objects come from.
    pub(crate) source: Source,
}

/// Where Services, EndpointSlices and Nodes come from.
pub(crate) enum Source {
    /// A directory, and what was in it.
    Manifests { reader: Box<Reader>, first: Changes },
    /// An API server.
    Cluster { cluster: Box<Cluster>, parser: Parser },
}

impl NodeArgs {
    /// What flags and the configuration file come to.
    ///
    /// # Errors
    /// When they cannot be used. All errors were told on standard error by then.
    pub(crate) fn configuration(&self) -> anyhow::Result<Configuration> {
        let configuration = config::load(&self.flags);
        let errors = configuration.errors();
        if errors != 0 {
            configuration.problems().iter().for_each(|problem| eprintln!("proxyd: {problem}"));
            bail!("the configuration cannot be used ({errors} errors); see above");
        }
        Ok(configuration)
    }
}

/// How long to wait for this node's Node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// For the API server without end, and then as long as the Node is worth.
    Daemon,
    /// Whoever asks sits in front of it.
    None,
}

impl FirstLook {
    /// Reads this node's Node and the addresses of interfaces.
    ///
    /// # Errors
    /// They cannot be read, or the configuration does not say that IPVS is to serve.
    pub(crate) fn new(settings: &Settings, patience: Patience) -> anyhow::Result<Self> {
        if settings.mode != Mode::Ipvs {
            bail!(
                "the configuration does not say mode: ipvs, and proxyd will not change a node's \
                 mode unasked: say so, or give --any-mode"
            );
        }
        let node_name = match &settings.node_name {
            Some(name) => name.clone(),
            None => host_name()?,
        };
        let mut parser = Parser::new(settings.external_ips);
        let (source, node) = match &settings.manifests {
            Some(directory) => {
                let mut reader = Box::new(Reader::new(directory, parser));
                let first = reader.read();
                let node = node_named(&node_name, &first.events);
                (Source::Manifests { reader, first }, node)
            }
            None => {
                let cluster = Box::new(Cluster::new(settings, &node_name)?);
                let wanted = match settings.detect_local {
                    DetectLocal::NodeCidr => FirstNode::PodCidrs,
                    _ => FirstNode::Addresses,
                };
                let node = match patience {
                    Patience::Daemon => cluster.first_node(wanted)?,
                    Patience::None => cluster.node()?,
                };
                let node = node.and_then(|node| parser.parse(Object::Node(node)).1.into_node());
                (Source::Cluster { cluster, parser }, node)
            }
        };
        let held = held_addresses().context("read the addresses of interfaces")?;
        let facts = facts(settings, node_ips(settings), node.clone(), held);
        let config = ipvs_config(settings, &facts);
        let model = model(settings, &node_name, source.api_servers());
        Ok(Self { node_name, node, facts, config, model, source })
    }
}

/// The Node of this name.
pub(crate) fn node_named(name: &str, events: &[Event]) -> Option<Arc<Node>> {
    events.iter().find_map(|event| match event {
        Event::Node(node) if *node.name == *name => Some(Arc::clone(node)),
        _ => None,
    })
}

/// What is known of a node, and what follows from it by these settings.
pub(crate) fn facts(
    settings: &Settings,
    node_ips: Vec<IpAddr>,
    node: Option<Arc<Node>>,
    held: Vec<Held>,
) -> NodeFacts {
    let mut facts = NodeFacts::new(node_ips, node, held);
    facts.reconfigure(settings.node_ports.clone(), settings.detect_local.clone());
    facts
}

/// What the backend is told.
pub(crate) fn ipvs_config(settings: &Settings, facts: &NodeFacts) -> IpvsConfig {
    let pods = facts.pods();
    settings.ipvs_config(facts.node_ips(), pods.detector, pods.own)
}

/// A model that knows this node's name, and where API servers answer.
pub(crate) fn model(settings: &Settings, node_name: &str, api_servers: Vec<IpAddr>) -> Model {
    Model::new(node_name)
        .with_scheduler(settings.scheduler, SchedulerFlags::default())
        .with_api_servers(api_servers)
}

impl Source {
    /// Addresses of API servers that are known without asking one.
    fn api_servers(&self) -> Vec<IpAddr> {
        match self {
            Self::Manifests { .. } => Vec::new(),
            Self::Cluster { cluster, .. } => cluster.addresses().to_vec(),
        }
    }

    /// What was asked of an API server.
    pub(crate) fn requests(&self) -> Requests {
        match self {
            Self::Manifests { .. } => Requests::default(),
            Self::Cluster { cluster, .. } => cluster.requests(),
        }
    }

    /// Everything there is now, what is wrong with it, and what is not for this proxy.
    ///
    /// # Errors
    /// The API server does not answer.
    pub(crate) fn changes(self) -> anyhow::Result<Changes> {
        match self {
            Self::Manifests { first, .. } => Ok(first),
            Self::Cluster { cluster, parser } => cluster.read(parser),
        }
    }
}

fn host_name() -> anyhow::Result<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").context("read the host's name")?;
    let name = name.trim().to_lowercase();
    if name.is_empty() {
        bail!("the host has no name: give --hostname-override");
    }
    Ok(name)
}

/// Node IPs that are given: those of proxyd's own setting, else `bindAddress`.
fn node_ips(settings: &Settings) -> Vec<IpAddr> {
    let mut ips = settings.node_ips.clone();
    let bind = settings.bind_address;
    let is_given = ips.iter().any(|ip| ip.is_ipv4() == bind.is_ipv4());
    if !bind.is_unspecified() && !bind.is_loopback() && !is_given {
        ips.push(bind);
    }
    ips
}
