//! Objects that a client writes: Events above all.

use k8s_openapi::api::core::v1::{Node, ObjectReference};
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::events::{Event as News, EventType, Recorder, Reporter};
use serde_json::{Value, json};
use tests::apiserver::{ApiServer, Credentials, Options};

use crate::client::{client, run};
use crate::raw::get;

fn event(name: &str) -> Event {
    serde_json::from_value(json!({
        "metadata": { "name": name, "namespace": "default" },
        "eventTime": "2026-01-02T03:04:05.000006Z",
        "reason": "Starting",
        "action": "StartKubeProxy",
        "type": "Normal",
        "reportingController": "kube-proxy",
        "reportingInstance": "node-1",
        "regarding": { "kind": "Node", "name": "node-1" },
    }))
    .unwrap()
}

fn code<T: std::fmt::Debug>(result: Result<T, kube::Error>) -> u16 {
    match result {
        Err(kube::Error::Api(status)) => status.code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_event_is_made_patched_replaced_and_removed() {
    let server = ApiServer::start(Options::default());
    run(async {
        let api: Api<Event> =
            Api::namespaced(client(&server, &Credentials::Nothing).await, "default");
        let make = PostParams::default();
        let made = api.create(&make, &event("e")).await.unwrap();
        assert_eq!(made.metadata.resource_version.as_deref(), Some("2"));
        assert_eq!(code(api.create(&make, &event("e")).await), 409);

        let patch = PatchParams::default();
        let again = json!({ "count": 2, "lastObservedTime": "2026-01-02T03:05:05.000006Z" });
        let series = json!({ "series": again, "note": null });
        let patched = api.patch("e", &patch, &Patch::Merge(&series)).await;
        assert_eq!(patched.unwrap().series.unwrap().count, 2);
        let third = json!({ "count": 3, "lastObservedTime": "2026-01-02T03:06:05.000006Z" });
        let third = Patch::Strategic(json!({ "series": third }));
        let mut patched = api.patch("e", &patch, &third).await.unwrap();
        assert_eq!(patched.series.as_ref().unwrap().count, 3);
        let note = Patch::Merge(json!({ "note": "other" }));
        assert_eq!(code(api.patch("e", &patch, &note).await), 422);
        let missing = api.patch("z", &PatchParams::default(), &Patch::Merge(&series)).await;
        assert_eq!(code(missing), 404);

        patched.series.as_mut().unwrap().count = 4;
        let replaced = api.replace("e", &make, &patched).await.unwrap();
        assert_eq!(replaced.series.unwrap().count, 4);
        // The version that it was read with is not there any more.
        patched.series.as_mut().unwrap().count = 5;
        assert_eq!(code(api.replace("e", &make, &patched).await), 409);

        let stored = server.object("events", "default", "e").unwrap();
        assert_eq!(stored["series"]["count"], 4);
        let shown = get(&server, "/api/v1/namespaces/default/events/e").json();
        assert_eq!(shown["involvedObject"]["name"], "node-1");
        for field in ["uid", "resourceVersion"] {
            assert_eq!(shown["metadata"][field], stored["metadata"][field]);
        }
        api.delete("e", &DeleteParams::default()).await.unwrap();
        assert_eq!(code(api.get("e").await), 404);
        assert_eq!(get(&server, "/api/v1/namespaces/default/events/e").status, 404);
    });
}

#[test]
fn a_recorder_of_the_client_is_heard() {
    let server = ApiServer::start(Options::default());
    run(async {
        let client = client(&server, &Credentials::Nothing).await;
        let reporter = Reporter { controller: "kube-proxy".into(), instance: Some("n".into()) };
        let recorder = Recorder::new(client, reporter);
        let node = ObjectReference {
            kind: Some("Node".into()),
            name: Some("node-1".into()),
            ..ObjectReference::default()
        };
        let news = News {
            type_: EventType::Normal,
            reason: "Starting".into(),
            note: None,
            action: "StartKubeProxy".into(),
            secondary: None,
        };
        for _ in 0..2 {
            recorder.publish(&news, &node).await.unwrap();
        }
    });
    let events = server.objects("events");
    let [event] = &events[..] else { panic!("{events:?}") };
    assert_eq!(event["reason"], "Starting");
    assert_eq!(event["regarding"]["name"], "node-1");
    assert_eq!(event["series"]["count"], 2);
}

#[test]
fn what_is_not_an_object_of_the_path_is_refused() {
    let server = ApiServer::start(Options::default());
    let post = |path: &str, body: &Value| {
        let request = format!("POST {path}");
        let headers = "Content-Type: application/json\r\n";
        crate::raw::ask(server.address(), &request, headers, &body.to_string()).status
    };
    let node = json!({ "kind": "Node", "apiVersion": "v1", "metadata": { "name": "n" } });
    assert_eq!(post("/api/v1/nodes", &node), 201);
    assert_eq!(post("/api/v1/namespaces/default/services", &node), 400);
    assert_eq!(post("/api/v1/nodes", &json!("node")), 400);
    let service = crate::client::service("a", "10.96.0.1");
    assert_eq!(post("/api/v1/namespaces/other/services", &service), 400);
    assert_eq!(post("/api/v1/services", &service), 400);
    assert_eq!(post("/api/v1/namespaces/shop/services", &service), 201);
    run(async {
        let api: Api<Node> = Api::all(client(&server, &Credentials::Nothing).await);
        let patch = Patch::Json::<()>(serde_json::from_value(json!([])).unwrap());
        assert_eq!(code(api.patch("n", &PatchParams::default(), &patch).await), 415);
    });
}
