//! What is told of the way, and that it comes to what the virtual servers say.

use proxy_core::{Family, Pool, WhenEmpty, api};

use super::stage::*;
use crate::explain::*;

/// The steps as lines: where, what with the members found, and why.
fn story(explained: &Explanation) -> Vec<String> {
    let Verdict::Balanced(branches) = &explained.verdict else { return lines(&explained.steps) };
    let [branch] = &branches[..] else { panic!("one server makes one story") };
    [lines(&explained.steps), lines(&branch.steps)].concat()
}

fn lines(steps: &[Step]) -> Vec<String> {
    let line = |step: &Step| {
        let event = match &step.event {
            Event::Rule { chain, rule, entries, .. } => {
                let entries: Vec<_> =
                    entries.iter().map(|(set, entry)| format!("{set} {entry} ")).collect();
                format!("{chain} {}{:?}", entries.concat(), rule.target)
            }
            Event::Route(owner) => format!("{owner:?}"),
            Event::Balance { service, servers } => format!("{} of {}", service.id, servers.len()),
        };
        let fields: Vec<_> = step.fields.iter().map(ToString::to_string).collect();
        format!("{} {event} {:#x} [{}]", step.hook, step.mark, fields.join("; "))
    };
    steps.iter().map(line).collect()
}

#[test]
fn a_packet_is_told_hook_by_hook_with_members_marks_and_fields() {
    let plane = plane(&local, &[THERE], &config());
    let told = |client, frontend| story(&explain(&packet(client, Protocol::Tcp, frontend), &plane));
    assert_eq!(
        told("pod", "balancer"),
        [
            "PREROUTING KUBE-IPVS-PREROUTING KUBE-INTERNAL-MARK 192.0.2.9,tcp:80 \
         MarkFromSet(KUBE-INTERNAL-MARK) 0x2000 [spec.externalTrafficPolicy: Local]",
            "PREROUTING KUBE-SERVICES KUBE-LOAD-BALANCER 192.0.2.9,tcp:80 Jump(\"KUBE-LOAD-BALANCER\") \
         0x2000 [status.loadBalancer.ingress]",
            "PREROUTING KUBE-LOAD-BALANCER KUBE-LOAD-BALANCER-LOCAL 192.0.2.9,tcp:80 Return \
         0x2000 [spec.externalTrafficPolicy: Local]",
            "PREROUTING KUBE-SERVICES Jump(\"KUBE-NODE-PORT\") 0x2000 []",
            "PREROUTING KUBE-SERVICES KUBE-LOAD-BALANCER 192.0.2.9,tcp:80 Accept 0x2000 \
         [status.loadBalancer.ingress]",
            "PREROUTING Service 0x2000 []",
            "INPUT KUBE-IPVS-FILTER KUBE-LOAD-BALANCER 192.0.2.9,tcp:80 Return 0x2000 \
         [status.loadBalancer.ingress]",
            "INPUT KUBE-IPVS-ACCEPT KUBE-LOAD-BALANCER 192.0.2.9,tcp:80 Accept 0x2000 [input policy]",
            "INPUT FWM 8192 of 1 0x2000 [spec.externalTrafficPolicy: Local]",
            "POSTROUTING KUBE-POSTROUTING Return 0x2000 []",
        ]
    );
    assert_eq!(
        told("outside", "external"),
        ["PREROUTING KUBE-IPVS-PREROUTING KUBE-DROP-EXTERNAL 198.51.100.9,tcp:80 Drop 0x0 \
         [spec.externalTrafficPolicy: Local]",]
    );
    assert_eq!(
        told("outside", "cluster"),
        [
            "PREROUTING KUBE-SERVICES KUBE-CLUSTER-IP 10.96.0.9,tcp:80 Jump(\"KUBE-MARK-MASQ\") 0x0 \
         [detectLocalMode, clusterCIDR]",
            "PREROUTING KUBE-MARK-MASQ Mark(16384) 0x4000 [detectLocalMode, clusterCIDR]",
            "PREROUTING KUBE-SERVICES Jump(\"KUBE-NODE-PORT\") 0x4000 []",
            "PREROUTING KUBE-SERVICES KUBE-CLUSTER-IP 10.96.0.9,tcp:80 Accept 0x4000 [spec.clusterIPs]",
            "PREROUTING Service 0x4000 []",
            "INPUT KUBE-IPVS-FILTER KUBE-CLUSTER-IP 10.96.0.9,tcp:80 Return 0x4000 [spec.clusterIPs]",
            "INPUT KUBE-IPVS-ACCEPT KUBE-CLUSTER-IP 10.96.0.9,tcp:80 Accept 0x4000 [input policy]",
            "INPUT TCP 10.96.0.9:80 of 1 0x4000 []",
            "POSTROUTING KUBE-POSTROUTING FlipMark(16384) 0x0 []",
            "POSTROUTING KUBE-POSTROUTING MasqueradeRandom 0x0 [detectLocalMode, clusterCIDR]",
        ]
    );
}

