//! The document of `proxyd explain -o json`. Its names and order are an interface: fields are
//! only ever added.

use std::net::IpAddr;

use ipvs_backend::explain::{
    Branch, Client, DataPlane, Event, Explanation, Field, Hook, Owner, Packet, Source, Step, Stop,
    Verdict, explain,
};
use ipvs_backend::rules::{Target, render};
use proxy_core::{DesiredState, VirtualServer, VirtualServerKey};
use serde::Serialize;

/// What becomes of some packets.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    pub(super) node: String,
    pub(super) packets: Vec<Explained>,
    /// With `--live`, what of the static rules is not in the kernel as it should be.
    pub(super) rule_differences: Vec<String>,
}

/// A packet and what becomes of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Explained {
    pub(super) client: Caller,
    /// `address:port`.
    pub(super) destination: String,
    pub(super) protocol: String,
    /// What the destination is a frontend of; null if of no Service.
    pub(super) frontend: Option<Frontend>,
    pub(super) steps: Vec<Happening>,
    /// `served`, `refused`, `dropped`, `local` or `routed`.
    pub(super) verdict: &'static str,
    /// How the client is told that it is refused.
    pub(super) refusal: Option<String>,
    /// What IPVS chooses from.
    pub(super) servers: Vec<Server>,
    /// The source with which it goes on by the routes.
    pub(super) seen: Option<Seen>,
}

/// Who sends it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Caller {
    /// Null if this node has no address of the family.
    pub(super) address: Option<IpAddr>,
    pub(super) interface: Option<String>,
    pub(super) is_this_node: bool,
}

/// What an address and port is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Frontend {
    pub(super) service: String,
    pub(super) port_name: String,
    pub(super) kind: String,
}

/// A step.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Happening {
    pub(super) hook: &'static str,
    /// `mangle`, `nat`, `filter`, `route` or `ipvs`.
    pub(super) place: &'static str,
    /// The chain of the rule; null if it is none.
    pub(super) chain: Option<&'static str>,
    /// The rule as `iptables-save` shows it; null if it is none.
    pub(super) rule: Option<String>,
    /// The sets that the packet was found in, each with the member.
    pub(super) members: Vec<String>,
    /// In words.
    pub(super) what: String,
    pub(super) mark: u32,
    /// Fields of the Service or of the configuration.
    pub(super) fields: Vec<String>,
}

/// A server that may get the connection.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Server {
    /// `address:port`.
    pub(super) server: String,
    pub(super) weight: u32,
    pub(super) steps: Vec<Happening>,
    /// `reached`, `refused` or `dropped`.
    pub(super) outcome: &'static str,
    /// The source that it sees; null if it is not reached.
    pub(super) seen: Option<Seen>,
}

/// The source of a packet at its end.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Seen {
    /// Null if it is this node's on the interface that it leaves by.
    pub(super) address: Option<IpAddr>,
    pub(super) is_masqueraded: bool,
}

impl Document {
    pub(super) fn new(
        node: &str,
        packets: &[Packet],
        plane: &DataPlane,
        desired: &DesiredState,
        rule_differences: Vec<String>,
    ) -> Self {
        let explained = |packet: &Packet| Explained::new(packet, explain(packet, plane), desired);
        Self {
            node: node.to_owned(),
            packets: packets.iter().map(explained).collect(),
            rule_differences,
        }
    }

    /// The exit status: of the first packet that no server gets.
    pub(super) fn status(&self) -> u8 {
        let status = |packet: &Explained| match packet.verdict {
            "served" => {
                let outcomes = || packet.servers.iter().map(|server| server.outcome);
                match outcomes().next().filter(|_| outcomes().all(|it| it != "reached")) {
                    None => 0,
                    Some("refused") => 3,
                    Some(_) => 4,
                }
            }
            "refused" => 3,
            "dropped" => 4,
            _ => 5,
        };
        self.packets.iter().map(status).find(|status| *status != 0).unwrap_or_default()
    }
}

