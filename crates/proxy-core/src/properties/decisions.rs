//! What holds for whatever is decided.

use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;

use proptest::prelude::*;

use super::objects::{drops, history, outcome};
use crate::policy::List;
use crate::test_support::NODE;
use crate::why::PortAccount;
use crate::{
    Endpoint, EndpointSlice, Family, FrontendKind, Locality, Model, Pool, RealServer, SlicePort,
    TrafficPolicy, VirtualServer, resolve,
};

proptest! {
    /// Never an endpoint that is neither ready nor serving while it terminates, and never one
    /// that is not the Service port's own.
    #[test]
    fn every_real_server_is_a_usable_endpoint(history in history(40)) {
        let (model, state) = outcome(&history);
        for server in state.iter() {
            for real in server.real_servers() {
                let usable = entries(&model, server, real)
                    .any(|endpoint| endpoint.conditions.usable());
                prop_assert!(usable, "{} of {:?}", real, server);
            }
        }
    }

    /// Local lists hold only local endpoints, and `locality` says so of every real server.
    #[test]
    fn local_lists_are_local(history in history(40)) {
        let (model, state) = outcome(&history);
        for server in state.iter() {
            let service = model.service(&server.origin.service).expect("its Service is known");
            let local_internally = server.kind == FrontendKind::ClusterIp
                && service.internal_traffic_policy == TrafficPolicy::Local;
            let local_externally = local_internally
                || (server.kind != FrontendKind::ClusterIp
                    && service.external_traffic_policy == TrafficPolicy::Local);
            for (is_local, pool) in
                [(local_internally, &server.internal), (local_externally, &server.external)]
            {
                for real in pool.servers.iter() {
                    prop_assert!(!is_local || real.locality == Locality::Local, "{:?}", server);
                    let on_this_node = entries(&model, server, real)
                        .any(|endpoint| endpoint.node.as_deref() == Some(NODE));
                    prop_assert!(real.locality == Locality::Remote || on_this_node);
                }
            }
        }
    }

    /// Outside clients get no answer only where the cluster has an endpoint to keep them from.
    #[test]
    fn a_pool_drops_only_what_others_could_serve(history in history(40)) {
        let (model, state) = outcome(&history);
        for server in state.iter().filter(|server| drops(server)) {
            let usable = slices(&model, server).any(|slice| {
                slice.endpoints.iter().any(|endpoint| endpoint.conditions.usable())
            });
            prop_assert!(usable, "{:?}", server);
        }
    }

    /// Of every endpoint that exists it is said what becomes of it: it is in a pool, or unchosen.
    #[test]
    fn an_endpoint_is_chosen_or_unchosen(history in history(40)) {
        let (model, state) = outcome(&history);
        for server in state.iter() {
            let chosen = server.real_servers().map(RealServer::key);
            let mut told: Vec<_> = chosen.chain(server.unchosen.iter().copied()).collect();
            told.sort_unstable();
            let mut existing: Vec<_> = slices(&model, server)
                .flat_map(|slice| {
                    let ports = slice.ports.iter().filter(|port| serves(port, server));
                    ports.flat_map(|port| {
                        slice.endpoints.iter().map(|endpoint| (endpoint.address, port.port))
                    })
                })
                .collect();
            existing.sort_unstable();
            existing.dedup();
            prop_assert_eq!(told, existing, "{:?}", server);
        }
    }

    /// Of every endpoint in a slice one thing is said in each list: that it is used, and then it
    /// is in the pool of who has the list, or the reason why not.
    #[test]
    fn every_endpoint_is_used_or_has_one_reason(history in history(40)) {
        let (model, _) = outcome(&history);
        for key in model.service_keys() {
            let account = model.why(key).expect("it is known");
            let servers = model.resolve(key).servers;
            for port in &account.ports {
                for list in &port.lists {
                    let existing: usize = model
                        .slices(key)
                        .filter(|slice| slice.family == port.family)
                        .map(|slice| {
                            let is_for = |it: &&SlicePort| resolve::serves(it, &port.port);
                            let offered = slice.ports.iter().filter(is_for).count();
                            slice.endpoints.len() * offered.max(1)
                        })
                        .sum();
                    prop_assert_eq!(list.endpoints.len(), existing);
                    let used = list.endpoints.iter().filter(|(_, reason)| reason.is_none());
                    let used: Vec<_> = used.map(|(it, _)| (it.address, it.port)).collect();
                    prop_assert_eq!(list.when_empty.is_some(), used.is_empty());
                    for pool in pools(&servers, port, list.list) {
                        let servers: Vec<_> =
                            pool.servers.iter().map(|it| (it.address, Some(it.port))).collect();
                        let mut used = used.clone();
                        used.sort_unstable();
                        prop_assert_eq!(&used, &servers);
                        prop_assert_eq!(
                            list.when_empty,
                            used.is_empty().then_some(pool.when_empty)
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn pools_are_sorted_without_duplicates_and_of_one_family(history in history(40)) {
        let (_, state) = outcome(&history);
        for server in state.iter() {
            for Pool { servers, .. } in [&server.external, &server.internal] {
                prop_assert!(servers.is_sorted_by(|one, two| one.key() < two.key()));
                let family = server.key.family();
                prop_assert!(servers.iter().all(|real| Family::of(real.address) == family));
            }
            let both: Vec<_> = server.real_servers().map(RealServer::key).collect();
            prop_assert!(both.is_sorted_by(|one, two| one < two));
            let unchosen: &[(IpAddr, NonZeroU16)] = &server.unchosen;
            prop_assert!(unchosen.is_sorted_by(|one, two| one < two));
        }
    }
}

/// The pools of those who have `list` at a frontend of `port`.
fn pools<'a>(
    servers: &'a [Arc<VirtualServer>],
    port: &'a PortAccount,
    list: List,
) -> impl Iterator<Item = &'a Pool> {
    let frontends = port.frontends.iter().filter_map(|frontend| {
        let is_it = |it: &&Arc<VirtualServer>| (it.key, it.kind) == (frontend.key, frontend.kind);
        Some((frontend, servers.iter().find(is_it)?))
    });
    let audiences = frontends.flat_map(|(frontend, server)| {
        [(frontend.outside, &server.external), (frontend.inside, &server.internal)]
    });
    audiences.filter(move |(of, _)| *of == list).map(|(_, pool)| pool)
}

/// The slices a virtual server may take endpoints from.
fn slices<'a>(
    model: &'a Model,
    server: &'a VirtualServer,
) -> impl Iterator<Item = &'a EndpointSlice> {
    let family = server.key.family();
    model.slices(&server.origin.service).filter(move |slice| slice.family == family)
}

/// The entries of slices that a real server may come from.
fn entries<'a>(
    model: &'a Model,
    server: &'a VirtualServer,
    real: &'a RealServer,
) -> impl Iterator<Item = &'a Endpoint> {
    let offers = move |slice: &&EndpointSlice| {
        slice.ports.iter().any(|port| serves(port, server) && port.port == real.port)
    };
    slices(model, server)
        .filter(offers)
        .flat_map(|slice| &slice.endpoints)
        .filter(|endpoint| endpoint.address == real.address)
}

/// Whether a slice's port is for the virtual server.
fn serves(port: &SlicePort, server: &VirtualServer) -> bool {
    port.name == server.origin.port && port.protocol == server.key.protocol
}