#[test]
fn the_nodes_own_refused_connection_is_told_on_its_detour() {
    let plane = plane(&as_it_is, &[], &config());
    let told = story(&explain(&packet("node", Protocol::Tcp, "cluster"), &plane));
    let sent_on = "OUTPUT KUBE-IPVS-REFUSE KUBE-REFUSE 10.96.0.9,tcp:80 ToPort(1) 0x0 \
                   [EndpointSlice endpoints[].conditions]";
    assert_eq!(told.first().map(String::as_str), Some(sent_on));
    assert!(told.last().unwrap().starts_with("INPUT KUBE-IPVS-FILTER Reset"), "{told:?}");
}

/// The rules, sets and IPVS services come to what the virtual servers say: whoever counts as
/// inside gets the internal pool, others the external one.
#[test]
fn every_audience_gets_the_pool_that_the_virtual_server_has_for_it() {
    let kinds: [&dyn Fn(&mut api::ServiceSpec); 3] = [&as_it_is, &local, &internal_local];
    let endpoints: [&[&str]; 4] = [&[], &[HERE], &[THERE], &[HERE, THERE]];
    let mut cases = 0;
    for change in kinds {
        for endpoints in endpoints {
            let desired = desired(change, endpoints);
            let addresses = ["192.168.50.11", "10.244.1.1"].map(|ip| ip.parse().unwrap());
            let plane = DataPlane::of(&desired, &config(), addresses);
            for server in desired.iter() {
                let to = SocketAddr::new(server.key.address, server.key.port.get()).to_string();
                for client in ["pod", "node", "outside", "peer"] {
                    let packet = packet(client, server.key.protocol, &to);
                    let is_inside = matches!(client, "pod" | "node");
                    let pool = if is_inside { &server.internal } else { &server.external };
                    let told = explain(&packet, &plane).verdict;
                    assert!(agrees(&told, pool), "{client} to {to}: {told:?}, not {pool:?}");
                    cases += 1;
                }
            }
        }
    }
    assert!(cases > 300, "{cases} cases are too few to tell");
}

fn agrees(verdict: &Verdict, pool: &Pool) -> bool {
    match verdict {
        Verdict::Balanced(branches) => {
            let told = branches.iter().map(|branch| branch.server.address);
            told.eq(pool.servers.iter().map(|server| server.address))
        }
        Verdict::Refused(_) => pool.servers.is_empty() && pool.when_empty == WhenEmpty::Reject,
        Verdict::Dropped => pool.servers.is_empty() && pool.when_empty == WhenEmpty::Drop,
        Verdict::Local | Verdict::Routed { .. } => false,
    }
}

#[test]
fn the_services_that_a_packet_may_come_to_are_known_beforehand() {
    let plane = plane(&local, &[HERE, THERE], &config());
    for client in ["pod", "outside", "node"] {
        for (frontend, ..) in FRONTENDS {
            let packet = packet(client, Protocol::Tcp, frontend);
            let used =
                explain(&packet, &plane).steps.into_iter().find_map(|step| match step.event {
                    Event::Balance { service, .. } => Some(service.id),
                    _ => None,
                });
            let used = used.expect("it is served");
            assert!(packet.services(&plane.held).contains(&used), "{client} -> {frontend}");
        }
    }
    assert_eq!(packet("pod", Protocol::Tcp, "cluster").family(), Family::Ipv4);
}
