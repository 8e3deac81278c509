//! Services with `sessionAffinity: ClientIP`.

use std::collections::BTreeSet;

use proxy_core::{Family, FrontendKind};
use tests::lab::{Application, Client, Transport, ask_over};

use crate::table::Who;
use crate::world::{HERE, THERE, World};

const TIMES: usize = 10;

fn sticky(number: u8) -> Application {
    Application::everywhere(&format!("sticky-{number}"), number).spec("sessionAffinity: ClientIP")
}

/// The one server that a client gets, however often it asks.
#[track_caller]
fn only_server(
    world: &World,
    client: Who,
    service: &Application,
    (kind, family, transport): (FrontendKind, Family, Transport),
) -> String {
    let target = service.target(kind, family, world.node());
    let answers = Client::in_namespace(world.namespace(client)).ask_often(target, transport, TIMES);
    let answers = answers
        .unwrap_or_else(|refusal| panic!("{client} to {target} over {transport:?}: {refusal}"));
    let servers: BTreeSet<_> = answers.into_keys().map(|answer| answer.server).collect();
    assert_eq!(servers.len(), 1, "{client} to {target} over {transport:?}: {servers:?}");
    servers.into_iter().next().expect("there is one")
}

fn every_way(kinds: &[FrontendKind]) -> impl Iterator<Item = (FrontendKind, Family, Transport)> {
    let transports = |kind, family| Transport::ALL.map(|transport| (kind, family, transport));
    let families =
        move |kind| Family::ALL.into_iter().flat_map(move |family| transports(kind, family));
    kinds.iter().copied().flat_map(families)
}

const ALL: [FrontendKind; 4] = [
    FrontendKind::ClusterIp,
    FrontendKind::ExternalIp,
    FrontendKind::LoadBalancer,
    FrontendKind::NodePort,
];

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_client_keeps_its_server_also_an_inside_client_under_the_policy_local() {
    let everywhere = sticky(71);
    let local = sticky(72).spec("externalTrafficPolicy: Local");
    let both = &[HERE, THERE][..];
    let world = World::serving(&[(&everywhere, both), (&local, both)]);
    for way in every_way(&ALL) {
        for client in [Who::Pod, Who::Node, Who::Outside] {
            only_server(&world, client, &everywhere, way);
        }
    }
    for way in every_way(&ALL[1..]) {
        for client in [Who::Pod, Who::Node] {
            only_server(&world, client, &local, way);
        }
        assert_eq!(only_server(&world, Who::Outside, &local, way), "here");
    }
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_client_leaves_a_server_that_drains() {
    leaves_a_server_that_drains(&sticky(73));
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn an_inside_client_leaves_a_server_that_drains_under_the_policy_local() {
    leaves_a_server_that_drains(&sticky(73).spec("externalTrafficPolicy: Local"));
}

fn leaves_a_server_that_drains(service: &Application) {
    let world = World::serving(&[(service, &[HERE, THERE])]);
    for client in [Who::Pod, Who::Node] {
        let way = (FrontendKind::LoadBalancer, Family::Ipv4, Transport::Tcp);
        let first = only_server(&world, client, service, way);
        let target = service.target(way.0, way.1, world.node());
        let lasting = Client::in_namespace(world.namespace(client)).connect(target).unwrap();
        let (left, other) = match &*first {
            "here" => ([HERE.not_ready(), THERE], "there"),
            _ => ([HERE, THERE.not_ready()], "here"),
        };
        world.change(service, &left);
        assert_eq!(only_server(&world, client, service, way), other, "{client}");
        assert_eq!(ask_over(&lasting).unwrap().server, first, "{client}");
        world.change(service, &[HERE, THERE]);
    }
}
