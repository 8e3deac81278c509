//! Each fault, as a client sees it.

use std::net::TcpStream;
use std::thread::sleep;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Service;
use kube::Api;
use kube::runtime::watcher::{Config, watcher};
use tests::apiserver::{ApiServer, Credentials, Cut, Options, Refusal, Requests, Telling};

use crate::client::{client, run, said, service};
use crate::raw::{Answer, SHORT, get, try_ask};

fn server() -> ApiServer {
    let server = ApiServer::start(Options::default());
    server.apply(&service("a", "10.96.0.1"));
    server
}

fn watch(server: &ApiServer) -> Answer {
    get(server, "/api/v1/services?watch=1&resourceVersion=1&allowWatchBookmarks=true")
}

#[test]
fn connections_are_cut() {
    let server = server();
    let mut watches = [watch(&server), watch(&server)];
    for watch in &mut watches {
        watch.expect(&["ADDED a 2"]);
    }
    assert_eq!(server.connections(), 2);
    server.cut_connections();
    assert_eq!(server.connections(), 0);
    for watch in &mut watches {
        watch.expect(&["Reset"]);
    }
    watch(&server).expect(&["ADDED a 2"]);
}

#[test]
fn connections_are_refused() {
    let server = server();
    let mut before = watch(&server);
    server.refuse_connections();
    assert!(TcpStream::connect(server.address()).is_err());
    // What was connected goes on.
    server.apply(&service("b", "10.96.0.2"));
    before.expect(&["ADDED a 2", "ADDED b 3"]);
    server.listen();
    watch(&server).expect(&["ADDED a 2"]);
}

#[test]
fn a_watch_breaks_off_after_events() {
    let server = server();
    server.apply(&service("b", "10.96.0.2"));
    server.cut_watches(Requests::any().resource("services"), Cut::Events(1));
    let mut cut = watch(&server);
    cut.expect(&["ADDED a 2", "Broken"]);
    get(&server, "/api/v1/nodes?watch=1").expect(&["Silence"]);
    server.end_faults();
    let mut whole = watch(&server);
    whole.expect(&["ADDED a 2", "ADDED b 3", "Silence"]);
}

