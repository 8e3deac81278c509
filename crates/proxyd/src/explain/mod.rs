//! `proxyd explain`: what becomes of a packet on this node, and because of what. Changes nothing.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use ipvs_backend::IpvsConfig;
use ipvs_backend::explain::{DataPlane, Packet, read};
use ipvs_backend::kernel::{Kernel, Netlink};
use ipvs_backend::netlink::Traffic;
use ipvs_backend::rules::{restore_input, static_rules};
use proxy_core::{DesiredState, Event, Family, Model};

use crate::look::{Look, LookArgs};
use crate::output::{Output, print};
use crate::source::Severity;

mod cast;
mod document;
mod subject;
#[cfg(test)]
mod tests;
mod text;

use cast::Cast;
use document::Document;
use subject::{Target, Who};

/// Explain what becomes of a packet on this node, hook by hook, and because of which fields.
///
/// Walks through the rules, sets, virtual servers and routes that `run` would program: which rule and
/// member match, the mark, the virtual server and its servers, and the source that each of them sees.
/// With --live through those that are in the kernel now.
///
/// Services are those that the running daemon knows, unless --config, --manifests or --kubeconfig say
/// where else to look, or --bundle.
///
/// Rules, policies and routes of other software are not looked at.
#[derive(Debug, Args)]
#[command(after_long_help = "\
SRC is an IP address, ADDRESS%INTERFACE, or one of
  pod         a pod of this node that is no server
  remote-pod  a pod of another node, as its packet comes here
  node        a process of this node
  outside     a client outside the cluster

DST is one of
  ADDRESS:PORT or ADDRESS:PORT/PROTOCOL     tcp, udp or sctp; tcp if left out
  svc/NAMESPACE/NAME                        every frontend of a Service
  svc/NAMESPACE/NAME:PORT                   those of one of its ports, by number or name
with IPv6 addresses in brackets.

Exit status:
  0  a server gets every packet
  1  it could not be explained: SRC or DST means nothing, or something cannot be read
  2  the command line is wrong
  3  a packet is refused
  4  a packet gets no answer
  5  a packet is for no Service of this node
Of several packets, the first that no server gets decides.

Examples:
  proxyd explain pod svc/default/web
  proxyd explain outside 192.0.2.7:30080 --bundle node-1.tar.gz
  proxyd explain pod 10.96.0.10:53/udp --config /etc/kube-proxy/config.conf
  proxyd explain outside svc/default/web --manifests DIR --node-name node-1 -o json
  proxyd explain --live 203.0.113.9 192.0.2.7:443 --config /etc/kube-proxy/config.conf")]
pub(crate) struct ExplainArgs {
    /// Who sends to whom; any number of pairs
    #[arg(required = true, num_args = 2.., value_names = ["SRC", "DST"])]
    pairs: Vec<String>,
    #[command(flatten)]
    look: LookArgs,
    /// Look at the kernel of this node as it is, not at what `run` would make of it
    #[arg(long, conflicts_with = "bundle")]
    live: bool,
    /// How to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Output,
}

pub(crate) fn run(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let questions = questions(&args.pairs)?;
    let mut look = args.look.look()?;
    look.changes.problems.iter().for_each(|problem| eprintln!("proxyd: {problem}"));
    if look.changes.problems.iter().any(|problem| problem.severity == Severity::Unreadable) {
        bail!("nothing is known of Services; see above");
    }
    if !args.live {
        look = look.even_from_elsewhere();
    }
    let events = look.events();
    let Look { node_name, facts, config, model, .. } = look;
    let cast = Cast::new(&node_name, &events, facts.addresses(), &config);
    let (model, desired) = desired(model, events);
    let mut packets = Vec::new();
    for (who, target) in &questions {
        packets.extend(subject::packets(who, target, &cast, &model, &desired)?);
    }
    let (plane, differences) = if args.live {
        live(&packets, &config)?
    } else {
        (DataPlane::of(&desired, &config, facts.addresses()), Vec::new())
    };
    let document = Document::new(&node_name, &packets, &plane, &desired, differences);
    print(&args.output.written(&document, text::text)?)?;
    Ok(ExitCode::from(document.status()))
}

fn questions(pairs: &[String]) -> anyhow::Result<Vec<(Who, Target)>> {
    let (pairs, rest) = pairs.as_chunks::<2>();
    if let [source] = rest {
        bail!("{source:?} has no destination; give pairs of SRC and DST");
    }
    let question = |[source, destination]: &[String; 2]| -> anyhow::Result<_> {
        let who = source.parse().with_context(|| format!("source {source:?}"))?;
        let target = destination.parse().with_context(|| format!("destination {destination:?}"))?;
        Ok((who, target))
    };
    pairs.iter().map(question).collect()
}

fn desired(mut model: Model, events: Vec<Event>) -> (Model, DesiredState) {
    let mut desired = DesiredState::new();
    for event in events {
        model.apply(event);
    }
    for service in model.service_keys() {
        let _ = desired.replace(service, model.resolve(service));
    }
    (model, desired)
}

/// What the kernel holds that concerns these packets, and what its static rules lack.
fn live(packets: &[Packet], config: &IpvsConfig) -> anyhow::Result<(DataPlane, Vec<String>)> {
    let traffic = Arc::new(Traffic::default());
    let mut kernel = Netlink::open(&traffic)?;
    let services = |held: &_| packets.iter().flat_map(|packet| packet.services(held)).collect();
    let held = read(&mut kernel, services).context("read the kernel's virtual servers and sets")?;
    let plane = DataPlane::found(held, config);
    let families: BTreeSet<Family> = packets.iter().map(Packet::family).collect();
    let mut differences = Vec::new();
    for family in families {
        let saved = kernel.saved_rules(family).context("read the static rules")?;
        let mended = restore_input(&static_rules(family, &config.rules), &saved);
        let found = mended.into_iter().flat_map(|(_, found)| found);
        differences.extend(found.map(|difference| {
            let what = if difference.is_missing { "is missing" } else { "is another" };
            format!("{} {what}", difference.object)
        }));
    }
    Ok((plane, differences))
}
