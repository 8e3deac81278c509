//! A Node, checked entry by entry.

use super::findings::{Findings, given};
use super::{Parsed, text};
use crate::{Interner, Name, Node, ObjectRef, Tenure};

/// Names the zone of a node.
pub(super) const ZONE: &str = "topology.kubernetes.io/zone";

/// The cluster autoscaler's taint on a node that it is about to remove.
pub(super) const TO_BE_DELETED: &str = "ToBeDeletedByClusterAutoscaler";

impl super::Node {
    /// The name, shared through `names`; empty where it is missing.
    pub fn key(&self, names: &mut Interner) -> Name {
        names.name(self.metadata.name().unwrap_or_default())
    }

    /// The Node in the model's types. A bad address or pod CIDR costs only itself.
    pub fn parse(&self, names: &mut Interner) -> Parsed<Node> {
        let name = self.metadata.name().unwrap_or_default();
        let mut findings = Findings::new(ObjectRef::Node(name.to_owned()));
        let value = node(self, names, &mut findings);
        findings.into_parsed(value)
    }
}

fn node(object: &super::Node, names: &mut Interner, findings: &mut Findings) -> Option<Node> {
    findings.require_name(&object.metadata)?;
    let zone = given(object.metadata.labels.get(ZONE).map(String::as_str));
    let mut node = Node {
        name: object.key(names),
        zone: zone.map(|name| names.name(name)),
        addresses: Vec::new(),
        pod_cidrs: Vec::new(),
        tenure: tenure(object),
    };
    for wanted in ["InternalIP", "ExternalIP"] {
        for (index, entry) in object.status.addresses.iter().enumerate() {
            if entry.kind.as_deref() == Some(wanted) {
                address(entry, index, &mut node, findings);
            }
        }
    }
    pod_cidrs(object, &mut node, findings);
    Some(node)
}

fn tenure(object: &super::Node) -> Tenure {
    let mut taints = object.spec.taints.iter();
    let is_tainted = taints.any(|taint| taint.key.as_deref() == Some(TO_BE_DELETED));
    let is_leaving = is_tainted || object.metadata.deletion_timestamp.is_some();
    if is_leaving { Tenure::Leaving } else { Tenure::Staying }
}

fn address(entry: &super::NodeAddress, index: usize, node: &mut Node, findings: &mut Findings) {
    let value = entry.address.as_deref().unwrap_or_default();
    let reason = match text::ip(value) {
        None => "is not an IP address and is not used; correct it".to_owned(),
        Some(address) => match text::never_a_host(address) {
            Some(what) => format!("is {what} and is not used; correct it"),
            None if node.addresses.contains(&address) => return,
            None => return node.addresses.push(address),
        },
    };
    findings.reject(format!("status.addresses[{index}].address"), value, reason);
}