impl Explained {
    fn new(packet: &Packet, explanation: Explanation, desired: &DesiredState) -> Self {
        let Packet { protocol, destination, .. } = *packet;
        let server = destination.port().try_into().ok().and_then(|port| {
            desired.get(&VirtualServerKey { address: destination.ip(), protocol, port })
        });
        let (interface, is_this_node) = match &packet.client {
            Client::ThisNode => (None, true),
            Client::Other { interface, .. } => (interface.clone(), false),
        };
        let (verdict, refusal, servers, seen) = match explanation.verdict {
            Verdict::Balanced(branches) => {
                ("served", None, branches.iter().map(Server::from).collect(), None)
            }
            Verdict::Refused(refusal) => ("refused", Some(refusal.to_string()), Vec::new(), None),
            Verdict::Dropped => ("dropped", None, Vec::new(), None),
            Verdict::Local => ("local", None, Vec::new(), None),
            Verdict::Routed { source } => ("routed", None, Vec::new(), Some(Seen::from(source))),
        };
        Self {
            client: Caller { address: explanation.source, interface, is_this_node },
            destination: destination.to_string(),
            protocol: protocol.to_string(),
            frontend: server.map(|server| Frontend::from(&**server)),
            steps: explanation.steps.iter().map(Happening::from).collect(),
            verdict,
            refusal,
            servers,
            seen,
        }
    }
}

impl From<&VirtualServer> for Frontend {
    fn from(server: &VirtualServer) -> Self {
        Self {
            service: server.origin.service.to_string(),
            port_name: server.origin.port.to_string(),
            kind: server.kind.to_string(),
        }
    }
}

impl From<&Branch> for Server {
    fn from(branch: &Branch) -> Self {
        let (outcome, seen) = match branch.end {
            Ok(source) => ("reached", Some(Seen::from(source))),
            Err(Stop::Refused(_)) => ("refused", None),
            Err(Stop::Dropped) => ("dropped", None),
        };
        Self {
            server: branch.server.id().to_string(),
            weight: branch.server.weight,
            steps: branch.steps.iter().map(Happening::from).collect(),
            outcome,
            seen,
        }
    }
}

impl From<Source> for Seen {
    fn from(source: Source) -> Self {
        match source {
            Source::Kept(address) => Self { address, is_masqueraded: false },
            Source::Masqueraded => Self { address: None, is_masqueraded: true },
        }
    }
}

impl From<&Step> for Happening {
    fn from(step: &Step) -> Self {
        let (place, chain, rule, members, what) = match &step.event {
            Event::Rule { table, chain, rule, entries } => {
                let members = entries.iter().map(|(set, entry)| format!("{set} {entry}")).collect();
                let what = action(step.hook, rule.target, step.mark);
                (table.name(), Some(*chain), Some(render(chain, rule)), members, what)
            }
            Event::Route(owner) => ("route", None, None, Vec::new(), route(step.hook, *owner)),
            Event::Balance { service, servers } => {
                let servers: Vec<_> = servers
                    .iter()
                    .map(|server| format!("{} weight {}", server.id(), server.weight))
                    .collect();
                let servers = match &servers[..] {
                    [] => "no server".to_owned(),
                    servers => servers.join(", "),
                };
                let kept = match service.timeout {
                    0 => String::new(),
                    seconds => format!(", a client keeps its server for {seconds} s"),
                };
                let what = format!("{} {}{kept}: {servers}", service.id, service.scheduler);
                ("ipvs", None, None, Vec::new(), what)
            }
        };
        let fields = step.fields.iter().map(Field::to_string).collect();
        Self { hook: step.hook.chain(), place, chain, rule, members, what, mark: step.mark, fields }
    }
}

/// What a rule does.
fn action(hook: Hook, target: Target, mark: u32) -> String {
    match target {
        Target::Jump(chain) => format!("goes through {chain}"),
        Target::Return if hook == Hook::Postrouting => "keeps its source".to_owned(),
        Target::Return => "goes on".to_owned(),
        Target::Accept => "is accepted".to_owned(),
        Target::Drop => "is dropped".to_owned(),
        Target::Reject(_) => "is refused by an ICMP error".to_owned(),
        Target::Reset => "is refused by a TCP reset".to_owned(),
        Target::ToPort(port) => format!("goes to port {port} instead"),
        Target::Mark(_) | Target::MarkFromSet(_) => format!("gets the mark {mark:#x}"),
        Target::FlipMark(_) => format!("gets the mark {mark:#x} back"),
        Target::Masquerade | Target::MasqueradeRandom => "is masqueraded".to_owned(),
    }
}

fn route(hook: Hook, owner: Owner) -> String {
    match (owner, hook) {
        (Owner::Interface, _) => "for this node, by an address of its own",
        (Owner::Service, _) => "for this node, by a Service's address",
        (Owner::Elsewhere, Hook::Output) => "to another host",
        (Owner::Elsewhere, _) => "on to another host",
    }
    .to_owned()
}
