//! The role of the manifests allows what the daemon asks for, and nothing else.

use std::collections::BTreeSet;

use serde_json::Value;
use tests::apiserver::{Credentials, Options, Policy, Streaming, Token};
use tests::lab::{Endpoint, wait_until};

use crate::cluster::{SOON, Scene, service};

const ROLE: &str = include_str!("../../../deploy/kustomize/base/cluster-role.yaml");

/// Verb, API group and resource.
type Permission = (String, String, String);

fn permissions(role: &Value) -> BTreeSet<Permission> {
    let texts = |value: &Value| -> Vec<String> {
        let values = value.as_array().into_iter().flatten();
        values.map(|value| value.as_str().expect("a text").to_owned()).collect()
    };
    let mut permissions = BTreeSet::new();
    for rule in role["rules"].as_array().expect("it has rules") {
        for verb in texts(&rule["verbs"]) {
            for group in texts(&rule["apiGroups"]) {
                for resource in texts(&rule["resources"]) {
                    permissions.insert((verb.clone(), group.clone(), resource));
                }
            }
        }
    }
    permissions
}

/// What the daemon asks of a server that allows what `role` does.
fn asked(role: &Value, streaming: Streaming) -> BTreeSet<Permission> {
    let scene = Scene::new(Options { streaming, ..Options::default() });
    let token = Token::of_proxy("secret");
    scene.api.set_tokens(std::slice::from_ref(&token));
    scene.api.limit(&token.user, Some(Policy::of_cluster_role(role).expect("it is a role")));
    let web = service(1);
    scene.apply(&web, &[Endpoint::from(&scene.pod)]);
    scene.configure(&Credentials::Token(token.token), str::to_owned);
    let daemon = scene.start();
    daemon.wait_for_log("synced everything");
    scene.is_soon_served(&web);
    wait_until("there is an Event", SOON, || scene.api.count("events") > 0);

    let requests = scene.api.requests();
    let forbidden: Vec<_> = requests.iter().filter(|request| request.status == 403).collect();
    assert!(forbidden.is_empty(), "{forbidden:?}");
    let of_objects = requests.into_iter().filter(|request| !request.resource.is_empty());
    of_objects.map(|request| (request.verb, request.group, request.resource)).collect()
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn the_role_of_the_manifests_is_what_the_daemon_asks_for() {
    let role: Value = serde_saphyr::from_str(ROLE).expect("it is YAML");
    // Old servers want to be asked for lists.
    let of_old = asked(&role, Streaming::Refused);
    let of_new = asked(&role, Streaming::Served);
    assert_eq!(permissions(&role), &of_old | &of_new);
}
