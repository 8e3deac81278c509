//! Objects, by the handle.

use serde_json::Value;

use super::{ApiServer, Backup};
use crate::apiserver::kind::{KINDS, Kind};
use crate::apiserver::object::Key;
use crate::apiserver::objects::read_objects;
use crate::apiserver::selector::Selector;
use crate::apiserver::shared::now;
use crate::apiserver::status::Refusal;
use crate::apiserver::store::{Range, Writing};

impl ApiServer {
    /// Makes or replaces an object, status and all. Returns the revision of the object.
    ///
    /// # Errors
    /// When it is no object of a resource that is served.
    pub fn try_apply(&self, object: &Value) -> Result<u64, Refusal> {
        let written = self.put(object);
        self.shared.announce();
        written
    }

    fn put(&self, object: &Value) -> Result<u64, Refusal> {
        let unknown = || {
            let (version, kind) = (&object["apiVersion"], &object["kind"]);
            Refusal::bad_request(format!("no matches for kind {kind} in version {version}"))
        };
        let kind = Kind::of_object(object).ok_or_else(unknown)?;
        let name = object["metadata"]["name"].as_str();
        let name = name.ok_or_else(|| Refusal::bad_request("name is required"))?;
        let namespace = object["metadata"]["namespace"].as_str();
        let key = key(kind, namespace.unwrap_or("default"), name);
        let written = self.shared.store().put(kind, key, object, Writing { now: &now() });
        Ok(written.revision)
    }

    /// Makes or replaces an object, status and all. Returns the revision of the object.
    ///
    /// # Panics
    /// When it is no object of a resource that is served.
    pub fn apply(&self, object: &Value) -> u64 {
        self.try_apply(object).unwrap_or_else(|refusal| panic!("{}: {object}", refusal.message))
    }

    /// Makes or replaces many objects; watches hear of them at the end.
    ///
    /// # Panics
    /// When one is no object of a resource that is served.
    pub fn apply_all(&self, objects: impl IntoIterator<Item = Value>) {
        for object in objects {
            self.put(&object).unwrap_or_else(|refusal| panic!("{}: {object}", refusal.message));
        }
        self.shared.announce();
    }

    /// Makes or replaces the objects of a text in YAML, with `---` in between, or in lists.
    ///
    /// # Panics
    /// When it is not YAML, or not of objects that are served.
    pub fn apply_yaml(&self, text: &str) {
        self.apply_all(read_objects(text).expect("it is YAML"));
    }

    /// Removes an object, `services` or `endpointslices` or the like. Says whether it was there.
    ///
    /// # Panics
    /// When no such resource is served.
    pub fn delete(&self, resource: &str, namespace: &str, name: &str) -> bool {
        let kind = by_name(resource);
        let removed = self.shared.store().remove(kind, &key(kind, namespace, name));
        self.shared.announce();
        removed.is_some()
    }

    /// One object, as it would be read.
    ///
    /// # Panics
    /// When no such resource is served.
    #[must_use]
    pub fn object(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        let kind = by_name(resource);
        let store = self.shared.store();
        store.get(kind, &key(kind, namespace, name)).map(|object| object.value(kind))
    }

    /// All objects of a resource. Events are in the form of `events.k8s.io`.
    ///
    /// # Panics
    /// When no such resource is served.
    #[must_use]
    pub fn objects(&self, resource: &str) -> Vec<Value> {
        let kind = by_name(resource);
        let store = self.shared.store();
        let everything = Range { namespace: String::new(), selector: Selector::default() };
        let page = store.list(kind, &everything, store.revision(), None, 0);
        let objects = page.expect("the current revision does not expire").objects;
        objects.iter().map(|object| object.value(kind)).collect()
    }

    /// How many objects of a resource there are.
    ///
    /// # Panics
    /// When no such resource is served.
    #[must_use]
    pub fn count(&self, resource: &str) -> usize {
        self.shared.store().count(by_name(resource))
    }

    /// The revision of the latest change.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.shared.store().revision()
    }

    /// What is there now.
    #[must_use]
    pub fn backup(&self) -> Backup {
        Backup(self.shared.store().clone())
    }

    /// Goes back to a backup, as when etcd is restored and servers are started again: the revision
    /// is lower, there is no history, and every connection was cut.
    pub fn restore(&self, backup: &Backup) {
        self.shared.store().restore(&backup.0);
        self.cut_connections();
    }

    /// Forgets what changed so far: who asks for an older revision is told that it expired.
    pub fn drop_history(&self) {
        self.shared.store().forget_history();
        self.shared.announce();
    }
}

/// A resource by its plural; of Events the newer one.
fn by_name(resource: &str) -> &'static Kind {
    let kind = KINDS.iter().rev().find(|kind| kind.plural == resource);
    kind.unwrap_or_else(|| panic!("no resource {resource} is served"))
}

fn key(kind: &Kind, namespace: &str, name: &str) -> Key {
    let namespace = if kind.namespaced { namespace } else { "" };
    Key { namespace: namespace.to_owned(), name: name.to_owned() }
}
