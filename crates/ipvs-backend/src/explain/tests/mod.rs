mod stage;
mod story;

use proxy_core::api;

use stage::*;

use super::*;
use crate::Binding;
use crate::observe::Destinations;
use crate::rules::{Detector, InputPolicy, Masquerade, RuleConfig};

#[test]
fn clients_of_the_policy_cluster_get_every_server_masqueraded() {
    let plane = plane(&as_it_is, &[HERE, THERE], &config());
    check(
        &plane,
        &[
            "pod -> cluster: here saw pod, there saw pod",
            "here -> cluster: here saw masquerade, there saw here",
            "node, outside, peer -> cluster: here saw masquerade, there saw masquerade",
            "pod, here, peer, node, outside -> external, balancer, port: \
         here saw masquerade, there saw masquerade",
        ],
    );
    check_over(Protocol::Udp, &plane, &["pod -> cluster: here saw pod, there saw pod"]);
    check_over(Protocol::Sctp, &plane, &["pod -> cluster: refused by ICMP port unreachable"]);
}

#[test]
fn clients_of_the_policy_local_keep_their_addresses() {
    let with = plane(&local, &[HERE, THERE], &config());
    check(
        &with,
        &[
            "outside -> external, balancer, port: here saw outside",
            "peer -> external, balancer, port: here saw peer",
            "pod -> external, balancer, port: here saw pod, there saw pod",
            "node -> external, balancer, port: here saw node, there saw node",
            "here -> external, balancer, port: here saw masquerade, there saw here",
            "outside -> cluster: here saw masquerade, there saw masquerade",
        ],
    );
    let without = plane(&local, &[THERE], &config());
    check(
        &without,
        &[
            "outside, peer -> external, balancer, port: dropped",
            "pod -> external, balancer, port: there saw pod",
            "node -> external, balancer, port: there saw node",
            "pod -> cluster: there saw pod",
        ],
    );
}

#[test]
fn a_local_internal_policy_is_silent_where_no_server_is() {
    check(
        &plane(&internal_local, &[HERE, THERE], &config()),
        &[
            "pod -> cluster: here saw pod",
            "here, node, outside -> cluster: here saw masquerade",
            "pod -> external: here saw masquerade, there saw masquerade",
        ],
    );
    check(
        &plane(&internal_local, &[THERE], &config()),
        &[
            "pod, node, outside -> cluster: dropped",
            "pod, node, outside -> port: there saw masquerade",
        ],
    );
}

#[test]
fn a_service_without_servers_refuses() {
    let plane = plane(&local, &[], &config());
    let everybody = "pod, peer, node, outside -> cluster, external, balancer, port: refused by ";
    check(&plane, &[&format!("{everybody}TCP reset")]);
    check_over(Protocol::Udp, &plane, &[&format!("{everybody}ICMP port unreachable")]);
}

#[test]
fn only_load_balancer_ips_ask_who_comes() {
    let guarded = |spec: &mut api::ServiceSpec| {
        spec.load_balancer_source_ranges = vec!["203.0.113.0/24".into()];
    };
    let both = "here saw masquerade, there saw masquerade";
    check(
        &plane(&guarded, &[HERE, THERE], &config()),
        &[
            &format!("outside -> balancer: {both}"),
            "pod, peer, node -> balancer: dropped",
            &format!("peer, node -> external, port: {both}"),
        ],
    );
    let unusable =
        |spec: &mut api::ServiceSpec| spec.load_balancer_source_ranges = vec!["no/99".into()];
    check(&plane(&unusable, &[HERE], &config()), &["outside, pod, node -> balancer: dropped"]);
}

#[test]
fn what_is_no_services_is_told_from_what_is() {
    let plane = plane(&as_it_is, &[HERE], &config());
    check(
        &plane,
        &[
            "pod, outside, node -> 192.168.50.11:22, 127.0.0.1:30009: local",
            "pod, outside, node -> 10.96.0.9:81: refused by TCP reset",
            "pod -> 10.244.1.10:8080, 8.8.8.8:53: routed from pod",
            "node -> 8.8.8.8:53: routed from node",
            "outside -> 10.244.1.1:30009: here saw masquerade",
        ],
    );
    check_over(Protocol::Udp, &plane, &["pod -> 10.96.0.9:81: refused by ICMP port unreachable"]);
}

#[test]
fn the_nodes_configuration_counts() {
    let with = |change: &dyn Fn(&mut RuleConfig)| {
        let mut config = config();
        change(&mut config.rules);
        config
    };
    let all = with(&|rules| rules.masquerade = Masquerade::All);
    check(&plane(&as_it_is, &[HERE], &all), &["pod -> cluster: here saw masquerade"]);
    let unknown = with(&|rules| rules.detector = Detector::Unknown);
    let policy_local = plane(&local, &[HERE, THERE], &unknown);
    check(
        &policy_local,
        &[
            "outside -> cluster: here saw outside, there saw outside",
            "pod -> port: here saw pod",
            "node -> port: here saw node, there saw node",
        ],
    );
    let interface = with(&|rules| rules.detector = Detector::Interface("pod+".into()));
    check(
        &plane(&local, &[HERE, THERE], &interface),
        &[
            "pod -> port: here saw pod, there saw pod",
            "pod -> cluster: here saw pod, there saw pod",
            "outside -> cluster: here saw masquerade, there saw masquerade",
        ],
    );
    let wide = Detector::Networks { ipv4: "10.244.0.0/16".parse().ok(), ipv6: None };
    let wide = with(&|rules| rules.detector = wide.clone());
    check(
        &plane(&local, &[HERE, THERE], &wide),
        &[
            "peer -> port: here saw masquerade, there saw masquerade",
            "peer -> external: here saw peer, there saw peer",
            "outside -> port: here saw outside",
        ],
    );
    let respect = with(&|rules| rules.input_policy = InputPolicy::Respect);
    check(&plane(&as_it_is, &[HERE], &respect), &["pod -> cluster: here saw pod"]);
}

#[test]
fn a_node_that_holds_virtual_addresses_calls_from_them() {
    let mut config = config();
    config.node.binding = Binding::Address;
    let plane = plane(&local, &[THERE], &config);
    check(&plane, &["node -> external: there saw 198.51.100.9", "outside -> external: dropped"]);
    let explained = explain(&packet("node", Protocol::Tcp, "cluster"), &plane);
    assert_eq!(explained.source, Some("10.96.0.9".parse().unwrap()));
}

#[test]
fn a_server_in_the_nodes_own_network_sees_clients_as_they_are() {
    let plane = plane(&as_it_is, &["192.168.50.11"], &config());
    check(
        &plane,
        &[
            "outside -> port, cluster: node saw outside",
            "pod -> port: node saw pod",
            "node -> port: node saw masquerade",
        ],
    );
}

/// One that is there gets weight 0.
fn drain(destinations: &mut Destinations, index: usize) {
    let there = destinations.iter().nth(index).expect("there are enough");
    destinations.put(Destination { weight: 0, ..there });
}

#[test]
fn a_server_that_drains_gets_nobody_new() {
    let mut plane = plane(&as_it_is, &[HERE, THERE], &config());
    for service in plane.held.services.values_mut() {
        drain(&mut service.destinations, 0);
    }
    check(&plane, &["pod -> cluster: there saw pod"]);
    for service in plane.held.services.values_mut() {
        drain(&mut service.destinations, 1);
    }
    check(&plane, &["pod -> cluster: refused by ICMP port unreachable"]);
}
