//! `proxyd resolve`: what one node would serve, from manifests alone. No kernel, no privileges.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::{Args, ValueEnum, builder::NonEmptyStringValueParser};
use proxy_core::{DesiredState, Event, Family, Model};

use crate::config::ExternalIps;
use crate::manifest::Reader;
use crate::output::{json, print, yaml};
use crate::source::{Parser, Problem, Severity};

mod document;
mod table;

pub(crate) use document::Document;

pub(crate) use table::section;

/// Show what a node would serve, from manifests alone
///
/// Reads Services, EndpointSlices and Nodes from the files of a directory, decides as a node of
/// the given name would, and prints every address and port it would serve, with the endpoints
/// behind it. Nothing on this machine is read or changed besides.
///
/// What cannot be used is listed with the reason, and everything else is shown all the same; the
/// exit status is 0 then, too.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = "\
Example:
  proxyd resolve --manifests examples/two-tier --node-name node-1

  What a load balancer that sends to node-2 would reach, as JSON:
  proxyd resolve --manifests DIR --node-name node-2 --node-ip 192.0.2.2 -o json

Clients outside the cluster and clients inside (pods, nodes) are shown apart where they are
served differently, which externalTrafficPolicy: Local does.")]
pub(crate) struct ResolveArgs {
    /// Directory with .yaml, .yml and .json files
    #[arg(long, value_name = "DIR")]
    manifests: PathBuf,
    /// Name of the node that decides, as endpoints have it in nodeName
    ///
    /// If the manifests hold a Node of this name, its zone counts.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    node_name: String,
    /// Address of the node on which it serves node ports; may be repeated
    ///
    /// Without one of a family, node ports of that family are shown at the address "*".
    #[arg(long = "node-ip", value_name = "IP", value_parser = node_ip)]
    node_ips: Vec<IpAddr>,
    /// How to print
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Output,
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Columns for people
    Table,
    /// One document for programs; fields are only ever added
    Json,
    /// The same document in YAML
    Yaml,
}

/// Reads an address that other hosts can reach a node at.
pub(crate) fn node_ip(text: &str) -> Result<IpAddr, String> {
    let address: IpAddr = text.parse().map_err(|_| "is no IP address".to_owned())?;
    let address = address.to_canonical();
    if address.is_unspecified() || address.is_loopback() || address.is_multicast() {
        return Err("is no address that other hosts can reach a node at".to_owned());
    }
    Ok(address)
}

/// Runs the command.
pub(crate) fn run(args: &ResolveArgs) -> anyhow::Result<()> {
    let document = resolved(&args.manifests, &args.node_name, &args.node_ips)?;
    let text = match args.output {
        Output::Table => table::table(&document),
        Output::Json => json(&document)?,
        Output::Yaml => yaml(&document)?,
    };
    print(&text)
}

/// What the node would serve.
fn resolved(manifests: &Path, node_name: &str, node_ips: &[IpAddr]) -> anyhow::Result<Document> {
    let mut reader = Reader::new(manifests, Parser::new(ExternalIps::Serve));
    let changes = reader.read();
    let mut model = Model::new(node_name);
    model.apply(Event::NodePortAddresses(node_port_addresses(node_ips)));
    for event in changes.events {
        model.apply(event);
    }
    let mut state = DesiredState::new();
    for service in model.service_keys() {
        let _ = state.replace(service, model.resolve(service));
    }
    let problems = reader.problems();
    if let Some(problem) = problems.iter().find(|one| one.severity == Severity::Unreadable) {
        bail!("{}", unreadable(problem));
    }
    Ok(Document::new(node_name, &state, &problems))
}

fn unreadable(problem: &Problem) -> String {
    format!("read manifests: {problem}")
}

/// The given addresses; for a family without one, the unspecified address.
fn node_port_addresses(node_ips: &[IpAddr]) -> Vec<IpAddr> {
    let mut addresses: Vec<_> = node_ips.iter().map(IpAddr::to_canonical).collect();
    for family in Family::ALL {
        if !addresses.iter().any(|address| Family::of(*address) == family) {
            addresses.push(match family {
                Family::Ipv4 => Ipv4Addr::UNSPECIFIED.into(),
                Family::Ipv6 => Ipv6Addr::UNSPECIFIED.into(),
            });
        }
    }
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

#[cfg(test)]
mod tests;
