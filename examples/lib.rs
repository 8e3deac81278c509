//! Objects that the examples begin with, as the API spells them.

use std::sync::Arc;

use anyhow::Context as _;
use proxy_core::{Event, Interner, api};

/// A Service at cluster IP 10.96.0.`last`, TCP port 80.
///
/// # Errors
/// When it is not valid.
pub fn service(name: &str, last: u8, names: &mut Interner) -> anyhow::Result<Event> {
    let object = api::Service {
        metadata: api::Metadata { name: Some(name.to_owned()), ..Default::default() },
        spec: api::ServiceSpec {
            cluster_ip: Some(format!("10.96.0.{last}")),
            ports: vec![api::ServicePort { port: Some(80), ..Default::default() }],
            ..Default::default()
        },
        ..Default::default()
    };
    let parsed = object.parse(names);
    let service = parsed.value.with_context(|| format!("{:?}", parsed.rejections))?;
    Ok(Event::Service(Arc::new(service)))
}

/// The slice with all endpoints of a Service: `addresses`, port 8080.
///
/// # Errors
/// When it is not valid.
pub fn endpoints(of: &str, addresses: &[&str], names: &mut Interner) -> anyhow::Result<Event> {
    let endpoint = |address: &&str| api::Endpoint {
        addresses: vec![(*address).to_owned()],
        ..Default::default()
    };
    let object = api::EndpointSlice {
        metadata: api::Metadata {
            name: Some(format!("{of}-1")),
            labels: [("kubernetes.io/service-name".to_owned(), of.to_owned())].into(),
            ..Default::default()
        },
        address_type: Some("IPv4".to_owned()),
        ports: vec![api::EndpointPort { port: Some(8080), ..Default::default() }],
        endpoints: addresses.iter().map(endpoint).collect(),
    };
    let parsed = object.parse(names);
    let slice = parsed.value.with_context(|| format!("{:?}", parsed.rejections))?;
    Ok(Event::Slice(Arc::new(slice)))
}

/// The blocks of code in the book's page for embedders are examples, too.
#[cfg(doctest)]
#[doc = include_str!("../docs/embedding.md")]
pub struct Embedding;
