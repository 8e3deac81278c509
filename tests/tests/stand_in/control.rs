//! The same by another program: over HTTP, at an address of its own.

use std::net::{SocketAddr, TcpListener};

use serde_json::Value;
use tests::apiserver::{ApiServer, Credentials, Options, control};

use crate::client::service;
use crate::raw::{ask, get, try_ask};

/// A server, with the address of its control.
fn controlled() -> (&'static ApiServer, SocketAddr) {
    let server: &ApiServer = Box::leak(Box::new(ApiServer::start(Options::default())));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || control::serve(server, listener, Credentials::Nothing));
    (server, address)
}

#[track_caller]
fn check(control: SocketAddr, request: &str, body: &str, status: u16, text: &str) {
    let answer = ask(control, request, "", body);
    let (answered, said) = (answer.status, answer.text());
    assert_eq!(answered, status, "{request}: {said}");
    assert!(said.contains(text), "{request}: {said}");
}

#[test]
fn objects_are_applied_and_deleted() {
    let (server, control) = controlled();
    let two = format!("{}\n---\n{}", service("a", "10.96.0.1"), service("b", "10.96.0.2"));
    check(control, "POST /control/apply", &two, 200, "2 applied");
    assert_eq!(server.count("services"), 2);
    let delete = "POST /control/delete?resource=services&namespace=shop&name=a";
    check(control, delete, "", 200, "deleted");
    check(control, delete, "", 400, "there is no services shop/a");
    check(control, "POST /control/apply", "kind: Pod\napiVersion: v1", 400, "no matches for kind");
    check(control, "POST /control/delete?resource=pods", "", 400, "no such resource");
    check(control, "GET /control/stats", "", 200, "\"revision\": 4");
    check(control, "GET /control/kubeconfig", "", 200, &server.url());
    check(control, "GET /control", "", 200, "/control/faults/cut-connections");
    check(control, "GET /nothing", "", 404, "/control/stats");
}

#[test]
fn faults_are_made_and_ended() {
    let (server, control) = controlled();
    let version = || try_ask(server.address(), "GET /version", "", "").map(|answer| answer.status);
    check(control, "POST /control/faults/stop", "", 200, "");
    assert_eq!(version(), None);
    check(control, "POST /control/faults/start?history=dropped", "", 200, "");
    assert_eq!(version(), Some(200));
    let refuse = "POST /control/faults/refuse-next?count=1&code=500&resource=nodes";
    check(control, refuse, "", 200, "");
    assert_eq!(get(server, "/api/v1/services").status, 200);
    assert_eq!(get(server, "/api/v1/nodes").status, 500);
    check(control, "POST /control/faults/refuse-next?count=1&code=200", "", 400, "no server");
    check(control, "POST /control/faults/refuse-next?count=x&code=500", "", 400, "not a number");
    check(control, "POST /control/faults/cut-watches", "", 400, "events=N or bytes=N");
    check(control, "POST /control/faults/cut-watches?bytes=10", "", 200, "");
    check(control, "POST /control/apply", &service("a", "10.96.0.1").to_string(), 200, "");
    get(server, "/api/v1/services?watch=1").expect(&["Broken"]);
    check(control, "POST /control/faults/end", "", 200, "");
    get(server, "/api/v1/services?watch=1").expect(&["ADDED a 2"]);
    check(control, "POST /control/faults/slip", "", 404, "there is no such thing");
}

#[test]
fn a_backup_is_restored() {
    let (server, control) = controlled();
    check(control, "POST /control/restore", "", 400, "there is no backup");
    check(control, "POST /control/backup", "", 200, "");
    server.apply(&service("a", "10.96.0.1"));
    check(control, "POST /control/restore", "", 200, "");
    assert_eq!(server.count("services"), 0);
    assert_eq!(server.revision(), 1);
}

#[test]
fn tokens_and_requests_are_known() {
    let (server, control) = controlled();
    check(control, "POST /control/tokens", "secret system:me\n", 200, "");
    assert_eq!(get(server, "/api/v1/services").status, 403);
    let header = "Authorization: Bearer secret\r\n";
    assert_eq!(ask(server.address(), "GET /api/v1/services", header, "").status, 200);
    check(control, "POST /control/tokens", "secret", 400, "TOKEN USER");
    let requests: Value = ask(control, "GET /control/requests", "", "").json();
    assert_eq!(requests[1]["user"], "system:me");
    check(control, "POST /control/forget-requests", "", 200, "");
    check(control, "GET /control/requests", "", 200, "[]");
}