#[test]
fn a_watch_breaks_off_in_the_middle_of_a_line() {
    let server = server();
    server.cut_watches(Requests::any(), Cut::Bytes(40));
    let mut cut = watch(&server);
    cut.expect(&["Broken"]);
    assert_eq!(cut.half_line(), br#"{"type":"ADDED","object":{"kind":"Servic"#);
}

#[test]
fn a_stalled_server_says_nothing_and_closes_nothing() {
    let server = server();
    let mut before = watch(&server);
    before.expect(&["ADDED a 2"]);
    server.stall();
    server.apply(&service("b", "10.96.0.2"));
    before.expect(&["Silence"]);
    let address = server.address();
    let after = std::thread::spawn(move || try_ask(address, "GET /version", "", ""));
    sleep(SHORT);
    assert!(!after.is_finished(), "a new connection is answered");
    server.go_on();
    before.expect(&["ADDED b 3"]);
    assert_eq!(after.join().unwrap().unwrap().status, 200);
}

#[test]
fn a_slow_server_takes_its_time() {
    let server = server();
    let length = get(&server, "/api/v1/services").text().len() as u64;
    server.slow_down(length);
    let begin = Instant::now();
    assert_eq!(get(&server, "/api/v1/services").text().len() as u64, length);
    assert!(begin.elapsed() > Duration::from_millis(700), "{:?}", begin.elapsed());
}

#[test]
fn some_requests_are_refused() {
    let server = server();
    let lists = || Requests::any().verb("list").resource("services");
    let refusal = Refusal::too_many_requests(Duration::from_secs(7));
    server.refuse_next(2, lists(), refusal.clone());
    assert_eq!(get(&server, "/api/v1/nodes").status, 200);
    let answer = get(&server, "/api/v1/services");
    assert_eq!(answer.status, 429);
    assert!(answer.head.contains("retry-after: 7\r\n"), "{}", answer.head);
    assert_eq!(answer.json(), refusal.status());
    for expected in [429, 200] {
        assert_eq!(get(&server, "/api/v1/services").status, expected);
    }
    let busy = Refusal::too_busy(Duration::from_secs(1));
    for (refusal, text) in [(busy, "Too many"), (Refusal::bad_gateway(), "<html>")] {
        server.refuse_next(1, lists(), refusal.clone());
        let answer = get(&server, "/api/v1/services");
        assert_eq!(answer.status, refusal.code);
        assert!(answer.text().starts_with(text));
    }
    for code in [400, 401, 403, 404, 409, 410, 429, 500, 503, 504] {
        server.refuse_next(1, lists(), Refusal::of_code(code).unwrap());
        let answer = get(&server, "/api/v1/services");
        let (status, object) = (answer.status, answer.json());
        assert_eq!((status, &object["kind"]), (code, &"Status".into()));
        assert_eq!(object["code"], code);
    }
    server.refuse_next(1, Requests::any().verb("watch"), Refusal::of_code(410).unwrap());
    assert_eq!(get(&server, "/api/v1/services").status, 200);
    assert_eq!(get(&server, "/api/v1/services?watch=1").status, 410);
}

#[test]
fn a_muted_watch_stays_open() {
    let server = server();
    let mut muted = watch(&server);
    muted.expect(&["ADDED a 2"]);
    server.mute_watches(Requests::any().resource("services"));
    server.apply(&service("b", "10.96.0.2"));
    muted.expect(&["Silence"]);
    server.end_faults();
    muted.expect(&["ADDED b 3"]);
}

#[test]
fn watches_end_in_good_order() {
    let server = server();
    let mut ended = watch(&server);
    ended.expect(&["ADDED a 2"]);
    server.end_watches();
    ended.expect(&["InOrder"]);
    watch(&server).expect(&["ADDED a 2"]);
}

#[test]
fn watches_expire() {
    let server = server();
    let mut expired = watch(&server);
    expired.expect(&["ADDED a 2"]);
    server.expire_watches();
    expired.expect(&["ERROR 410 too old resource version: 2 (3)"]);
    expired.expect(&["InOrder"]);
}

#[test]
fn events_are_told_twice() {
    let server = server();
    server.tell(Telling::Twice);
    let mut watch = watch(&server);
    watch.expect(&["ADDED a 2", "ADDED a 2"]);
}

/// A watcher that has to live through faults ends with what is there.
fn survives(config: Config, fault: impl Fn(&ApiServer)) {
    let server = server();
    run(async {
        let api: Api<Service> = Api::all(client(&server, &Credentials::Nothing).await);
        let mut stream = Box::pin(watcher(api, config));
        let mut next = async || said(&stream.next().await.expect("watchers do not end"));
        while next().await != "done" {}
        fault(&server);
        server.apply(&service("b", "10.96.0.2"));
        let seen = ["apply b", "there b"];
        while !seen.contains(&&*next().await) {}
        server.end_faults();
        server.apply(&service("c", "10.96.0.3"));
        let seen = ["apply c", "there c"];
        while !seen.contains(&&*next().await) {}
    });
}

#[test]
fn the_client_lives_through_all_of_them() {
    type Fault = fn(&ApiServer);
    let faults: [Fault; 9] = [
        |server| server.cut_connections(),
        |server| server.end_watches(),
        |server| server.expire_watches(),
        |server| server.cut_watches(Requests::any(), Cut::Events(1)),
        |server| {
            server.refuse_next(1, Requests::any(), Refusal::internal("etcd"));
            server.end_watches();
        },
        |server| {
            server.refuse_next(1, Requests::any(), Refusal::bad_gateway());
            server.cut_connections();
        },
        |server| {
            server.refuse_next(1, Requests::any().verb("watch"), Refusal::of_code(410).unwrap());
            server.end_watches();
        },
        |server| server.tell(Telling::Twice),
        |server| server.slow_down(20_000),
    ];
    for fault in faults {
        survives(Config::default(), fault);
        survives(Config::default().streaming_lists(), fault);
    }
}
