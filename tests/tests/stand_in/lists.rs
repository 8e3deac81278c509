//! Reading objects: one, all, in parts, as of a revision, selected.

use serde_json::{Value, json};
use tests::apiserver::{ApiServer, Options};

use crate::client::service;
use crate::raw::get;

const SERVICES: &str = "/api/v1/services";

/// A server with Services `a`, `b` and `c`, of revisions 2, 3 and 4.
fn abc() -> ApiServer {
    let server = ApiServer::start(Options::default());
    for (name, ip) in [("a", "10.96.0.1"), ("b", "10.96.0.2"), ("c", "None")] {
        server.apply(&service(name, ip));
    }
    server
}

fn names(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().unwrap();
    items.iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect()
}

/// The HTTP status of an answer, with the reason of a refusal or the names of a list.
#[track_caller]
fn check(server: &ApiServer, query: &str, expected: (u16, &str)) {
    let answer = get(server, &format!("{SERVICES}{query}"));
    let (status, object) = (answer.status, answer.json());
    let said = match object["reason"].as_str() {
        Some(reason) => reason.to_owned(),
        None => names(&object).join(" "),
    };
    assert_eq!((status, &said[..]), expected, "{query}: {object}");
}

#[test]
fn an_object_has_what_the_server_gives_it() {
    let server = abc();
    let object = get(&server, "/api/v1/namespaces/shop/services/a").json();
    let metadata = &object["metadata"];
    assert_eq!(object["kind"], "Service");
    assert_eq!(object["apiVersion"], "v1");
    assert_eq!(metadata["resourceVersion"], "2");
    assert_eq!(metadata["uid"].as_str().unwrap().len(), 36);
    assert!(metadata["creationTimestamp"].as_str().unwrap().ends_with('Z'));
    assert_eq!(metadata["generation"], Value::Null);
    server.apply(&service("a", "10.96.0.7"));
    let changed = server.object("services", "shop", "a").unwrap();
    assert_eq!(changed["metadata"]["uid"], metadata["uid"]);
    assert_eq!(changed["metadata"]["resourceVersion"], "5");
    assert_eq!(changed["spec"]["clusterIP"], "10.96.0.7");
    // Writing what is there changes nothing.
    assert_eq!(server.apply(&service("a", "10.96.0.7")), 5);
    assert_eq!(server.revision(), 5);
}

#[test]
fn generations_of_slices_count_what_is_not_metadata() {
    let server = abc();
    let mut slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": { "name": "a", "namespace": "shop" }, "addressType": "IPv4", "endpoints": [],
    });
    let generation = |slice: &Value| {
        server.apply(slice);
        let slice = server.object("endpointslices", "shop", "a").unwrap();
        slice["metadata"]["generation"].as_i64().unwrap()
    };
    assert_eq!(generation(&slice), 1);
    slice["endpoints"] = json!([{ "addresses": ["10.1.1.1"] }]);
    assert_eq!(generation(&slice), 2);
    slice["metadata"]["annotations"] = json!({ "a": "b" });
    assert_eq!(generation(&slice), 2);
}

#[test]
fn a_list_has_items_without_kinds() {
    let list = get(&abc(), SERVICES).json();
    assert_eq!(list["kind"], "ServiceList");
    assert_eq!(list["apiVersion"], "v1");
    assert_eq!(list["metadata"], json!({ "resourceVersion": "4" }));
    assert_eq!(names(&list), ["a", "b", "c"]);
    assert_eq!(list["items"][0]["kind"], Value::Null);
}

#[test]
fn what_is_selected_is_listed() {
    let server = abc();
    check(&server, "?labelSelector=app%20in%20(a,c)", (200, "a c"));
    check(&server, "?labelSelector=!app", (200, ""));
    check(&server, "?fieldSelector=spec.clusterIP!%3DNone", (200, "a b"));
    check(&server, "?fieldSelector=metadata.name%3Db", (200, "b"));
    check(&server, "?fieldSelector=spec.ports%3D80", (400, "BadRequest"));
    let of = |namespace: &str| {
        let list = get(&server, &format!("/api/v1/namespaces/{namespace}/services")).json();
        names(&list).len()
    };
    assert_eq!((of("shop"), of("sho"), of("shop2")), (3, 0, 0));
}

#[test]
fn a_list_in_parts_is_of_one_revision() {
    let server = abc();
    let first = get(&server, &format!("{SERVICES}?limit=2")).json();
    assert_eq!(names(&first), ["a", "b"]);
    assert_eq!(first["metadata"]["remainingItemCount"], 1);
    server.delete("services", "shop", "c");
    server.apply(&service("d", "10.96.0.4"));
    let token = first["metadata"]["continue"].as_str().unwrap();
    let token = form_urlencoded::byte_serialize(token.as_bytes()).collect::<String>();
    let next = format!("?limit=2&continue={token}");
    let second = get(&server, &format!("{SERVICES}{next}")).json();
    assert_eq!(names(&second), ["c"]);
    assert_eq!(second["metadata"], json!({ "resourceVersion": "4" }));
    check(&server, "", (200, "a b d"));
    server.drop_history();
    check(&server, &next, (410, "Expired"));
    check(&server, "?limit=2&continue=nonsense", (400, "BadRequest"));
}

#[test]
fn a_list_is_as_old_as_it_is_asked_for() {
    let server = abc();
    check(&server, "?resourceVersion=0", (200, "a b c"));
    check(&server, "?resourceVersion=0&limit=1", (200, "a b c"));
    check(&server, "?resourceVersion=3", (200, "a b c"));
    check(&server, "?resourceVersion=3&resourceVersionMatch=NotOlderThan", (200, "a b c"));
    check(&server, "?resourceVersion=3&resourceVersionMatch=Exact", (200, "a b"));
    check(&server, "?resourceVersion=3&limit=5", (200, "a b"));
    check(&server, "?resourceVersion=5", (504, "Timeout"));
    check(&server, "?resourceVersion=x", (400, "BadRequest"));
    check(&server, "?resourceVersionMatch=Exact", (422, "Invalid"));
    check(&server, "?resourceVersion=0&resourceVersionMatch=Exact", (422, "Invalid"));
    check(&server, "?sendInitialEvents=true", (422, "Invalid"));
    server.drop_history();
    check(&server, "?resourceVersion=3&resourceVersionMatch=Exact", (410, "Expired"));
}

#[test]
fn what_is_not_there_is_not_found() {
    let server = abc();
    let answer = get(&server, "/api/v1/namespaces/shop/services/z");
    assert_eq!(answer.status, 404);
    let expected = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "services \"z\" not found", "reason": "NotFound",
        "details": { "name": "z", "kind": "services" }, "code": 404,
    });
    assert_eq!(answer.json(), expected);
    let answer = get(&server, "/apis/apps/v1/deployments");
    assert_eq!((answer.status, &answer.text()[..]), (404, "404 page not found\n"));
}

#[test]
fn a_long_list_is_whole() {
    let server = ApiServer::start(Options::default());
    let services = (0..3_000).map(|number| service(&format!("app-{number:04}"), "10.96.0.1"));
    server.apply_all(services);
    let list = get(&server, SERVICES).json();
    assert_eq!(names(&list).len(), 3_000);
    assert_eq!(names(&list)[2_999], "app-2999");
}
