//! Notices as Events of the cluster (`events.k8s.io/v1`).
//!
//! Every node has the same to say about a Service that cannot be used. So an Event's name follows
//! from what it says: the first node makes it, and the others find that it is there.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use tokio::sync::mpsc::Receiver;
use tracing::{debug, warn};

use super::client::ApiServer;
use super::failure::{Failure, answer};
use crate::notice::{Notice, Reason, Regarding, Said};

/// API servers keep an Event for an hour. Until then it need not be said again.
const KEPT: Duration = Duration::from_secs(3600);

/// So many different Events are made in that time at most.
const LIMIT: usize = 500;

/// All nodes see a Service's fault at once, and one of them is enough to say so.
const SPREAD: Duration = Duration::from_secs(5);

/// What kube-proxy's Events have, which scripts look for.
const CONTROLLER: &str = "kube-proxy";

/// The API server's limit for a note.
const NOTE: usize = 1024;

/// Makes Events of notices, until there are no more.
pub(super) async fn publish(
    server: Arc<ApiServer>,
    node_name: String,
    mut notices: Receiver<Said>,
) {
    let mut memory = Memory::default();
    while let Some(Said { notice, waits }) = notices.recv().await {
        if memory.is_news(&notice, Instant::now()) {
            let made = make(Arc::clone(&server), node_name.clone(), notice);
            tokio::spawn(made.inspect(|()| drop(waits)));
        }
    }
}

async fn make(server: Arc<ApiServer>, node_name: String, notice: Notice) {
    if let Regarding::Service(_) = notice.regarding {
        tokio::time::sleep(SPREAD.mul_f64(fastrand::f64())).await;
    }
    let event = event(&notice, &node_name, Timestamp::now());
    let namespace = event.metadata.namespace.clone().unwrap_or_default();
    let events: Api<Event> = Api::namespaced(server.client(), &namespace);
    match answer(events.create(&PostParams::default(), &event)).await {
        Ok(_) => debug!(reason = notice.reason.name(), "an Event says so"),
        Err(Failure::Request(kube::Error::Api(status))) if status.code == 409 => {}
        Err(failure) => warn!("no Event can be made: {failure}"),
    }
}

/// What was said in the last hour.
#[derive(Debug, Default)]
struct Memory(HashMap<u64, Instant>);

impl Memory {
    fn is_news(&mut self, notice: &Notice, now: Instant) -> bool {
        let hash = hash(notice);
        self.0.retain(|_, said| now.saturating_duration_since(*said) < KEPT);
        if self.0.contains_key(&hash) || self.0.len() >= LIMIT {
            return false;
        }
        self.0.insert(hash, now);
        true
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// The Event that says it.
fn event(notice: &Notice, node_name: &str, now: Timestamp) -> Event {
    let Notice { regarding, reason, note } = notice;
    let (namespace, kind, name) = match regarding {
        // Events about what has no namespace are in this one.
        Regarding::ThisNode => ("default", "Node", node_name),
        Regarding::Service(key) => (key.namespace.as_str(), "Service", key.name.as_str()),
    };
    let is_node = *regarding == Regarding::ThisNode;
    // A start is told each time; anything else once for all who say it.
    let suffix = match reason {
        Reason::Starting => hash(&(notice, now.as_microsecond())),
        _ => hash(notice),
    };
    Event {
        metadata: ObjectMeta {
            namespace: Some(namespace.to_owned()),
            name: Some(format!("{name}.{suffix:016x}")),
            ..ObjectMeta::default()
        },
        event_time: Some(MicroTime(now)),
        action: Some(reason.action().to_owned()),
        reason: Some(reason.name().to_owned()),
        type_: Some(if reason.is_warning() { "Warning" } else { "Normal" }.to_owned()),
        note: Some(shortened(note)),
        regarding: Some(ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some(kind.to_owned()),
            name: Some(name.to_owned()),
            namespace: (!is_node).then(|| namespace.to_owned()),
            // As kubelet and kube-proxy have it, so that `kubectl describe node` finds it.
            uid: is_node.then(|| name.to_owned()),
            ..ObjectReference::default()
        }),
        reporting_controller: Some(CONTROLLER.to_owned()),
        reporting_instance: Some(format!("{CONTROLLER}-{node_name}")),
        ..Event::default()
    }
}

fn shortened(note: &str) -> String {
    let mut end = NOTE.min(note.len());
    while !note.is_char_boundary(end) {
        end -= 1;
    }
    note[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use proxy_core::ServiceKey;

    use super::*;

    fn notice(reason: Reason, note: &str) -> Notice {
        let regarding = match reason {
            Reason::Starting => Regarding::ThisNode,
            _ => Regarding::Service(ServiceKey::new("shop", "web")),
        };
        Notice { regarding, reason, note: note.to_owned() }
    }

    #[test]
    fn nodes_agree_on_an_events_name() {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let of = |node| event(&notice(Reason::InvalidField, "spec.x: bad"), node, now);
        let (one, other) = (of("n1"), of("n2"));
        assert_eq!(one.metadata, other.metadata);
        assert_eq!(one.metadata.namespace.as_deref(), Some("shop"));
        let different = event(&notice(Reason::InvalidField, "spec.y: bad"), "n1", now);
        assert_ne!(one.metadata, different.metadata);
        let regarding = one.regarding.unwrap();
        assert_eq!(regarding.kind.as_deref(), Some("Service"));
        assert_eq!(one.type_.as_deref(), Some("Warning"));
    }

    #[test]
    fn a_start_is_an_event_of_its_own() {
        let at = |second| {
            event(&notice(Reason::Starting, ""), "n1", Timestamp::from_second(second).unwrap())
        };
        assert_ne!(at(1).metadata.name, at(2).metadata.name);
        assert_eq!(at(1).metadata.namespace.as_deref(), Some("default"));
        assert_eq!(at(1).type_.as_deref(), Some("Normal"));
    }

    #[test]
    fn the_same_is_said_once_an_hour() {
        let mut memory = Memory::default();
        let begin = Instant::now();
        let same = notice(Reason::Drift, "a");
        assert!(memory.is_news(&same, begin));
        assert!(!memory.is_news(&same, begin + KEPT / 2));
        assert!(memory.is_news(&notice(Reason::Drift, "b"), begin));
        assert!(memory.is_news(&same, begin + KEPT));
        for number in 0..2 * LIMIT {
            let _ = memory.is_news(&notice(Reason::Drift, &number.to_string()), begin + KEPT);
        }
        assert_eq!(memory.0.len(), LIMIT);
    }

    #[test]
    fn a_note_is_never_too_long() {
        assert_eq!(shortened("short"), "short");
        assert_eq!(shortened(&"é".repeat(NOTE)).len(), NOTE);
        assert_eq!(shortened(&format!("a{}", "é".repeat(NOTE))).len(), NOTE - 1);
    }
}
