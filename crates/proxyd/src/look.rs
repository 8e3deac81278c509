//! What commands that only look at a node look at: what its sources say now, or what its daemon was
//! told, asked over its socket or kept in a bundle.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use ipvs_backend::IpvsConfig;
use proxy_core::{Event, Model, Node};

use crate::bundle::Bundle;
use crate::config::{Configuration, DEFAULT_SOCKET, KubeProxyFlags};
use crate::node_args::{self, FirstLook, NodeArgs, Patience};
use crate::node_facts::NodeFacts;
use crate::source::{Changes, Object, Parser, Value};
use crate::status::{Client, Objects};

/// Where the daemon keeps what it decides from.
const OBJECTS: &str = "/v1/objects";

/// Where to look.
#[derive(Debug, Args)]
pub(crate) struct LookArgs {
    /// Look at what the daemon knew when `proxyd bundle` wrote this file
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    #[command(flatten)]
    node: NodeArgs,
}

/// What there is to look at.
pub(crate) struct Look {
    /// Name of the node.
    pub(crate) node_name: String,
    /// Its object, if this machine may be another.
    of_node: Option<Arc<Node>>,
    /// What is known of it.
    pub(crate) facts: NodeFacts,
    /// What the backend is told.
    pub(crate) config: IpvsConfig,
    /// Knows the node's name, and nothing else yet.
    pub(crate) model: Model,
    /// Everything there is.
    pub(crate) changes: Changes,
}

impl LookArgs {
    /// Looks at what flags name, or the bundle; else at what the running daemon knows.
    ///
    /// # Errors
    /// It cannot be read or used, or flags contradict each other.
    pub(crate) fn look(&self) -> anyhow::Result<Look> {
        if let Some(file) = &self.bundle {
            let objects: Objects = self.node.bundle(file)?.get(OBJECTS)?;
            let at = &objects.proxyd.as_of.at;
            eprintln!("proxyd: as node {} knew it at {at}", objects.proxyd.node);
            return Look::of_daemon(objects);
        }
        if self.node.flags.besides_socket().is_some() {
            return self.node.look();
        }
        let socket = self.node.flags.socket().unwrap_or(DEFAULT_SOCKET);
        let objects = Client::new(Path::new(socket)).get(OBJECTS).context(
            "ask the daemon, since no --config, --manifests, --kubeconfig or --bundle is given",
        )?;
        Look::of_daemon(objects)
    }
}

impl NodeArgs {
    /// Opens a bundle, beside which nothing else counts.
    ///
    /// # Errors
    /// It cannot be read, or flags are given that would not count.
    pub(crate) fn bundle(&self, file: &Path) -> anyhow::Result<Bundle> {
        if let Some(flag) = self.flags.besides_socket() {
            bail!("--{flag} has no effect on what is in a bundle: leave out that or --bundle");
        }
        Bundle::open(file)
    }

    /// Looks at what flags and the configuration file name: warnings go to standard error.
    ///
    /// # Errors
    /// The configuration cannot be used, or the objects or addresses cannot be read.
    pub(crate) fn look(&self) -> anyhow::Result<Look> {
        let configuration = self.configuration()?;
        configuration.problems().iter().for_each(|problem| eprintln!("proxyd: {problem}"));
        let settings = configuration.settings().context("it has no errors")?;
        let FirstLook { node_name, node, facts, config, model, source } =
            FirstLook::new(settings, Patience::None)?;
        Ok(Look { node_name, of_node: node, facts, config, model, changes: source.changes()? })
    }
}

impl Look {
    /// Looks as the daemon of the objects does.
    ///
    /// # Errors
    /// It has another configuration than this program can use.
    fn of_daemon(objects: Objects) -> anyhow::Result<Self> {
        let (own, objects, problems) = objects.into_parts();
        let text = own.configuration.to_string();
        let configuration =
            Configuration::of_file("its configuration", &text, &KubeProxyFlags::default());
        let Some(settings) = configuration.settings() else {
            let problems = configuration.problems().iter().map(|it| format!("\n  {it}"));
            bail!(
                "this program, {}, cannot use the daemon's configuration:{}",
                env!("CARGO_PKG_VERSION"),
                problems.collect::<String>()
            );
        };
        let mut parser = Parser::new(settings.external_ips);
        let parsed = objects.into_iter().filter_map(|object: Object| parser.parse(object).1.value);
        let events: Vec<_> = parsed.map(|value: Value| value.event()).collect();
        let node = node_args::node_named(&own.node, &events);
        let facts = node_args::facts(settings, own.node_ips, node, own.addresses);
        Ok(Self {
            config: node_args::ipvs_config(settings, &facts),
            model: node_args::model(settings, &own.node, own.api_servers),
            node_name: own.node,
            of_node: None,
            facts,
            changes: Changes { events, problems, ..Changes::default() },
        })
    }

    /// Takes the addresses that the node's object tells for its own, if this machine has none of
    /// them: somebody asks about a node from elsewhere.
    pub(crate) fn even_from_elsewhere(mut self) -> Self {
        if let Some(node) = self.of_node.as_deref().filter(|node| !self.facts.is_of(node)) {
            eprintln!(
                "proxyd: this machine is not {}: its Node object tells its addresses",
                node.name
            );
            self.facts.take_for(node);
            self.config.node.ips = self.facts.node_ips();
        }
        self
    }

    /// Everything there is, taken out, with the addresses on which node ports are served.
    pub(crate) fn events(&mut self) -> Vec<Event> {
        let mut events = std::mem::take(&mut self.changes.events);
        events.push(Event::NodePortAddresses(self.facts.node_port_addresses()));
        events
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        look: LookArgs,
    }

    #[track_caller]
    fn check_error(arguments: &[&str], expected: &str) {
        let line = Line::parse_from([&["proxyd"], arguments].concat());
        let error = format!("{:#}", line.look.look().err().expect("there is nothing to look at"));
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn what_cannot_be_looked_at_is_told_with_the_remedy() {
        let bundle = ["--bundle", "/nonexistent.tar.gz"];
        check_error(&bundle, "open /nonexistent.tar.gz");
        check_error(&[&bundle[..], &["--node-name", "n2"]].concat(), "--hostname-override has no");
        let socket = ["--socket", "/nonexistent.sock"];
        check_error(&socket, "ask the daemon, since no --config");
        check_error(&socket, "there is no such socket");
        check_error(&["--manifests", "/nonexistent", "--proxy-mode=nftables"], "mode: ipvs");
    }

    #[test]
    fn a_configuration_that_cannot_be_used_is_told_with_what_is_wrong() {
        let objects = r#"{"apiVersion": "v1", "kind": "List", "items": [], "proxyd": {
            "asOf": {}, "node": "n1", "addresses": [], "nodeIPs": [], "apiServers": [],
            "problems": [], "configuration": {"kind": "KubeProxyConfiguration",
                "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "clusterCIDR": "bogus"}}}"#;
        let error = Look::of_daemon(serde_json::from_str(objects).unwrap()).err().unwrap();
        assert!(error.to_string().contains("clusterCIDR"), "{error}");
    }
}
