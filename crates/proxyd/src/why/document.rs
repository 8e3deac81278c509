//! The document of `proxyd why -o json`. Its names and order are an interface: fields are only ever
//! added.

use std::net::IpAddr;

use proxy_core::api::NotOurs;
use proxy_core::policy::List;
use proxy_core::why::{Account, EndpointRef, FrontendAccount, ListAccount, PortAccount};
use proxy_core::{Conflict, ServiceKey, WhenEmpty};
use serde::Serialize;

use crate::source::{Problem, Severity};

/// Why a Service has the servers that it has.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    pub(super) node: String,
    pub(super) service: String,
    /// Why it has no frontends at all; null if it has.
    pub(super) not_served: Option<String>,
    /// How many EndpointSlices it has.
    pub(super) slices: usize,
    pub(super) ports: Vec<Port>,
    /// Endpoints of a family in which it has no cluster IP.
    pub(super) of_other_families: Vec<Entry>,
    /// Fields that are not used.
    pub(super) rejected: Vec<Note>,
    pub(super) warnings: Vec<Note>,
}

/// A port in one family.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Port {
    pub(super) port_name: String,
    pub(super) protocol: String,
    pub(super) port: u16,
    pub(super) family: String,
    pub(super) frontends: Vec<Frontend>,
    pub(super) lists: Vec<Servers>,
}

/// Where it is reached.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Frontend {
    pub(super) kind: String,
    pub(super) address: IpAddr,
    pub(super) port: u16,
    /// `cluster` or `local`: the list of clients outside the cluster.
    pub(super) outside: &'static str,
    /// The list of pods and nodes.
    pub(super) inside: &'static str,
    /// The Service that has it; null if it is this one.
    pub(super) lost_to: Option<String>,
}

/// A list of endpoints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Servers {
    /// `cluster` or `local`.
    pub(super) list: &'static str,
    /// `reject` or `drop`; null while an endpoint is used.
    pub(super) when_empty: Option<&'static str>,
    pub(super) endpoints: Vec<Entry>,
}

/// An endpoint.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    pub(super) address: IpAddr,
    /// Null if its slice has none for the Service's port.
    pub(super) port: Option<u16>,
    pub(super) node: Option<String>,
    pub(super) slice: String,
    /// Why it is not used; null if it is.
    pub(super) unused: Option<String>,
}

/// Something that is wrong, or hardly meant so.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Note {
    pub(super) object: String,
    pub(super) field: String,
    pub(super) value: String,
    pub(super) reason: String,
}

impl Document {
    pub(super) fn new(
        node: &str,
        service: &ServiceKey,
        not_ours: Option<&NotOurs>,
        account: Option<&Account>,
        lost: &[Conflict],
        problems: &[&Problem],
    ) -> Self {
        let not_served = match (not_ours, account) {
            (_, Some(_)) => None,
            (Some(reason), None) => Some(reason.to_string()),
            (None, None) => Some("it is rejected as a whole".to_owned()),
        };
        let notes = |is_warning: bool| {
            let wanted = move |it: &&&Problem| (it.severity == Severity::Warning) == is_warning;
            problems.iter().filter(wanted).map(|problem| Note::from(*problem)).collect()
        };
        Self {
            node: node.to_owned(),
            service: service.to_string(),
            not_served,
            slices: account.map_or(0, |account| account.slices),
            ports: account
                .into_iter()
                .flat_map(|account| &account.ports)
                .map(|port| Port::new(port, lost))
                .collect(),
            of_other_families: account
                .into_iter()
                .flat_map(|account| &account.of_other_families)
                .map(|it| Entry::new(it, Some("the Service has no cluster IP of its family")))
                .collect(),
            rejected: notes(false),
            warnings: notes(true),
        }
    }

    /// The exit status.
    pub(super) fn status(&self) -> u8 {
        let is_well = |port: &Port| {
            port.lists.iter().all(|list| list.when_empty.is_none())
                && port.frontends.iter().all(|frontend| frontend.lost_to.is_none())
        };
        if self.not_served.is_none() && self.ports.iter().all(is_well) { 0 } else { 3 }
    }
}

impl Port {
    fn new(account: &PortAccount, lost: &[Conflict]) -> Self {
        let frontend = |frontend: &FrontendAccount| {
            let is_it = |conflict: &&Conflict| {
                (conflict.key, conflict.kind) == (frontend.key, frontend.kind)
            };
            Frontend {
                kind: frontend.kind.to_string(),
                address: frontend.key.address,
                port: frontend.key.port.get(),
                outside: word(frontend.outside),
                inside: word(frontend.inside),
                lost_to: lost.iter().find(is_it).map(|conflict| conflict.owner.to_string()),
            }
        };
        Self {
            port_name: account.port.name.to_string(),
            protocol: account.port.protocol.to_string(),
            port: account.port.port.get(),
            family: account.family.to_string(),
            frontends: account.frontends.iter().map(frontend).collect(),
            lists: account.lists.iter().map(Servers::from).collect(),
        }
    }
}

impl From<&ListAccount> for Servers {
    fn from(account: &ListAccount) -> Self {
        let entry = |(endpoint, reason): &(EndpointRef, Option<proxy_core::why::Reason>)| {
            Entry::new(endpoint, reason.as_ref().map(ToString::to_string).as_deref())
        };
        Self {
            list: word(account.list),
            when_empty: account.when_empty.map(|answer| match answer {
                WhenEmpty::Reject => "reject",
                WhenEmpty::Drop => "drop",
            }),
            endpoints: account.endpoints.iter().map(entry).collect(),
        }
    }
}

impl Entry {
    fn new(endpoint: &EndpointRef, unused: Option<&str>) -> Self {
        Self {
            address: endpoint.address,
            port: endpoint.port.map(std::num::NonZeroU16::get),
            node: endpoint.node.as_ref().map(ToString::to_string),
            slice: endpoint.slice.to_string(),
            unused: unused.map(str::to_owned),
        }
    }
}

impl From<&Problem> for Note {
    fn from(problem: &Problem) -> Self {
        let Problem { object, field, value, reason, .. } = problem.clone();
        Self { object, field, value, reason }
    }
}

const fn word(list: List) -> &'static str {
    match list {
        List::Cluster => "cluster",
        List::Local => "local",
    }
}
