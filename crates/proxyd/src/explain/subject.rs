//! Who sends to whom, as it is written on the command line, and the packets that this means.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use anyhow::{Context, bail};
use ipvs_backend::explain::Packet;
use proxy_core::{DesiredState, Family, Model, Protocol, ServiceKey, VirtualServerKey};

use super::cast::Cast;

/// A client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Address(IpAddr, Option<String>),
    Pod,
    RemotePod,
    Node,
    Outside,
}

/// Whom it calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Frontend(Protocol, SocketAddr),
    /// Every frontend, or those of the port with this number or name.
    Service(ServiceKey, Option<String>),
}

impl FromStr for Who {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        Ok(match text {
            "pod" => Self::Pod,
            "remote-pod" => Self::RemotePod,
            "node" => Self::Node,
            "outside" => Self::Outside,
            _ => {
                let (address, interface) = match text.split_once('%') {
                    Some((address, interface)) => (address, Some(interface.to_owned())),
                    None => (text, None),
                };
                let address: IpAddr = address
                    .parse()
                    .context("is no client; use an IP address, pod, remote-pod, node or outside")?;
                Self::Address(address.to_canonical(), interface.filter(|name| !name.is_empty()))
            }
        })
    }
}

impl FromStr for Target {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let help = "is no destination; use ADDRESS:PORT, ADDRESS:PORT/PROTOCOL, \
                    svc/NAMESPACE/NAME or svc/NAMESPACE/NAME:PORT";
        if let Some(service) = text.strip_prefix("svc/") {
            let (namespace, name) = service.split_once('/').context(help)?;
            let (name, port) = match name.split_once(':') {
                Some((name, port)) => (name, Some(port.to_owned())),
                None => (name, None),
            };
            if namespace.is_empty() || name.is_empty() || name.contains('/') {
                bail!(help);
            }
            return Ok(Self::Service(ServiceKey::new(namespace, name), port));
        }
        let (address, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let protocol = match protocol.to_ascii_lowercase().as_str() {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            "sctp" => Protocol::Sctp,
            _ => bail!("{protocol:?} is no protocol of a Service; use tcp, udp or sctp"),
        };
        let address: SocketAddr = address.parse().ok().context(help)?;
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        Ok(Self::Frontend(protocol, address))
    }
}

/// The packets of a question: one, or one for each frontend of a Service.
pub(super) fn packets(
    who: &Who,
    target: &Target,
    cast: &Cast,
    model: &Model,
    desired: &DesiredState,
) -> anyhow::Result<Vec<Packet>> {
    let packet = |protocol, destination: SocketAddr| -> anyhow::Result<_> {
        let client = cast.client(who, Family::of(destination.ip()))?;
        Ok(Packet { client, protocol, destination })
    };
    let (service, port) = match target {
        Target::Frontend(protocol, destination) => {
            return Ok(vec![packet(*protocol, *destination)?]);
        }
        Target::Service(service, port) => (service, port.as_deref()),
    };
    let known = model.service(service).with_context(|| {
        format!(
            "Service {service} has no frontends here; `proxyd why {service}` says why, or correct \
             the name"
        )
    })?;
    let is_asked = |key: &&VirtualServerKey| {
        let Some(wanted) = port else { return true };
        let is_of = |port: &&proxy_core::ServicePort| {
            port.protocol == key.protocol
                && [Some(port.port), port.node_port].contains(&Some(key.port))
        };
        wanted == key.port.to_string()
            || known.ports.iter().filter(is_of).any(|port| *port.name == *wanted)
    };
    let asked: Vec<_> = desired.keys_of(service).iter().filter(is_asked).collect();
    if asked.is_empty() {
        bail!("Service {service} has no frontend with port {:?}", port.unwrap_or_default());
    }
    let suits = |key: &&&VirtualServerKey| match who {
        Who::Address(address, _) => Family::of(*address) == key.family(),
        _ => true,
    };
    let suiting: Vec<_> = asked.iter().filter(suits).collect();
    if suiting.is_empty() {
        bail!("Service {service} has no frontend of the client's family; give another address");
    }
    suiting
        .iter()
        .map(|key| packet(key.protocol, SocketAddr::new(key.address, key.port.get())))
        .collect()
}
