//! The objects of the cluster, as the API server keeps them, and the events that tell of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use proxy_core::{Event, Interner, Name, ObjectKey, ObjectRef, Rejection, Warning};

use super::step::Object;

/// The node that decides in every story.
pub(crate) const NODE: &str = "n1";

/// Every object, by reference. What a process is told that starts.
#[derive(Default)]
pub(crate) struct Objects {
    names: Interner,
    events: BTreeMap<ObjectRef, Vec<Event>>,
}

/// What there is to say about an object that was taken in.
pub(crate) struct Taken {
    pub(crate) events: Vec<Event>,
    pub(crate) rejections: Vec<Rejection>,
    pub(crate) warnings: Vec<Warning>,
}

impl Objects {
    /// Creates or changes an object. One that is of no use to a proxy, or became so, is gone for it.
    pub(crate) fn take(&mut self, object: &Object) -> Taken {
        let names = &mut self.names;
        let (reference, events, rejections, warnings) = match object {
            Object::Service(service) => {
                let parsed = service.parse(names);
                let events = parsed.value.map(|value| vec![Event::Service(Arc::new(value))]);
                let reference = ObjectRef::Service(service.key(names));
                (reference, events, parsed.rejections, parsed.warnings)
            }
            Object::Slice(slice) => {
                let parsed = slice.parse(names);
                let events = parsed.value.map(|value| vec![Event::Slice(Arc::new(value))]);
                let reference = ObjectRef::EndpointSlice(slice.key(names));
                (reference, events, parsed.rejections, parsed.warnings)
            }
            Object::Node(node) => {
                let parsed = node.parse(names);
                let events = parsed.value.map(|value| {
                    let addresses = value.addresses.clone();
                    let is_ours = *value.name == *NODE;
                    let node = Event::Node(Arc::new(value));
                    // The node serves node ports on the addresses of its object.
                    let own = is_ours.then_some(Event::NodePortAddresses(addresses));
                    std::iter::once(node).chain(own).collect()
                });
                let reference = ObjectRef::Node(node.key(names).to_string());
                (reference, events, parsed.rejections, parsed.warnings)
            }
        };
        let events = match events {
            Some(events) => {
                self.events.insert(reference, events.clone());
                events
            }
            None => self.remove(&reference),
        };
        Taken { events, rejections, warnings }
    }

    /// Deletes the object that is written `Service default/web`, `EndpointSlice default/web-1` or
    /// `Node n2`.
    pub(crate) fn delete(&mut self, text: &str) -> Vec<Event> {
        let (kind, name) = text.split_once(' ').expect("KIND NAME");
        let key = |text: &str| {
            let (namespace, name) = text.split_once('/').expect("NAMESPACE/NAME");
            ObjectKey::new(namespace, name)
        };
        let reference = match kind {
            "Service" => ObjectRef::Service(key(name)),
            "EndpointSlice" => ObjectRef::EndpointSlice(key(name)),
            "Node" => ObjectRef::Node(name.to_owned()),
            _ => panic!("{kind} is no kind of object"),
        };
        assert!(self.events.contains_key(&reference), "there is no {text} to delete");
        self.remove(&reference)
    }

    fn remove(&mut self, reference: &ObjectRef) -> Vec<Event> {
        self.events.remove(reference);
        vec![match reference {
            ObjectRef::Service(key) => Event::ServiceRemoved(key.clone()),
            ObjectRef::EndpointSlice(key) => Event::SliceRemoved(key.clone()),
            ObjectRef::Node(name) => Event::NodeRemoved(Name::from(name.as_str())),
        }]
    }

    /// What tells of every object.
    pub(crate) fn all(&self) -> impl Iterator<Item = Event> {
        self.events.values().flatten().cloned()
    }
}
