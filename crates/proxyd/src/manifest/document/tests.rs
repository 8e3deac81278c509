use super::*;

/// What is in a text, as `Service web, Node n1`.
#[track_caller]
fn check(text: &str, format: Format, expected: &str) -> Contents {
    let contents = read(text, format).unwrap_or_else(|fault| panic!("{fault:?} in {text}"));
    let shown: Vec<_> = contents
        .objects
        .iter()
        .map(|object| {
            let (kind, metadata) = match object {
                Object::Service(service) => ("Service", &service.metadata),
                Object::Slice(slice) => ("EndpointSlice", &slice.metadata),
                Object::Node(node) => ("Node", &node.metadata),
            };
            format!("{kind} {}", metadata.name.as_deref().unwrap())
        })
        .collect();
    assert_eq!(shown.join(", "), expected, "{text}");
    contents
}

#[track_caller]
fn check_fault(text: &str, format: Format, line: u64, column: u64, part: &str) {
    let fault = read(text, format).expect_err("it is not well formed");
    assert!(fault.reason.contains(part), "{fault:?} does not say {part:?}");
    assert_eq!((fault.line, fault.column), (line, column), "{fault:?}");
}

#[test]
fn yaml_has_any_number_of_documents() {
    check("", Format::Yaml, "");
    check("# nothing\n", Format::Yaml, "");
    check("---\n---\n# nothing\n", Format::Yaml, "");
    check("kind: Node\nmetadata: {name: n1}\n", Format::Yaml, "Node n1");
    let two = "# a comment\n---\nkind: Node\nmetadata: {name: n1}\n--- # next\nkind: Service\nmetadata:\n  name: web\n";
    check(two, Format::Yaml, "Node n1, Service web");
    check("%YAML 1.2\n---\nkind: Node\nmetadata: {name: n1}\n...\n", Format::Yaml, "Node n1");
    check(
        "kind: Node\r\nmetadata: {name: n1}\r\n---\r\nkind: Node\r\nmetadata: {name: n2}\r\n",
        Format::Yaml,
        "Node n1, Node n2",
    );
}

