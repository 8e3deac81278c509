//! One step file: what happens, and then for how long nothing does.

use std::net::SocketAddr;

use proxy_core::memory::Fault;
use proxy_core::{Protocol, VirtualServerKey, api};
use serde::Deserialize;

/// What happens in a step. `scenarios/README.md` says it for whoever writes one.
pub(crate) struct Step {
    pub(crate) control: Control,
    pub(crate) objects: Vec<Object>,
}

/// An object that is created or changed.
pub(crate) enum Object {
    Service(Box<api::Service>),
    Slice(api::EndpointSlice),
    Node(api::Node),
}

/// The document of kind `Step`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct Control {
    #[serde(rename = "kind")]
    _kind: String,
    /// What the data plane cannot do; in the first step.
    pub(crate) without: Vec<Lack>,
    pub(crate) restart: bool,
    fail: Vec<FaultName>,
    refuse: Vec<String>,
    pub(crate) accept_all: bool,
    tamper: Vec<String>,
    pub(crate) delete: Vec<String>,
    pub(crate) resync: bool,
    pub(crate) run_milliseconds: u64,
}

#[derive(Clone, Copy, Deserialize)]
pub(crate) enum Lack {
    NodePorts,
    SplitAudiences,
    SourceRanges,
    SessionAffinity,
    #[serde(rename = "SCTP")]
    Sctp,
    IPv6,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
enum FaultName {
    Before,
    Halfway,
    After,
}

impl Control {
    pub(crate) fn faults(&self) -> impl Iterator<Item = Fault> {
        self.fail.iter().map(|name| match name {
            FaultName::Before => Fault::Before,
            FaultName::Halfway => Fault::Halfway,
            FaultName::After => Fault::After,
        })
    }

    pub(crate) fn refused(&self) -> impl Iterator<Item = VirtualServerKey> {
        self.refuse.iter().map(|text| key(text))
    }

    pub(crate) fn tampered(&self) -> impl Iterator<Item = VirtualServerKey> {
        self.tamper.iter().map(|text| key(text))
    }
}

/// A virtual server as it is written: `TCP 10.96.0.9:80`.
fn key(text: &str) -> VirtualServerKey {
    let (protocol, address) = text.split_once(' ').expect("PROTOCOL ADDRESS:PORT");
    let address: SocketAddr = address.parse().expect("ADDRESS:PORT");
    VirtualServerKey {
        address: address.ip(),
        protocol: match protocol {
            "TCP" => Protocol::Tcp,
            "UDP" => Protocol::Udp,
            "SCTP" => Protocol::Sctp,
            _ => panic!("{protocol} is no protocol"),
        },
        port: address.port().try_into().expect("a port is not 0"),
    }
}

impl Step {
    pub(crate) fn parse(text: &str) -> Result<Self, serde_saphyr::Error> {
        #[derive(Deserialize)]
        struct Head {
            kind: String,
        }
        let mut step = Self { control: Control::default(), objects: Vec::new() };
        for document in documents(text) {
            let Head { kind } = serde_saphyr::from_str(&document)?;
            match kind.as_str() {
                "Step" => step.control = serde_saphyr::from_str(&document)?,
                "Service" => step.objects.push(Object::Service(serde_saphyr::from_str(&document)?)),
                "EndpointSlice" => {
                    step.objects.push(Object::Slice(serde_saphyr::from_str(&document)?));
                }
                "Node" => step.objects.push(Object::Node(serde_saphyr::from_str(&document)?)),
                _ => panic!("a step holds no {kind}"),
            }
        }
        Ok(step)
    }
}

/// The documents of a file, without those that hold only comments.
fn documents(text: &str) -> Vec<String> {
    let is_content = |line: &str| !line.trim().is_empty() && !line.starts_with('#');
    let documents = text.split("---\n").filter(|document| document.lines().any(is_content));
    documents.map(str::to_owned).collect()
}
