//! Requests that change objects.

use hyper::body::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use super::answer::{AnyBody, json as answer_json, whole};
use super::event::faults;
use super::kind::Kind;
use super::object::Key;
use super::request::{Asked, Verb};
use super::shared::{Shared, now};
use super::status::Refusal;
use super::store::{Store, Writing};

/// Carries out a request that changes an object.
pub(super) fn write(
    shared: &Shared,
    asked: &Asked,
    head: &Parts,
    body: &Bytes,
) -> Result<Response<AnyBody>, Refusal> {
    let mut store = shared.store();
    let response = match asked.verb {
        Verb::Create => create(&mut store, asked, &read(body)?),
        Verb::Update => update(&mut store, asked, &read(body)?),
        Verb::Patch => patch(&mut store, asked, head, &read(body)?),
        _ => delete(&mut store, asked),
    };
    drop(store);
    shared.announce();
    response
}

fn read(body: &Bytes) -> Result<Value, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::bad_request(error.to_string()))
}

fn create(store: &mut Store, asked: &Asked, given: &Value) -> Result<Response<AnyBody>, Refusal> {
    check_kind(asked, given)?;
    let metadata = &given["metadata"];
    let name = match (metadata["name"].as_str(), metadata["generateName"].as_str()) {
        (Some(name), _) if !name.is_empty() => name.to_owned(),
        (_, Some(prefix)) => format!("{prefix}{:05x}", store.revision()),
        _ => return Err(Refusal::bad_request("name or generateName is required")),
    };
    let key = Key { namespace: asked.namespace.clone(), name };
    check_namespace(asked, given)?;
    if store.get(asked.kind, &key).is_some() {
        return Err(Refusal::already_exists(asked.kind, &key.name));
    }
    check_event(asked, &key, None, given)?;
    let object = store.put(asked.kind, key, given, Writing { now: &now() });
    Ok(whole(StatusCode::CREATED, asked.kind, &object))
}

fn update(store: &mut Store, asked: &Asked, given: &Value) -> Result<Response<AnyBody>, Refusal> {
    check_kind(asked, given)?;
    check_namespace(asked, given)?;
    let key = asked.key();
    let before = store.get(asked.kind, &key);
    let before = before.ok_or_else(|| Refusal::not_found(asked.kind, &key.name))?;
    let wanted = given["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    if !wanted.is_empty() && wanted != before.revision.to_string() {
        return Err(Refusal::conflict(asked.kind, &key.name));
    }
    check_event(asked, &key, Some(&before.value(asked.kind)), given)?;
    let object = store.put(asked.kind, key, given, Writing { now: &now() });
    Ok(whole(StatusCode::OK, asked.kind, &object))
}

fn patch(
    store: &mut Store,
    asked: &Asked,
    head: &Parts,
    patch: &Value,
) -> Result<Response<AnyBody>, Refusal> {
    let format = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let format = format.unwrap_or_default().split(';').next().unwrap_or_default();
    let key = asked.key();
    let before = store.get(asked.kind, &key);
    let before = before.ok_or_else(|| Refusal::not_found(asked.kind, &key.name))?;
    let unpatched = before.value(asked.kind);
    let mut object = unpatched.clone();
    match format {
        "application/merge-patch+json" => merge(&mut object, patch),
        // Without directives, and for fields that are not lists of keyed things, it is the same.
        "application/strategic-merge-patch+json" if !has_directives(patch) => {
            merge(&mut object, patch);
        }
        given => return Err(Refusal::unsupported_media_type(given)),
    }
    let wanted = patch["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    if !wanted.is_empty() && wanted != before.revision.to_string() {
        return Err(Refusal::conflict(asked.kind, &key.name));
    }
    check_event(asked, &key, Some(&unpatched), &object)?;
    let object = store.put(asked.kind, key, &object, Writing { now: &now() });
    Ok(whole(StatusCode::OK, asked.kind, &object))
}

fn delete(store: &mut Store, asked: &Asked) -> Result<Response<AnyBody>, Refusal> {
    let key = asked.key();
    let removed = store.remove(asked.kind, &key);
    let removed = removed.ok_or_else(|| Refusal::not_found(asked.kind, &key.name))?;
    let uid = removed.value(asked.kind)["metadata"]["uid"].clone();
    let details = json!({ "name": key.name, "kind": asked.kind.plural, "uid": uid });
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": details,
    });
    Ok(answer_json(StatusCode::OK, &status))
}

/// Applies a merge patch (RFC 7386).
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in patch {
        match value {
            Value::Null => {
                target.as_object_mut().expect("it is an object now").remove(name);
            }
            value => merge(&mut target[name], value),
        }
    }
}

fn has_directives(patch: &Value) -> bool {
    match patch {
        Value::Object(fields) => {
            fields.iter().any(|(name, value)| name.starts_with('$') || has_directives(value))
        }
        Value::Array(items) => items.iter().any(Value::is_object),
        _ => false,
    }
}

/// Events are the only objects that are validated: they are what a node proxy writes.
fn check_event(
    asked: &Asked,
    key: &Key,
    before: Option<&Value>,
    after: &Value,
) -> Result<(), Refusal> {
    if asked.kind.kind != "Event" {
        return Ok(());
    }
    let mut after = after.clone();
    after["metadata"]["namespace"] = key.namespace.clone().into();
    match &faults(asked.kind, before, &after)[..] {
        [] => Ok(()),
        faults => Err(Refusal::invalid_object(asked.kind, &key.name, faults)),
    }
}

fn check_kind(asked: &Asked, given: &Value) -> Result<(), Refusal> {
    let is_kind = |kind: &Kind| std::ptr::eq(kind, asked.kind);
    if Kind::of_object(given).is_some_and(is_kind) {
        return Ok(());
    }
    let (kind, version) = (asked.kind.kind, asked.kind.api_version());
    let message = format!("the object provided is not a {kind} of version {version}");
    Err(Refusal::bad_request(message))
}

fn check_namespace(asked: &Asked, given: &Value) -> Result<(), Refusal> {
    if asked.kind.namespaced && asked.namespace.is_empty() {
        let message = "an empty namespace may not be set during creation";
        return Err(Refusal::bad_request(message));
    }
    let given = given["metadata"]["namespace"].as_str().unwrap_or_default();
    if given.is_empty() || given == asked.namespace {
        return Ok(());
    }
    let message = "the namespace of the provided object does not match the namespace sent on the \
                   request";
    Err(Refusal::bad_request(message))
}
