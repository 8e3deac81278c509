//! An EndpointSlice, checked entry by entry.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use super::findings::{Findings, given};
use super::{EndpointHints, HintName, Parsed, rfc3339, text};
use crate::{
    Conditions, Endpoint, EndpointSlice, Family, Hints, Interner, Name, ObjectRef, SliceKey,
    SlicePort,
};

/// Names the Service that a slice belongs to.
pub(super) const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Says when the last change behind a slice happened.
pub(super) const TRIGGER_TIME: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// A slice of a headless Service has this label, whatever its value.
const HEADLESS: &str = "service.kubernetes.io/headless";

impl super::EndpointSlice {
    /// Namespace and name, shared through `names`. The name is empty where it is missing.
    pub fn key(&self, names: &mut Interner) -> SliceKey {
        self.metadata.key(names)
    }

    /// The slice in the model's types.
    ///
    /// There is no value and no rejection for a slice that is not for a proxy: of a headless
    /// Service, of type `FQDN`, or of no Service. A bad port or endpoint costs only itself.
    pub fn parse(&self, names: &mut Interner) -> Parsed<EndpointSlice> {
        let key = self.metadata.key(names);
        let mut findings = Findings::new(ObjectRef::EndpointSlice(key.clone()));
        let value = slice(self, key, names, &mut findings);
        findings.into_parsed(value)
    }
}

fn slice(
    object: &super::EndpointSlice,
    key: SliceKey,
    names: &mut Interner,
    findings: &mut Findings,
) -> Option<EndpointSlice> {
    findings.require_name(&object.metadata)?;
    if object.metadata.labels.contains_key(HEADLESS) {
        return None;
    }
    let family = match object.address_type.as_deref().unwrap_or_default() {
        "IPv4" => Family::Ipv4,
        "IPv6" => Family::Ipv6,
        "FQDN" => return None,
        other => {
            let reason = "is no address type, so the slice is not used; use IPv4 or IPv6";
            findings.reject("addressType", other, reason);
            return None;
        }
    };
    let Some(service) = given(object.metadata.labels.get(SERVICE_NAME).map(String::as_str)) else {
        findings.warn(format!("the slice belongs to no Service; name one in label {SERVICE_NAME}"));
        return None;
    };
    let mut hints = HashSet::new();
    Some(EndpointSlice {
        service: names.name(service),
        ports: ports(object, names, findings),
        endpoints: object
            .endpoints
            .iter()
            .enumerate()
            .filter_map(|(index, entry)| {
                Some(Endpoint {
                    address: address(entry, index, family, findings)?,
                    conditions: Conditions::from_api(
                        entry.conditions.ready,
                        entry.conditions.serving,
                        entry.conditions.terminating,
                    ),
                    node: given(entry.node_name.as_deref()).map(|name| names.name(name)),
                    zone: given(entry.zone.as_deref()).map(|name| names.name(name)),
                    hints: self::hints(&entry.hints, names, &mut hints),
                })
            })
            .collect(),
        triggered: triggered(object, findings),
        key,
        family,
    })
}

fn triggered(object: &super::EndpointSlice, findings: &mut Findings) -> Option<SystemTime> {
    let value = given(object.metadata.annotations.get(TRIGGER_TIME).map(String::as_str))?;
    let time = rfc3339::time(value);
    if time.is_none() {
        findings.warn(format!(
            "annotation {TRIGGER_TIME}: {value:?} is no time of RFC 3339, so it is not measured \
             how long the change takes"
        ));
    }
    time
}

fn ports(
    object: &super::EndpointSlice,
    names: &mut Interner,
    findings: &mut Findings,
) -> Vec<SlicePort> {
    let mut ports = Vec::with_capacity(object.ports.len());
    for (index, entry) in object.ports.iter().enumerate() {
        let Some(number) = entry.port.filter(|number| *number != 0) else {
            continue;
        };
        let Some(port) = text::port(number) else {
            let reason = "is not a port, so the entry is not used; use 1 to 65535";
            findings.reject(format!("ports[{index}].port"), number, reason);
            continue;
        };
        let Some(protocol) = text::protocol(entry.protocol.as_deref()) else {
            let given = entry.protocol.as_deref().unwrap_or_default();
            let reason =
                "is no protocol of a Service, so the entry is not used; use TCP, UDP or SCTP";
            findings.reject(format!("ports[{index}].protocol"), given, reason);
            continue;
        };
        let name = names.name(entry.name.as_deref().unwrap_or_default());
        ports.push(SlicePort { name, protocol, port });
    }
    ports
}

/// The first address, which is the only one that counts.
fn address(
    entry: &super::Endpoint,
    index: usize,
    family: Family,
    findings: &mut Findings,
) -> Option<IpAddr> {
    let value = entry.addresses.first().map(String::as_str);
    let reason = match value.map(text::ip) {
        None => "has no address, so the endpoint is not used; give it one".to_owned(),
        Some(None) => {
            "is not an IP address, so the endpoint is not used; correct or remove it".to_owned()
        }
        Some(Some(address)) if Family::of(address) != family => {
            format!(
                "is no {family} address as addressType says, so the endpoint is not used; \
                     move it to a slice of its own family"
            )
        }
        Some(Some(address)) => match text::special(address) {
            None => return Some(address),
            Some(what) => {
                format!("is {what}, so the endpoint is not used; use the address of a host")
            }
        },
    };
    let field = match value {
        None => format!("endpoints[{index}].addresses"),
        Some(_) => format!("endpoints[{index}].addresses[0]"),
    };
    findings.reject(field, value.unwrap_or_default(), reason);
    None
}

/// The hints, if there are any; equal hints of one slice are one value.
fn hints(
    entry: &EndpointHints,
    names: &mut Interner,
    known: &mut HashSet<Arc<Hints>>,
) -> Option<Arc<Hints>> {
    let mut list = |hints: &[HintName]| -> Vec<Name> {
        hints.iter().filter_map(|hint| Some(names.name(given(hint.name.as_deref())?))).collect()
    };
    let hints = Hints { zones: list(&entry.for_zones), nodes: list(&entry.for_nodes) };
    if hints == Hints::default() {
        return None;
    }
    if let Some(known) = known.get(&hints) {
        return Some(Arc::clone(known));
    }
    let hints = Arc::new(hints);
    known.insert(Arc::clone(&hints));
    Some(hints)
}

#[cfg(test)]
mod tests;
