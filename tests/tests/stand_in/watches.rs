//! What a watch says, line by line.

use std::time::Duration;

use serde_json::{Value, json};
use tests::apiserver::{ApiServer, Options, Streaming};

use crate::client::service;
use crate::raw::{Answer, get};

fn server(options: Options) -> ApiServer {
    let server = ApiServer::start(options);
    server.apply(&service("a", "10.96.0.1"));
    server.apply(&service("b", "10.96.0.2"));
    server
}

fn watch(server: &ApiServer, query: &str) -> Answer {
    get(server, &format!("/api/v1/services?watch=true{query}"))
}

/// What a watch says until it says nothing for a while, or ends.
#[track_caller]
fn check(server: &ApiServer, query: &str, expected: &[&str]) {
    let mut watch = watch(server, query);
    assert_eq!(watch.status, 200, "{query}");
    watch.expect(expected);
}

const STREAMING: &str =
    "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";

#[test]
fn a_watch_begins_where_it_is_asked_to() {
    let server = server(Options::default());
    check(&server, "", &["ADDED a 2", "ADDED b 3", "Silence"]);
    check(&server, "&resourceVersion=0", &["ADDED a 2", "ADDED b 3", "Silence"]);
    check(&server, "&resourceVersion=1", &["ADDED a 2", "ADDED b 3", "Silence"]);
    check(&server, "&resourceVersion=2", &["ADDED b 3", "Silence"]);
    check(&server, "&resourceVersion=3", &["Silence"]);
    server.apply(&service("a", "10.96.0.9"));
    server.delete("services", "shop", "b");
    check(&server, "&resourceVersion=3", &["MODIFIED a 4", "DELETED b 5", "Silence"]);
}

#[test]
fn an_object_of_a_watch_is_whole() {
    let server = server(Options::default());
    let line = watch(&server, "&resourceVersion=1").line().unwrap();
    assert_eq!(line["object"], server.object("services", "shop", "a").unwrap());
    assert_eq!(line["object"]["kind"], "Service");
}

#[test]
fn a_watch_of_a_name_is_one_of_one_object() {
    let server = server(Options::default());
    let path = "/api/v1/namespaces/shop/services/b?watch=1";
    get(&server, path).expect(&["ADDED b 3", "Silence"]);
    check(&server, "&fieldSelector=metadata.name%3Db", &["ADDED b 3", "Silence"]);
}

#[test]
fn what_is_selected_no_more_is_deleted_with_its_last_content() {
    let server = server(Options::default());
    let mut watch = watch(&server, "&resourceVersion=3&labelSelector=app");
    let mut changed = service("a", "10.96.0.9");
    changed["metadata"]["labels"] = json!({});
    server.apply(&changed);
    let line = watch.line().unwrap();
    assert_eq!(line["type"], "DELETED");
    assert_eq!(line["object"]["metadata"]["resourceVersion"], "4");
    assert_eq!(line["object"]["spec"]["clusterIP"], "10.96.0.1");
    server.apply(&changed);
    server.delete("services", "shop", "a");
    server.apply(&service("a", "10.96.0.1"));
    watch.expect(&["ADDED a 6"]);
}

#[test]
fn a_watch_may_begin_with_what_is_there() {
    let server = server(Options::default());
    let mut streaming = watch(&server, STREAMING);
    streaming.expect(&["ADDED a 2", "ADDED b 3"]);
    let mark = streaming.line().unwrap();
    let metadata = json!({
        "resourceVersion": "3", "annotations": { "k8s.io/initial-events-end": "true" },
    });
    let object = json!({
        "kind": "Service", "apiVersion": "v1", "metadata": metadata,
        "spec": {}, "status": { "loadBalancer": {} },
    });
    assert_eq!(mark, json!({ "type": "BOOKMARK", "object": object }));
    server.apply(&service("c", "10.96.0.3"));
    streaming.expect(&["ADDED c 4", "Silence"]);
    let selected = format!("{STREAMING}&labelSelector=app%3Dc");
    check(&server, &selected, &["ADDED c 4", "BOOKMARK 4", "Silence"]);
    let without = "&sendInitialEvents=false&resourceVersionMatch=NotOlderThan";
    check(&server, without, &["Silence"]);
}

