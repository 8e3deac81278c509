//! Who is let in, by which credentials, and to what.

use k8s_openapi::api::core::v1::{Node, Service};
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};
use tests::apiserver::{ApiServer, Credentials, Options, Policy, Security, Token};

use crate::client::{client, run, service};
use crate::raw::ask;

/// What a client is answered: how many Services there are, or the refusal's code.
fn services(server: &ApiServer, credentials: &Credentials) -> Result<usize, u16> {
    run(async {
        let api: Api<Service> = Api::all(client(server, credentials).await);
        match api.list(&ListParams::default()).await {
            Ok(list) => Ok(list.items.len()),
            Err(kube::Error::Api(status)) => Err(status.code),
            Err(error) => panic!("{error}"),
        }
    })
}

fn token(token: &str) -> Credentials {
    Credentials::Token(token.to_owned())
}

fn secure() -> ApiServer {
    let server = ApiServer::start(Options {
        security: Security::Tls(Vec::new()),
        tokens: vec![Token::of_proxy("first")],
        ..Options::default()
    });
    server.apply(&service("a", "10.96.0.1"));
    server
}

#[test]
fn a_token_lets_in_until_it_is_replaced() {
    let server = secure();
    assert_eq!(services(&server, &token("first")), Ok(1));
    assert_eq!(services(&server, &token("wrong")), Err(401));
    assert_eq!(services(&server, &Credentials::Nothing), Err(403));
    server.set_tokens(&[Token::of_proxy("second")]);
    assert_eq!(services(&server, &token("first")), Err(401));
    assert_eq!(services(&server, &token("second")), Ok(1));
}

#[test]
fn a_certificate_lets_in() {
    let server = secure();
    let known = server.client_certificate("system:node:node-1");
    assert_eq!(services(&server, &Credentials::Certificate(known)), Ok(1));
    let users: Vec<_> = server.requests().into_iter().map(|request| request.user).collect();
    assert_eq!(users, ["system:node:node-1"]);
}

#[test]
fn a_server_of_another_authority_is_not_trusted() {
    let (server, other) = (secure(), secure());
    let config = server.kubeconfig(&token("first"));
    let config = config.replace(&server.url(), &other.url());
    run(async {
        let config = kube::config::Kubeconfig::from_yaml(&config).unwrap();
        let config = kube::Config::from_custom_kubeconfig(config, &Default::default()).await;
        let api: Api<Service> = Api::all(kube::Client::try_from(config.unwrap()).unwrap());
        let error = api.list(&ListParams::default()).await.unwrap_err();
        assert!(matches!(error, kube::Error::Service(_)), "{error:?}");
    });
    assert_eq!(other.requests(), []);
}

/// The rules of the ClusterRole that node proxies have.
fn node_proxier() -> Policy {
    let rule = |group: &str, resource: &str, verbs: &[&str]| json!({ "apiGroups": [group], "resources": [resource], "verbs": verbs });
    let role: Value = json!({
        "kind": "ClusterRole",
        "rules": [
            rule("", "services", &["list", "watch"]),
            rule("", "nodes", &["get", "list", "watch"]),
        ],
    });
    Policy::of_cluster_role(&role).unwrap()
}

#[test]
fn what_no_rule_allows_is_forbidden() {
    let server =
        ApiServer::start(Options { tokens: vec![Token::of_proxy("good")], ..Options::default() });
    server.limit(&Token::of_proxy("").user, Some(node_proxier()));
    let header = "Authorization: Bearer good\r\n";
    let ask = |request: &str| ask(server.address(), request, header, "");
    assert_eq!(ask("GET /api/v1/services").status, 200);
    assert_eq!(ask("GET /api/v1/nodes/node-1").status, 404);
    let forbidden = ask("GET /api/v1/namespaces/shop/services/a");
    assert_eq!(forbidden.status, 403);
    let expected = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "services \"a\" is forbidden: User \
            \"system:serviceaccount:kube-system:kube-proxy\" cannot get resource \"services\" in \
            API group \"\" in the namespace \"shop\"",
        "reason": "Forbidden", "details": { "name": "a", "kind": "services" }, "code": 403,
    });
    assert_eq!(forbidden.json(), expected);
    assert_eq!(ask("GET /apis/discovery.k8s.io/v1/endpointslices?watch=1").status, 403);
}

#[test]
fn requests_are_remembered() {
    let server = ApiServer::start(Options::default());
    run(async {
        let client = client(&server, &Credentials::Nothing).await;
        let api: Api<Node> = Api::all(client);
        let params = ListParams::default().labels("a=b").fields("metadata.name=n");
        api.list(&params).await.unwrap();
        assert!(api.get("n").await.is_err());
    });
    let requests = server.requests();
    let [list, get] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!((&list.verb[..], &list.resource[..], list.status), ("list", "nodes", 200));
    assert_eq!(list.label_selector, "a=b");
    assert_eq!(list.field_selector, "metadata.name=n");
    assert_eq!((&get.verb[..], &get.name[..], get.status), ("get", "n", 404));
}
