//! The ports of a Service.

use std::collections::HashSet;

use super::findings::Findings;
use super::{ServiceSpec, text};
use crate::{Interner, Protocol, ServicePort};

/// The ports, or `None` if one of them cannot be used: which of its ports a Service may do
/// without is not ours to guess. A bad node port costs only itself.
pub(super) fn ports(
    spec: &ServiceSpec,
    names: &mut Interner,
    findings: &mut Findings,
) -> Option<Vec<ServicePort>> {
    if spec.ports.is_empty() {
        findings.warn("spec.ports is empty: nothing is served");
    }
    let before = Seen::default();
    let (mut seen, mut usable) = (before, Vec::with_capacity(spec.ports.len()));
    for index in 0..spec.ports.len() {
        usable.extend(port(spec, index, &mut seen, names, findings));
    }
    (usable.len() == spec.ports.len()).then_some(usable)
}

/// What entries before claim.
#[derive(Default)]
struct Seen<'a> {
    names: HashSet<&'a str>,
    ports: HashSet<(Protocol, i64)>,
    node_ports: HashSet<(Protocol, i64)>,
}

fn port<'a>(
    spec: &'a ServiceSpec,
    index: usize,
    seen: &mut Seen<'a>,
    names: &mut Interner,
    findings: &mut Findings,
) -> Option<ServicePort> {
    let entry = &spec.ports[index];
    let field = |name: &str| format!("spec.ports[{index}].{name}");
    let name = entry.name.as_deref().unwrap_or_default();
    let given = entry.port.map_or(String::new(), |number| number.to_string());

    let protocol = text::protocol(entry.protocol.as_deref());
    if protocol.is_none() {
        let reason =
            "is no protocol of a Service, so the Service is not served; use TCP, UDP or SCTP";
        findings.reject(field("protocol"), entry.protocol.as_deref().unwrap_or_default(), reason);
    }
    let port = entry.port.and_then(text::port);
    if port.is_none() {
        let reason = "is not a port, so the Service is not served; use 1 to 65535";
        findings.reject(field("port"), &given, reason);
    }
    let new_name = seen.names.insert(name);
    if !new_name {
        let reason = "names two ports, so the Service is not served; give each port its own name";
        findings.reject(field("name"), name, reason);
    }
    let (protocol, port) = (protocol?, port?);
    let new_port = seen.ports.insert((protocol, i64::from(port.get())));
    if !new_port {
        let reason =
            format!("is there twice for {protocol}, so the Service is not served; remove one");
        findings.reject(field("port"), &given, reason);
    }
    let node_port = entry.node_port.filter(|number| *number != 0).and_then(|number| {
        let usable = text::port(number);
        if usable.is_none() {
            let reason = "is not a port, so there is no node port; use 1 to 65535";
            findings.reject(field("nodePort"), number, reason);
        } else if !seen.node_ports.insert((protocol, number)) {
            let reason =
                format!("is there twice for {protocol}, only the first is served; change one");
            findings.reject(field("nodePort"), number, reason);
            return None;
        }
        usable
    });
    (new_name && new_port).then(|| ServicePort {
        name: names.name(name),
        protocol,
        port,
        node_port,
    })
}

#[cfg(test)]
mod tests {
    use crate::ServicePort;
    use crate::api;
    use crate::api::testing::{Outcome, outcome, service};

    /// Ports as `NAME PROTOCOL PORT NODEPORT`, comma separated; an empty field or `_` is absent.
    #[track_caller]
    fn check(given: &str, expected: Option<&str>) -> Outcome {
        let (value, outcome) = outcome(service(|service| {
            service.spec.kind = Some("NodePort".to_owned());
            service.spec.ports = given.split(", ").map(port).collect();
        }));
        let shown = value.map(|service| {
            let shown: Vec<_> = service.ports.iter().map(show).collect();
            shown.join(", ")
        });
        assert_eq!(shown.as_deref(), expected, "{given}");
        outcome
    }

    fn port(text: &str) -> api::ServicePort {
        let mut fields = text.split(' ').map(|field| Some(field).filter(|field| *field != "_"));
        let mut next = || fields.next().flatten();
        api::ServicePort {
            name: next().map(str::to_owned),
            protocol: next().map(str::to_owned),
            port: next().map(|number| number.parse().unwrap()),
            node_port: next().map(|number| number.parse().unwrap()),
        }
    }

    fn show(port: &ServicePort) -> String {
        let node_port = port.node_port.map_or(0, std::num::NonZeroU16::get);
        format!("{} {} {} {node_port}", port.name, port.protocol, port.port)
    }

    #[test]
    fn ports_are_read_with_the_defaults_of_the_api() {
        check("_ _ 80", Some(" TCP 80 0")).silent();
        check("http TCP 80 30080", Some("http TCP 80 30080")).silent();
        check("http TCP 80 0", Some("http TCP 80 0")).silent();
        check("dns UDP 53, dns-tcp TCP 53", Some("dns UDP 53 0, dns-tcp TCP 53 0")).silent();
        check("s SCTP 65535", Some("s SCTP 65535 0")).silent();
    }

    #[test]
    fn one_bad_port_costs_the_service() {
        check("a TCP 0", None).rejected("spec.ports[0].port", "0");
        check("a TCP 65536", None).rejected("spec.ports[0].port", "65536");
        check("a TCP -1", None).rejected("spec.ports[0].port", "-1");
        check("a TCP _", None).rejected("spec.ports[0].port", "");
        check("a tcp 80", None).rejected("spec.ports[0].protocol", "tcp");
        check("a ICMP 80", None).rejected("spec.ports[0].protocol", "ICMP");
        check("a TCP 80, a TCP 81", None).rejected("spec.ports[1].name", "a");
        check("_ TCP 53, _ UDP 53", None).rejected("spec.ports[1].name", "");
        check("a TCP 80, b TCP 80", None).rejected("spec.ports[1].port", "80");
    }

    #[test]
    fn every_bad_port_is_named() {
        let outcome = check("a ICMP 0, b TCP 80", None);
        let fields: Vec<_> = outcome.rejections.iter().map(|found| &*found.field).collect();
        assert_eq!(fields, ["spec.ports[0].protocol", "spec.ports[0].port"]);
    }

    #[test]
    fn a_bad_node_port_costs_only_itself() {
        check("a TCP 80 65536", Some("a TCP 80 0")).rejected("spec.ports[0].nodePort", "65536");
        check("a TCP 80 30080, b TCP 81 30080", Some("a TCP 80 30080, b TCP 81 0"))
            .rejected("spec.ports[1].nodePort", "30080");
        check("a TCP 80 30080, b UDP 81 30080", Some("a TCP 80 30080, b UDP 81 30080")).silent();
    }
}