#[track_caller]
fn check_refusal(server: &ApiServer, query: &str, code: u16, expected: &str) {
    let answer = watch(server, query);
    let (status, object) = (answer.status, answer.json());
    assert_eq!(status, code, "{query}: {object}");
    let message = object["message"].as_str().unwrap();
    assert!(message.contains(expected), "{query}: {message}");
    assert_eq!(object["code"], code);
}

#[test]
fn options_that_do_not_go_together_are_refused() {
    let new = server(Options::default());
    check_refusal(&new, "&sendInitialEvents=true", 422, "requires setting resourceVersionMatch");
    check_refusal(&new, "&resourceVersionMatch=NotOlderThan", 422, "is forbidden for watch unless");
    check_refusal(&new, &format!("{STREAMING}&resourceVersion=99"), 504, "Too large resource");
    let old = server(Options { streaming: Streaming::Refused, ..Options::default() });
    check_refusal(&old, STREAMING, 422, "sendInitialEvents is forbidden for watch unless");
    check(&old, "", &["ADDED a 2", "ADDED b 3"]);
}

#[test]
fn an_old_revision_is_told_that_it_expired() {
    let server = server(Options { history: 2, ..Options::default() });
    let ip = |number| service("a", &format!("10.96.1.{number}"));
    for number in 0..3 {
        server.apply(&ip(number));
    }
    let expired = "ERROR 410 too old resource version: 3 (5)";
    check(&server, "&resourceVersion=3", &[expired, "InOrder"]);
    check(&server, "&resourceVersion=4", &["MODIFIED a 5", "MODIFIED a 6", "Silence"]);
    server.drop_history();
    check(&server, "&resourceVersion=6", &["Silence"]);
    let expired = "ERROR 410 too old resource version: 5 (7)";
    check(&server, "&resourceVersion=5", &[expired, "InOrder"]);
}

#[test]
fn a_revision_of_the_future_is_waited_for() {
    let server = server(Options { bookmark_every: soon(), ..Options::default() });
    let mut watch = watch(&server, "&resourceVersion=4&allowWatchBookmarks=true");
    watch.expect(&["Silence"]);
    server.apply(&service("a", "10.96.0.8"));
    watch.expect(&["BOOKMARK 4"]);
    server.apply(&service("a", "10.96.0.9"));
    watch.skip_to("MODIFIED a 5");
}

const fn soon() -> Duration {
    Duration::from_millis(50)
}

#[test]
fn an_idle_watch_is_told_the_revision() {
    let server = server(Options { bookmark_every: soon(), ..Options::default() });
    let mut with = watch(&server, "&resourceVersion=3&allowWatchBookmarks=true");
    let mut without = watch(&server, "&resourceVersion=3");
    with.expect(&["BOOKMARK 3"]);
    // A change of something else moves it too.
    server.apply(&json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": "n" } }));
    with.skip_to("BOOKMARK 4");
    without.expect(&["Silence"]);
}

#[test]
fn a_watch_ends_when_its_time_is_over() {
    let server = server(Options::default());
    let query = "&resourceVersion=3&timeoutSeconds=1&allowWatchBookmarks=true";
    let mut watch = watch(&server, query);
    watch.expect(&["BOOKMARK 3", "InOrder"]);
}

#[test]
fn bookmarks_look_as_servers_write_them() {
    let server = server(Options::default());
    let of = |path: &str| -> Value {
        get(&server, &format!("{path}?watch=1{STREAMING}")).line().unwrap()["object"].take()
    };
    let slice = of("/apis/discovery.k8s.io/v1/endpointslices");
    assert_eq!(slice["endpoints"], Value::Null);
    assert_eq!(slice["addressType"], "");
    let node = of("/api/v1/nodes");
    assert_eq!(node["status"]["nodeInfo"]["kubeletVersion"], "");
}
