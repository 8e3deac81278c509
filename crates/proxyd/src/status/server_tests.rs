//! A real driver with a backend in memory, asked over a real socket.

use super::*;
use crate::config::ExternalIps;
use crate::manifest::Reader;
use crate::manifest::testing::Scratch;
use crate::source::{Parser, Problem, Severity};
use crate::status::document::{Repaired, State, TroubleKind};
use crate::status::testing::{CONFIGURATION, Scene};

#[test]
fn a_daemon_says_what_it_serves_and_how_far_it_is() {
    let scene = Scene::new();
    let before = scene.status();
    assert_eq!((before.state, before.frontends.len()), (State::WaitingForInputs, 0));
    let error = scene.client.post::<Repaired>("/v1/repair").unwrap();
    assert!(error.error.unwrap().contains("not every object was read"));

    scene.serve_web();
    let status = scene.in_step();
    assert_eq!(&*status.node, "n1");
    let [frontend] = &*status.frontends else { panic!("{:?}", status.frontends) };
    assert_eq!((&*frontend.service, &*frontend.kind), ("default/web", "ClusterIP"));
    assert_eq!((&*frontend.address, &*frontend.policy), ("10.96.0.9:80", "Cluster"));
    assert_eq!((frontend.servers.ready, frontend.servers.unused), (1, 1));
    assert!(frontend.changed.is_some() && status.last_comparison.is_some());
    assert!(frontend.destinations.is_none() && status.endpoints.is_none());

    let detail: Status = scene.client.get("/v1/services/default/web").unwrap();
    let endpoints = detail.endpoints.unwrap();
    let unused: Vec<_> = endpoints.iter().filter(|it| it.unused.is_some()).collect();
    let [unused] = &*unused else { panic!("{endpoints:?}") };
    assert_eq!(unused.unused.as_deref(), Some("it is not ready"));
    assert_eq!((unused.node.as_deref(), unused.zone.as_deref()), (Some("n2"), Some("b")));
}

#[test]
fn problems_come_and_go() {
    let scene = Scene::new();
    scene.serve_web();
    let problem = Problem::new(Severity::Rejected, "web.yaml", "is no YAML".to_owned());
    let new = vec![problem.clone()];
    scene.inputs.send(Input::Problems { new, solved: Vec::new() }).unwrap();
    let status = scene.status();
    let [trouble] = &*status.problems else { panic!("{:?}", status.problems) };
    assert_eq!((trouble.kind, &*trouble.object), (TroubleKind::Rejected, "web.yaml"));
    let solved = vec![problem];
    scene.inputs.send(Input::Problems { new: Vec::new(), solved }).unwrap();
    assert_eq!(scene.status().problems, []);
}

#[test]
fn other_pages_are_told_too() {
    let scene = Scene::new();
    scene.serve_web();
    scene.in_step();
    for (path, expected) in [
        ("/v1/config", CONFIGURATION),
        ("/v1/metrics", "# TYPE proxyd_build_info gauge"),
        ("/v1/desired", r#""address":"10.96.0.9""#),
    ] {
        let text = scene.client.text("GET", path).unwrap();
        assert!(text.contains(expected), "{path}: {text}");
    }
}

#[test]
fn what_is_decided_from_is_told_once_it_is_complete() {
    let scene = Scene::new();
    let error = scene.client.text("GET", "/v1/objects").unwrap_err().to_string();
    assert!(error.contains("not every object was read"), "{error}");
    scene.serve_web();
    let text = scene.client.text("GET", "/v1/objects").unwrap();
    let objects: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&objects["apiVersion"], &objects["kind"]), (&"v1".into(), &"List".into()));
    assert_eq!(objects["proxyd"]["node"], "n1");
    assert_eq!(objects["proxyd"]["configuration"]["mode"], "ipvs");
    let [service, slice] = &**objects["items"].as_array().unwrap() else { panic!("{objects:#}") };
    assert_eq!((&service["apiVersion"], &service["kind"]), (&"v1".into(), &"Service".into()));
    assert_eq!(service["metadata"]["name"], "web");
    assert_eq!(slice["apiVersion"], "discovery.k8s.io/v1");
    assert_eq!(slice["endpoints"][1]["conditions"]["ready"], false);
    // It is a file of manifests as well.
    let directory = Scratch::new();
    directory.write("objects.json", &text);
    let mut reader = Reader::new(directory.path(), Parser::new(ExternalIps::Serve));
    let changes = reader.read();
    assert_eq!((changes.events.len(), &*changes.problems), (2, &[][..]));
}

#[test]
fn a_repair_is_waited_for() {
    let scene = Scene::new();
    scene.serve_web();
    scene.in_step();
    let repaired: Repaired = scene.client.post("/v1/repair").unwrap();
    assert_eq!(repaired, Repaired::default());
}

#[test]
fn what_is_not_there_is_said() {
    let scene = Scene::new();
    let error = scene.client.get::<Status>("/v1/services/default/other").unwrap_err().to_string();
    assert!(error.contains("Service default/other is not known to this node"), "{error}");
    for (method, path) in [("GET", "/"), ("GET", "/v1/repair"), ("POST", "/v1/status")] {
        let error = scene.client.text(method, path).unwrap_err().to_string();
        assert!(error.contains("it is of another version"), "{method} {path}: {error}");
    }
}