#[test]
fn json_has_any_number_of_documents() {
    check(r#"{"kind": "Node", "metadata": {"name": "n1"}}"#, Format::Json, "Node n1");
    let two = "{\"kind\": \"Node\", \"metadata\": {\"name\": \"n1\"}}\n{\"kind\": \"Node\",\n\t\"metadata\": {\"name\": \"n2\"}}\n";
    check(two, Format::Json, "Node n1, Node n2");
    check(two.lines().next().unwrap(), Format::Yaml, "Node n1");
    check("", Format::Json, "");
}

#[test]
fn a_kind_may_come_last() {
    let slice = "addressType: IPv4\napiVersion: discovery.k8s.io/v1\nendpoints: []\nkind: EndpointSlice\nmetadata: {name: a}\n";
    check(slice, Format::Yaml, "EndpointSlice a");
}

#[test]
fn lists_hold_objects_of_any_kind() {
    let list = "apiVersion: v1\nitems:\n- {apiVersion: v1, kind: Service, metadata: {name: web}}\n- {apiVersion: apps/v1, kind: Deployment, spec: {ports: 3}}\n- {kind: Node, metadata: {name: n1}}\nkind: List\n";
    check(list, Format::Yaml, "Service web, Node n1");
    let typed = r#"{"kind": "EndpointSliceList", "apiVersion": "discovery.k8s.io/v1", "metadata": {}, "items": [{"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}]}"#;
    check(typed, Format::Json, "EndpointSlice a, EndpointSlice b");
    check(
        "{kind: ServiceList, apiVersion: v1, items: [{metadata: {name: web}}]}",
        Format::Yaml,
        "Service web",
    );
    check("{kind: NodeList, items: [{metadata: {name: n1}}]}", Format::Yaml, "Node n1");
    check("{kind: List, apiVersion: v1, items: null}", Format::Yaml, "");
    check("{kind: List, apiVersion: v1}", Format::Yaml, "");
    check(
        "{kind: List, items: [{kind: List, items: [{kind: Node, metadata: {name: n1}}]}]}",
        Format::Yaml,
        "Node n1",
    );
}

#[test]
fn objects_of_other_kinds_are_skipped_whatever_they_hold() {
    check("{apiVersion: apps/v1, kind: Deployment, spec: [1], metadata: 7}", Format::Yaml, "");
    check("{apiVersion: serving.knative.dev/v1, kind: Service, spec: [1]}", Format::Yaml, "");
    check("{apiVersion: example.com/v1, kind: Box, items: none}", Format::Yaml, "");
    check("{apiVersion: example.com/v1, kind: BoxList, items: {a: b}}", Format::Yaml, "");
}

#[test]
fn what_is_no_api_object_is_noticed() {
    let contents = check(
        "resources:\n- web.yaml\n---\nkind: Node\nmetadata: {name: n1}\n",
        Format::Yaml,
        "Node n1",
    );
    assert_eq!(contents.strangers, [1]);
}

#[test]
fn texts_stay_texts() {
    let contents = check(
        "kind: Service\nmetadata:\n  name: 7\n  annotations: {proxyd/vip: no, other: 1}\nspec: {clusterIP: None}\n",
        Format::Yaml,
        "Service 7",
    );
    let Object::Service(service) = &contents.objects[0] else { panic!("no Service") };
    assert_eq!(service.spec.cluster_ip.as_deref(), Some("None"));
    assert_eq!(service.metadata.annotations["proxyd/vip"], "no");
}

#[test]
fn a_fault_has_its_place_in_the_file() {
    let good = "kind: Node\nmetadata: {name: n1}\n---\n";
    check_fault("kind: Service\nmetadata: {name: web\n", Format::Yaml, 2, 11, "unclosed bracket");
    check_fault(
        &format!(
            "{good}kind: Service\nmetadata: {{name: web}}\nspec:\n  ports:\n  - port: eighty\n"
        ),
        Format::Yaml,
        8,
        5,
        "",
    );
    check_fault("{\"kind\": \"Service\",\n \"spec\": }", Format::Json, 2, 10, "expected value");
    check_fault(
        "{\"kind\": \"Box\"}\n{\"kind\": \"Service\",\n \"spec\": {\"ports\": 3}}",
        Format::Json,
        3,
        20,
        "invalid type",
    );
    check_fault("{\"kind\": \"Service\"", Format::Json, 1, 18, "EOF");
}

#[test]
fn what_an_interrupted_write_leaves_is_a_fault() {
    check_fault("apiVer", Format::Yaml, 1, 1, "is not an object");
    check_fault("apiVersion: v1\n", Format::Yaml, 1, 1, "has no kind");
    check_fault("apiVersion: v1\nkind: Service\n", Format::Yaml, 1, 1, "has no metadata.name");
    check_fault("- a\n- b\n", Format::Yaml, 1, 1, "is not an object");
    check_fault("3", Format::Json, 1, 1, "is not an object");
}

#[test]
fn an_object_without_a_name_before_others_is_no_sign_of_an_interrupted_write() {
    let text = "kind: Service\n---\nkind: Node\nmetadata: {name: n1}\n";
    assert_eq!(read(text, Format::Yaml).unwrap().objects.len(), 2);
}

#[test]
fn a_key_given_twice_is_a_fault() {
    check_fault(
        "kind: Service\nmetadata: {name: web}\nspec:\n  clusterIP: a\n  clusterIP: b\n",
        Format::Yaml,
        5,
        3,
        "uplicate",
    );
}

#[test]
fn a_list_can_be_large() {
    let item = "- {kind: Node, metadata: {name: n1, labels: {a: b, c: d, e: f}}}\n";
    let text = format!("kind: List\nitems:\n{}", item.repeat(20_000));
    assert_eq!(read(&text, Format::Yaml).unwrap().objects.len(), 20_000);
}