fn pod_cidrs(object: &super::Node, node: &mut Node, findings: &mut Findings) {
    let list = object.spec.pod_cidrs.iter().enumerate();
    let mut given: Vec<_> =
        list.map(|(index, value)| (format!("spec.podCIDRs[{index}]"), value)).collect();
    if given.is_empty() {
        given.extend(object.spec.pod_cidr.iter().map(|value| ("spec.podCIDR".to_owned(), value)));
    }
    for (field, value) in given.into_iter().filter(|(_, value)| !value.is_empty()) {
        match text::cidr(value) {
            Some(range) => node.pod_cidrs.push(range),
            None => {
                let reason = "is not a range and is not used; write it as 10.1.0.0/24";
                findings.reject(field, value, reason);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::api::testing::{Outcome, shown, split};
    use crate::api::{self, NodeAddress, Taint};
    use crate::{Interner, Node, Tenure};

    #[track_caller]
    fn node(edit: impl FnOnce(&mut api::Node)) -> (Node, Outcome) {
        let mut node = api::Node::default();
        node.metadata.name = Some("n1".to_owned());
        edit(&mut node);
        let (value, outcome) = split(node.parse(&mut Interner::new()));
        (value.expect("the node is used"), outcome)
    }

    #[test]
    fn an_empty_zone_is_none() {
        let zone = |value: &'static str| {
            move |node: &mut api::Node| {
                let label = ("topology.kubernetes.io/zone".to_owned(), value.to_owned());
                node.metadata.labels = [label].into();
            }
        };
        assert_eq!(node(|_| {}).0.zone, None);
        assert_eq!(node(zone("")).0.zone, None);
        assert_eq!(node(zone("za")).0.zone.as_deref(), Some("za"));
    }

    #[test]
    fn a_node_without_a_name_is_rejected() {
        let (value, outcome) = split(api::Node::default().parse(&mut Interner::new()));
        assert_eq!(value, None);
        outcome.rejected("metadata.name", "");
    }

    #[track_caller]
    fn addresses(given: &[(&str, &str)], expected: &str) -> Outcome {
        let (value, outcome) = node(|node| {
            let entry = |&(kind, address): &(&str, &str)| NodeAddress {
                kind: Some(kind.to_owned()),
                address: Some(address.to_owned()),
            };
            node.status.addresses = given.iter().map(entry).collect();
        });
        assert_eq!(shown(&value.addresses), expected);
        outcome
    }

    #[test]
    fn internal_addresses_come_first() {
        addresses(
            &[
                ("Hostname", "n1"),
                ("ExternalIP", "203.0.113.1"),
                ("InternalIP", "192.0.2.1"),
                ("InternalIP", "2001:db8::1"),
            ],
            "192.0.2.1 2001:db8::1 203.0.113.1",
        )
        .silent();
        addresses(&[("InternalIP", "192.0.2.1"), ("ExternalIP", "192.0.2.1")], "192.0.2.1")
            .silent();
        addresses(&[("InternalIP", "n1"), ("InternalIP", "192.0.2.1")], "192.0.2.1")
            .rejected("status.addresses[0].address", "n1");
        addresses(&[("InternalIP", "127.0.0.1")], "")
            .rejected("status.addresses[0].address", "127.0.0.1");
    }

    #[test]
    fn a_node_is_leaving_when_it_is_being_deleted_or_the_autoscaler_says_so() {
        let tainted = |key: &'static str| {
            move |node: &mut api::Node| {
                node.spec.taints = vec![Taint { key: Some(key.to_owned()) }];
            }
        };
        assert_eq!(node(|_| {}).0.tenure, Tenure::Staying);
        assert_eq!(node(tainted("other")).0.tenure, Tenure::Staying);
        assert_eq!(node(tainted("ToBeDeletedByClusterAutoscaler")).0.tenure, Tenure::Leaving);
        let deleted = |node: &mut api::Node| {
            node.metadata.deletion_timestamp = Some("2026-01-02T03:04:05Z".to_owned());
        };
        assert_eq!(node(deleted).0.tenure, Tenure::Leaving);
    }

    #[test]
    fn pod_ranges_come_from_the_list_or_the_single_field() {
        let ranges = |node: &Node| {
            node.pod_cidrs.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        let (value, outcome) = node(|node| {
            node.spec.pod_cidr = Some("10.1.0.0/24".to_owned());
            node.spec.pod_cidrs = vec!["10.1.0.7/24".to_owned(), "fd00:1::/64".to_owned()];
        });
        outcome.silent();
        assert_eq!(ranges(&value), "10.1.0.0/24 fd00:1::/64");
        let (value, outcome) = node(|node| node.spec.pod_cidr = Some("10.1.0.0/24".to_owned()));
        outcome.silent();
        assert_eq!(ranges(&value), "10.1.0.0/24");
        let (value, outcome) = node(|node| node.spec.pod_cidrs = vec!["10.1.0.0".to_owned()]);
        outcome.rejected("spec.podCIDRs[0]", "10.1.0.0");
        assert_eq!(ranges(&value), "");
    }
}
