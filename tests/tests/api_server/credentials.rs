//! Who the proxy is to the API server, and what it may do there.

use std::fs;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use tests::apiserver::{
    ApiServer, Credentials, Options, Policy, Recorded, Security, Streaming, Token, read_objects,
};
use tests::lab::{Client, Endpoint, wait_until};

use crate::cluster::{SOON, Scene, complaints, service};

const ROLE: &str = include_str!("../../../deploy/kustomize/base/cluster-role.yaml");

fn secure(token: &str, streaming: Streaming) -> Options {
    Options {
        security: Security::Tls(Vec::new()),
        tokens: vec![Token::of_proxy(token)],
        streaming,
        ..Options::default()
    }
}

/// The server of a scene lets the proxy do only what its ClusterRole in `deploy/` lists.
fn limit(scene: &Scene) {
    let role = read_objects(ROLE).expect("it is YAML");
    let policy = Policy::of_cluster_role(&role[0]).expect("it is a ClusterRole");
    scene.api.limit(&Token::of_proxy("").user, Some(policy));
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_token_is_exchanged_and_nobody_notices() {
    let scene = Scene::new(secure("first", Streaming::Served));
    limit(&scene);
    let (one, two, three) = (service(1), service(2), service(3));
    let endpoints = [Endpoint::from(&scene.pod)];
    scene.apply(&one, &endpoints);
    let token = scene.file("token");
    fs::write(&token, "first").unwrap();
    scene.configure(&Credentials::TokenFile(token.clone()), str::to_owned);
    let daemon = scene.start();
    daemon.wait_for_log("synced everything");
    let target = one.targets().next().unwrap();
    let stream =
        Client::in_namespace(&scene.node().namespace).stream(target, Duration::from_millis(50));
    scene.apply(&two, &endpoints);
    scene.is_soon_served(&two);

    // The old one is refused before the file has the new one.
    scene.api.set_tokens(&[Token::of_proxy("second")]);
    scene.api.cut_connections();
    daemon.wait_for_log("is none that this API server knows; renew it");
    assert!(scene.api.delete("services", "default", "web-2"));
    scene.apply(&three, &endpoints);
    thread::sleep(Duration::from_millis(500));
    assert!(scene.ask(&two).is_ok(), "what is known stays");
    fs::write(&token, "second").unwrap();
    scene.is_soon_served(&three);
    scene.is_soon_refused(&two);
    assert_eq!(complaints(&daemon, "renew it"), 3, "once for each kind: {}", daemon.log());
    let tally = stream.stop();
    assert_eq!(tally.lost, [], "{tally:?}");
    let forbidden = |one: &Recorded| one.status == 403;
    assert!(!scene.api.requests().iter().any(forbidden), "{:#?}", scene.api.requests());
}

/// The role is enough for a server that only lists in pages, too.
#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn what_is_wrong_with_credentials_is_said_once_with_the_remedy() {
    let scene = Scene::new(secure("right", Streaming::Refused));
    scene.apply(&service(1), &[Endpoint::from(&scene.pod)]);
    let token = scene.file("token");
    fs::write(&token, "wrong").unwrap();
    scene.configure(&Credentials::TokenFile(token.clone()), str::to_owned);
    let kubeconfig = scene.file("kubeconfig.conf");
    let right = fs::read_to_string(&kubeconfig).unwrap();
    let stranger = ApiServer::start(secure("right", Streaming::Served));
    let [of, other] = [&scene.api, &stranger].map(|server| {
        let text = server.kubeconfig(&Credentials::Nothing);
        let authority = text.lines().find(|line| line.contains("authority")).map(str::trim);
        authority.expect("a secure server has one").to_owned()
    });
    fs::write(&kubeconfig, right.replace(&of, &other)).unwrap();

    let daemon = scene.start();
    daemon.wait_for_log("does not answer");
    let about_certificate = "server and certificate-authority in clientConnection.kubeconfig";
    thread::sleep(Duration::from_secs(2));
    assert_eq!(complaints(&daemon, about_certificate), 1, "{}", daemon.log());
    fs::write(&kubeconfig, &right).unwrap();
    daemon.wait_for_log("does not tell of this node");
    thread::sleep(Duration::from_secs(2));
    assert_eq!(complaints(&daemon, "renew it"), 1, "{}", daemon.log());
    scene.api.limit(&Token::of_proxy("").user, Some(Policy::default()));
    fs::write(&token, "right").unwrap();
    daemon.wait_for_log("give its user the ClusterRole system:node-proxier");
    assert!(daemon.log().contains("nodes \"node-1\" is forbidden"), "{}", daemon.log());
    assert_eq!(scene.kernel().services, [""; 0]);
    limit(&scene);
    daemon.wait_for_log("synced everything");
    assert!(scene.ask(&service(1)).is_ok());
    let has_event = || scene.api.count("events") > 0;
    wait_until("the start is an Event", SOON, has_event);
    assert!(daemon.stop(Signal::TERM).success());
}
