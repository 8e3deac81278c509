use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::*;
use crate::config::{Configuration, KubeProxyFlags};
use crate::health::Publisher;
use crate::metrics::{Limits, Metrics, Requests};

/// Metrics that are told at an address of their own until the process ends.
fn server() -> SocketAddr {
    server_with(Configuration::of_flags(&KubeProxyFlags::default()).json()).0
}

/// The same, and where to tell it another configuration.
fn server_with(configuration: String) -> (SocketAddr, watch::Sender<Arc<str>>) {
    let metrics =
        Metrics::new(Limits::default(), std::time::SystemTime::now(), Requests::default());
    let (_, published) = Publisher::new(Duration::from_secs(30));
    let (in_effect, configuration) = watch::channel(configuration.into());
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let pages = Pages { configuration, published, page: None };
    metrics.exposition().serve(free, BindFailure::Fatal, pages).unwrap();
    (free, in_effect)
}

fn connect(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Status with content type, and body.
fn get(server: SocketAddr, path: &str) -> (String, String) {
    let mut stream = connect(server);
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("\r\nX-Content-Type-Options: nosniff"), "{head}");
    let kind = head.lines().find_map(|line| line.strip_prefix("Content-Type: ")).unwrap();
    (format!("{} {kind}", head.split(' ').nth(1).unwrap()), body.to_owned())
}

#[test]
fn each_path_has_its_answer() {
    let server = server();
    let text = |body: &str| ("200 text/plain; charset=utf-8".to_owned(), body.to_owned());
    for (path, body) in [("/healthz", "ok"), ("/healthz/ping", "ok"), ("/proxyMode", "ipvs")] {
        assert_eq!(get(server, path), text(body));
    }
    let (status, metrics) = get(server, "/metrics?name=x");
    assert_eq!(status, "200 text/plain; version=0.0.4; charset=utf-8");
    assert!(metrics.contains("\n# TYPE proxyd_build_info gauge\nproxyd_build_info{version="));
    let (status, slis) = get(server, "/metrics/slis");
    assert_eq!(status, "200 text/plain; version=0.0.4; charset=utf-8");
    assert!(slis.ends_with(
        "kubernetes_healthcheck{name=\"proxy\",type=\"healthz\"} 0\n\
         kubernetes_healthcheck{name=\"proxy\",type=\"livez\"} 1\n"
    ));
    for missing in ["/", "/metrics/", "/debug/pprof/", "/livez", "/page", "/page.css"] {
        assert!(get(server, missing).0.starts_with("404 "), "{missing}");
    }
}

#[test]
fn the_configuration_in_effect_is_told_as_kube_proxys() {
    let (status, body) = get(server(), "/configz");
    assert_eq!(status, "200 application/json");
    let document: serde_json::Value = serde_json::from_str(&body).unwrap();
    let config = &document["kubeproxy.config.k8s.io"];
    assert_eq!(config["kind"], "KubeProxyConfiguration");
    assert_eq!(config["apiVersion"], "kubeproxy.config.k8s.io/v1alpha1");
    assert_eq!(config["metricsBindAddress"], "127.0.0.1:10249");
}

#[test]
fn the_configuration_is_told_as_it_is_since_the_file_changed() {
    let (server, in_effect) = server_with("{\"a\":1}\n".to_owned());
    assert_eq!(get(server, "/configz").1, r#"{"kubeproxy.config.k8s.io":{"a":1}}"#);
    in_effect.send_replace("{\"a\":2}\n".into());
    assert_eq!(get(server, "/configz").1, r#"{"kubeproxy.config.k8s.io":{"a":2}}"#);
}

#[test]
fn nobody_keeps_others_from_their_answer() {
    let server = server();
    let idle: Vec<_> = (0..300).map(|_| connect(server)).collect();
    // Asks, and never reads.
    let deaf: Vec<_> = (0..100)
        .map(|_| {
            let mut stream = connect(server);
            let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
            stream
        })
        .collect();
    let mut endless = connect(server);
    let _ = endless.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Long: ");
    let _ = endless.write_all(&vec![b'x'; 1 << 20]);
    let mut malformed = connect(server);
    malformed.write_all(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = malformed.read_to_end(&mut answer);
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"), "{answer:?}");
    let begin = Instant::now();
    assert!(get(server, "/metrics").0.starts_with("200 "));
    assert_eq!(get(server, "/healthz").1, "ok");
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
    drop((idle, deaf));
}

#[test]
fn an_address_that_is_taken_is_fatal_if_it_should_be() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let serve = |failure| {
        let (_, published) = Publisher::new(Duration::from_secs(30));
        let metrics =
            Metrics::new(Limits::default(), std::time::SystemTime::now(), Requests::default());
        let configuration = watch::channel("{}".into()).1;
        metrics.exposition().serve(address, failure, Pages { configuration, published, page: None })
    };
    let error = serve(BindFailure::Fatal).unwrap_err();
    assert!(error.to_string().starts_with("/metrics cannot be answered at 127.0.0.1:"), "{error}");
    serve(BindFailure::Retry).unwrap();
}
