use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use hyper::StatusCode;
use tokio::runtime::Builder;

use super::*;
use crate::serve::listen;

const BODY: &str = r#"{"ready":true}"#;

/// A server that answers at `/ready`, on a thread of its own until the process ends.
fn server(connections: Connections) -> SocketAddr {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let address = "127.0.0.1:0".parse().unwrap();
            let listener = TcpListener::from_std(listen::listener(address).unwrap()).unwrap();
            sender.send(listener.local_addr().unwrap()).unwrap();
            serve(listener, connections, async |Asked { path, .. }| {
                let answer = Answer::json(StatusCode::OK, BODY.to_owned());
                (path == "/ready").then(|| Answer { weight: Some(3), ..answer })
            })
            .await;
        });
    });
    receiver.recv().unwrap()
}

fn connect(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

fn ask(server: SocketAddr, request: &str) -> String {
    let mut stream = connect(server);
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

#[track_caller]
fn assert_answers(server: SocketAddr) {
    let begin = Instant::now();
    let response = ask(server, "GET /ready HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(response.ends_with(BODY), "{response}");
    assert!(begin.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_request_is_answered_with_the_headers_that_load_balancers_read() {
    let server = server(Connections::default());
    let response = ask(server, "GET /ready?x=y HTTP/1.1\r\nHost: x\r\n\r\n");
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    assert_eq!(lines.next(), Some("HTTP/1.1 200 OK"));
    let lines: Vec<_> = lines.filter(|line| !line.starts_with("Date: ")).collect();
    let expected = [
        "Content-Type: application/json",
        "X-Content-Type-Options: nosniff",
        "X-Load-Balancing-Endpoint-Weight: 3",
        "Connection: close",
        "Content-Length: 14",
    ];
    assert_eq!((&*lines, body), (&expected[..], BODY));
}

#[test]
fn any_method_and_version_is_answered_and_other_paths_are_not() {
    let server = server(Connections::default());
    for request in [
        "GET /ready HTTP/1.0\r\n\r\n",
        "HEAD /ready HTTP/1.1\r\nHost: x\r\n\r\n",
        "OPTIONS /ready HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /ready HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody",
        "PUT /ready HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
        "BREW /ready HTTP/1.1\r\nHost: x\r\n\r\n",
    ] {
        let response = ask(server, request);
        assert_eq!(response.split(' ').nth(1), Some("200"), "{request}: {response}");
        assert_eq!(response.ends_with(BODY), !request.starts_with("HEAD"), "{response}");
    }
    let response = ask(server, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(response.starts_with("HTTP/1.1 404 Not Found\r\n"), "{response}");
    let response = ask(server, "no HTTP\r\n\r\n");
    assert!(response.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{response}");
}

#[test]
fn a_head_or_body_without_end_is_not_read_to_its_end() {
    let server = server(Connections::default());
    let mut stream = connect(server);
    let line = format!("X-Long: {}\r\n", "x".repeat(1000));
    let head = format!("GET /ready HTTP/1.1\r\nHost: x\r\n{}", line.repeat(1 << 10));
    // It is closed before all is sent, and what it said may be lost with that.
    let _ = stream.write_all(head.as_bytes());
    let mut response = Vec::new();
    let _ = stream.read_to_end(&mut response);
    let response = String::from_utf8_lossy(&response).into_owned();
    assert!(response.is_empty() || response.contains(" 431 "), "{response}");
    let mut stream = connect(server);
    let head = "POST /ready HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let sent = (0..100_000).take_while(|_| stream.write_all(&[0; 1000]).is_ok()).count();
    assert!(sent < 100_000, "all of it was read");
    assert_answers(server);
}

#[test]
fn idle_and_slow_clients_keep_nobody_from_being_answered() {
    let time_to_live = Duration::from_secs(1);
    let connections = Connections { time_to_live, ..Connections::default() };
    let server = server(connections.clone());
    let idle: Vec<_> = (0..2 * MOST_CONNECTIONS).map(|_| connect(server)).collect();
    let mut slow = connect(server);
    slow.write_all(b"G").unwrap();
    assert_answers(server);
    let held = connections.all.lock().unwrap().len();
    assert!(held <= MOST_CONNECTIONS, "{held}");
    // The oldest went first.
    assert_eq!((&idle[0]).read(&mut [0]).unwrap(), 0);
    let begin = Instant::now();
    for byte in "ET /ready HTTP/1.1\r\n".bytes() {
        thread::sleep(Duration::from_millis(100));
        if slow.write_all(&[byte]).is_err() {
            break;
        }
    }
    assert!(begin.elapsed() < Duration::from_millis(1900), "a slow client is cut off");
    assert_answers(server);
}
