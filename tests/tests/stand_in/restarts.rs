//! A server that stops and starts, keeps its history or loses it, or goes back in time.

use std::net::TcpStream;

use tests::apiserver::{ApiServer, History, Options};
use tests::lab::Namespace;

use crate::client::service;
use crate::raw::{Answer, get};

/// A server with Services `a` and `b`, of revisions 2 and 3.
fn server() -> ApiServer {
    let server = ApiServer::start(Options::default());
    server.apply(&service("a", "10.96.0.1"));
    server.apply(&service("b", "10.96.0.2"));
    server
}

fn watch(server: &ApiServer, revision: u64) -> Answer {
    get(server, &format!("/api/v1/services?watch=1&resourceVersion={revision}"))
}

#[test]
fn a_stopped_server_is_not_there_until_it_starts_again() {
    let server = server();
    let mut open = watch(&server, 2);
    open.expect(&["ADDED b 3"]);
    server.stop();
    open.expect(&["Reset"]);
    assert!(TcpStream::connect(server.address()).is_err());
    // The cluster does not stand still.
    server.delete("services", "shop", "a");
    server.start_again(History::Kept);
    let mut again = watch(&server, 3);
    again.expect(&["DELETED a 4", "Silence"]);
}

#[test]
fn a_server_that_lost_its_history_tells_that_watches_expired() {
    let server = server();
    server.stop();
    server.delete("services", "shop", "a");
    server.start_again(History::Dropped);
    watch(&server, 3).expect(&["ERROR 410 too old resource version: 3 (5)"]);
    watch(&server, 4).expect(&["Silence"]);
    assert_eq!(server.count("services"), 1);
}

#[test]
fn a_restored_cluster_is_as_it_was_and_its_revision_lower() {
    let server = server();
    let backup = server.backup();
    server.delete("services", "shop", "a");
    server.apply(&service("c", "10.96.0.3"));
    let uid = |name| server.object("services", "shop", name).unwrap()["metadata"]["uid"].clone();
    let lost = uid("c");
    server.restore(&backup);
    assert_eq!(server.revision(), 3);
    assert!(server.object("services", "shop", "c").is_none());
    // A watch of the future does not know; it hears nothing until the revision is there again.
    let mut future = watch(&server, 5);
    server.apply(&service("c", "10.96.0.3"));
    assert_ne!(uid("c"), lost);
    future.expect(&["Silence"]);
    let list = get(&server, "/api/v1/services?resourceVersion=5");
    assert_eq!((list.status, list.json()["details"]["retryAfterSeconds"].as_u64()), (504, Some(1)));
}

#[test]
#[ignore = "needs root"]
fn a_server_in_a_namespace_is_only_there() {
    let namespace = Namespace::new("api");
    let server = ApiServer::start_in(&namespace, Options::default());
    server.apply(&service("a", "10.96.0.1"));
    for _ in 0..2 {
        let address = server.address();
        let listed = namespace.enter(move || {
            let answer = crate::raw::ask(address, "GET /api/v1/services", "", "");
            answer.json()["items"][0]["metadata"]["name"].clone()
        });
        assert_eq!(listed, "a");
        assert!(TcpStream::connect(address).is_err());
        server.stop();
        server.start_again(History::Kept);
    }
}
