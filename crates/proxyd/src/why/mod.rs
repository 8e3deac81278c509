//! `proxyd why`: why a Service has the servers that it has on this node, and not others.

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::Args;
use proxy_core::{Conflict, DesiredState, Event, Model, ObjectRef, ServiceKey, SliceKey};

use crate::look::LookArgs;
use crate::output::{Output, print};
use crate::source::{Changes, Problem, Severity};

mod document;
#[cfg(test)]
mod tests;
mod text;

use document::Document;

/// Say why a Service has no usable server on this node, or fewer than expected.
///
/// For each port and family, and for each list of endpoints that its frontends take servers from,
/// every endpoint is told: that it is used, or the one reason why not. Fields that cannot be used
/// and frontends that another Service has are listed too.
///
/// It is what the running daemon knows, unless --config, --manifests or --kubeconfig say where else
/// to look, or --bundle.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Exit status:
  0  every frontend is the Service's and has a server
  1  it could not be said: there is no such Service, or something cannot be read
  2  the command line is wrong
  3  a frontend has no server, or is another Service's, or there is no frontend at all

Examples:
  proxyd why default/web
  proxyd why default/web --config /etc/kube-proxy/config.conf
  proxyd why default/web --bundle node-1.tar.gz")]
pub(crate) struct WhyArgs {
    /// The Service
    #[arg(value_name = "NAMESPACE/NAME", value_parser = service_key)]
    service: ServiceKey,
    #[command(flatten)]
    look: LookArgs,
    /// How to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Output,
}

fn service_key(text: &str) -> Result<ServiceKey, String> {
    match text.split_once('/') {
        Some((namespace, name)) if ![namespace, name].contains(&"") && !name.contains('/') => {
            Ok(ServiceKey::new(namespace, name))
        }
        _ => Err("is no Service; write NAMESPACE/NAME".to_owned()),
    }
}

pub(crate) fn run(args: &WhyArgs) -> anyhow::Result<ExitCode> {
    let mut look = args.look.look()?.even_from_elsewhere();
    let events = look.events();
    let changes = Changes { events, ..look.changes };
    let document = document(&look.node_name, &args.service, look.model, changes)?;
    print(&args.output.written(&document, text::text)?)?;
    Ok(ExitCode::from(document.status()))
}

/// What there is to say about `service`.
fn document(
    node: &str,
    service: &ServiceKey,
    mut model: Model,
    changes: Changes,
) -> anyhow::Result<Document> {
    let Changes { events, problems, not_ours, .. } = changes;
    let slices_of_others = slices_of_others(service, &events);
    let is_about = |problem: &&Problem| concerns(problem, service, &slices_of_others);
    let problems: Vec<_> = problems.iter().filter(is_about).collect();
    for event in events {
        model.apply(event);
    }
    let not_ours = not_ours.iter().find(|(key, _)| key == service).map(|(_, reason)| reason);
    let account = model.why(service);
    let is_known =
        problems.iter().any(|problem| problem.about == Some(ObjectRef::Service(service.clone())));
    if account.is_none() && not_ours.is_none() && !is_known {
        return Err(unknown(service, &problems));
    }
    Ok(Document::new(node, service, not_ours, account.as_ref(), &lost(service, &model), &problems))
}

fn unknown(service: &ServiceKey, problems: &[&Problem]) -> anyhow::Error {
    let problems: Vec<_> = problems.iter().map(|problem| format!("\n  {problem}")).collect();
    let hidden = match problems.concat() {
        problems if problems.is_empty() => String::new(),
        problems => format!("; it may be in what cannot be used:{problems}"),
    };
    anyhow::anyhow!(
        "there is no Service {service}, or it is one that an API server does not show to a proxy \
         (headless, or labelled for another), or an ExternalName{hidden}"
    )
}

/// Frontends of `service` that others have.
fn lost(service: &ServiceKey, model: &Model) -> Vec<Conflict> {
    let mut desired = DesiredState::new();
    for key in model.service_keys() {
        let _ = desired.replace(key, model.resolve(key));
    }
    desired.conflicts().filter(|conflict| conflict.loser == *service).collect()
}

fn slices_of_others(service: &ServiceKey, events: &[Event]) -> BTreeSet<SliceKey> {
    let of_other = |event: &Event| match event {
        Event::Slice(slice) if slice.service_key() != *service => Some(slice.key.clone()),
        _ => None,
    };
    events.iter().filter_map(of_other).collect()
}

/// Whether a problem is of the Service, of a slice that is or may be its own, or of a file that may
/// hold either.
fn concerns(
    problem: &Problem,
    service: &ServiceKey,
    slices_of_others: &BTreeSet<SliceKey>,
) -> bool {
    match &problem.about {
        Some(ObjectRef::Service(key)) => key == service,
        Some(ObjectRef::EndpointSlice(key)) => {
            key.namespace == service.namespace && !slices_of_others.contains(key)
        }
        Some(ObjectRef::Node(_)) => false,
        None => problem.severity != Severity::Warning,
    }
}
