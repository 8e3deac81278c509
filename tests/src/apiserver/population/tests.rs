use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// How many Services of 1000 answer to a question.
fn services(is: impl Fn(&Value) -> bool) -> usize {
    let population = Population::new(1_000, 3, 10);
    (0..1_000).filter(|number| is(&population.service(*number))).count()
}

#[test]
fn the_mix_is_as_described() {
    let of_type = |kind: &str| services(|service| service["spec"]["type"] == kind);
    assert_eq!(of_type("NodePort"), 90);
    assert_eq!(of_type("LoadBalancer"), 50);
    assert_eq!(services(|service| service["spec"]["clusterIP"] == "None"), 40);
    assert_eq!(services(|service| service["spec"]["externalIPs"].is_array()), 20);
    assert_eq!(services(|service| service["spec"]["sessionAffinity"] == "ClientIP"), 50);
    assert_eq!(services(|service| service["spec"]["ipFamilies"] == json!(["IPv4", "IPv6"])), 200);
    assert_eq!(services(|service| service["spec"]["loadBalancerSourceRanges"].is_array()), 25);
    assert_eq!(services(|service| service["spec"]["externalTrafficPolicy"] == "Local"), 13);
    let has_udp = |service: &Value| {
        let ports = service["spec"]["ports"].as_array().unwrap();
        ports.iter().any(|port| port["protocol"] == "UDP")
    };
    assert_eq!(services(has_udp), 67);
}

#[test]
fn no_two_have_the_same_address_or_port() {
    let population = Population::new(8_000, 1, 7);
    let mut seen = BTreeSet::new();
    for number in 0..8_000 {
        let service = population.service(number);
        let ips = service["spec"]["clusterIPs"].as_array().unwrap();
        let ports = service["spec"]["ports"].as_array().unwrap();
        let node_ports = ports.iter().map(|port| &port["nodePort"]);
        let ingress = service["status"]["loadBalancer"]["ingress"].as_array();
        let ingress = ingress.into_iter().flatten().map(|ingress| &ingress["ip"]);
        let health = std::iter::once(&service["spec"]["healthCheckNodePort"]);
        for one in ips.iter().chain(node_ports).chain(ingress).chain(health) {
            let is_something = !one.is_null() && one != "None";
            assert!(!is_something || seen.insert(one.to_string()), "{one} twice: {service}");
        }
    }
}

#[test]
fn endpoints_are_spread_and_have_addresses_of_their_nodes() {
    let population = Population::new(100, 250, 9);
    let mut pods: BTreeMap<String, usize> = BTreeMap::new();
    let mut addresses = BTreeSet::new();
    for number in 0..100 {
        let slices = population.slices(number);
        for endpoint in slices.iter().flat_map(|slice| slice["endpoints"].as_array().unwrap()) {
            let address = endpoint["addresses"][0].as_str().unwrap();
            assert!(addresses.insert(address.to_owned()), "{address} twice");
            *pods.entry(endpoint["nodeName"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        assert!(slices.iter().all(|s| s["endpoints"].as_array().unwrap().len() <= 100));
    }
    assert_eq!(pods.len(), 9);
    let (least, most) = (pods.values().min().unwrap(), pods.values().max().unwrap());
    assert!(most - least <= 10, "{pods:?}");
    let first = population.node(0);
    assert_eq!(first["spec"]["podCIDR"], "10.64.0.0/20");
    assert_eq!(population.node(1)["spec"]["podCIDR"], "10.64.16.0/20");
}

#[test]
fn a_change_replaces_one_endpoint_and_the_next_takes_it_back() {
    let population = Population::new(10, 4, 3);
    let endpoints = |changes| {
        let slice = population.changed_slice(0, changes);
        slice["endpoints"].as_array().unwrap().clone()
    };
    let (before, replaced, after) = (endpoints(0), endpoints(1), endpoints(2));
    assert_eq!(before, after);
    assert_eq!(before.iter().zip(&replaced).filter(|(old, new)| old != new).count(), 1);
    assert_ne!(endpoints(3), replaced);
}

#[test]
fn every_object_is_one_that_is_served() {
    let server = crate::apiserver::ApiServer::start(crate::apiserver::Options::default());
    let population = Population::new(100, 3, 4);
    server.apply_all(population.objects());
    assert_eq!(server.count("services"), 102);
    assert_eq!(server.count("nodes"), 4);
    assert_eq!(server.count("endpointslices"), 122);
}
