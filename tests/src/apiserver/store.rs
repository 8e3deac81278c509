//! What the cluster has, and a bounded history of what changed: the part of etcd and of the
//! server's watch cache.
//!
//! There is one revision over all resources, and every change takes the next. The history of a
//! resource goes back to a *horizon*: who asks for an older revision is told that it expired.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, OnceLock};

use hyper::body::Bytes;
use serde_json::Value;

use super::event::{converted, twin};
use super::kind::{KINDS, Kind};
use super::object::{Key, Object, Stamp};
use super::selector::Selector;

/// All objects with their history.
#[derive(Clone, Debug)]
pub(super) struct Store {
    revision: u64,
    /// One for each of [`KINDS`].
    tables: Vec<Table>,
    /// Changes that are remembered, a resource.
    capacity: usize,
    /// Objects that were ever made: no UID comes twice.
    made: u64,
}

#[derive(Clone, Debug, Default)]
struct Table {
    objects: BTreeMap<Key, Arc<Object>>,
    changes: VecDeque<Arc<Change>>,
    /// Changes up to this revision are not remembered.
    horizon: u64,
}

/// One object was made, replaced or removed.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) revision: u64,
    before: Option<Arc<Object>>,
    after: Option<Arc<Object>>,
    /// Lines of the watch, each encoded once for all watchers.
    lines: [OnceLock<Bytes>; 3],
}

/// What a watch tells of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Added,
    Modified,
    Deleted,
}

/// A part of a list.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) objects: Vec<Arc<Object>>,
    /// Where the next part begins, when there is one.
    pub(super) next: Option<Key>,
    /// Objects after this part; known only where no selector is in the way.
    pub(super) remaining: Option<usize>,
}

/// What is asked of a list.
#[derive(Clone, Debug)]
pub(super) struct Range {
    /// "" is all of them.
    pub(super) namespace: String,
    pub(super) selector: Selector,
}

/// The revision is older than the history, which goes back to `horizon`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expired {
    pub(super) horizon: u64,
}

/// The server's own part of an object that is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Writing<'a> {
    /// Time of writing, as objects have it.
    pub(super) now: &'a str,
}

impl Store {
    /// An empty cluster that remembers up to `capacity` changes of each resource.
    pub(super) fn new(capacity: usize) -> Self {
        let tables = KINDS.iter().map(|_| Table::default()).collect();
        Self { revision: 1, tables, capacity, made: 0 }
    }

    /// The revision of the latest change.
    pub(super) const fn revision(&self) -> u64 {
        self.revision
    }

    /// One object.
    pub(super) fn get(&self, kind: &Kind, key: &Key) -> Option<&Arc<Object>> {
        self.table(kind).objects.get(key)
    }

    /// How many objects there are.
    pub(super) fn count(&self, kind: &Kind) -> usize {
        self.table(kind).objects.len()
    }

    /// Makes or replaces an object. Without a difference nothing changes, not even the revision.
    pub(super) fn put(
        &mut self,
        kind: &'static Kind,
        key: Key,
        content: &Value,
        writing: Writing<'_>,
    ) -> Arc<Object> {
        let before = self.get(kind, &key).cloned();
        let stamp = self.stamp(kind, before.as_deref(), content, writing);
        let after = Arc::new(Object::new(kind, key, content, &stamp, self.revision + 1));
        if let Some(before) = &before
            && before.same_content(&after)
        {
            return Arc::clone(before);
        }
        self.revision += 1;
        self.record(kind, before, Some(Arc::clone(&after)));
        if let Some(twin) = twin(kind) {
            let before = self.get(twin, &after.key).cloned();
            let (key, content) = (after.key.clone(), converted(kind, content));
            let after = Object::new(twin, key, &content, &stamp, self.revision);
            self.record(twin, before, Some(Arc::new(after)));
        }
        after
    }

    /// Removes an object. Returns what it was, with the revision of its removal.
    pub(super) fn remove(&mut self, kind: &'static Kind, key: &Key) -> Option<Arc<Object>> {
        let before = self.get(kind, key).cloned()?;
        self.revision += 1;
        self.record(kind, Some(Arc::clone(&before)), None);
        if let Some(twin) = twin(kind) {
            let before = self.get(twin, key).cloned();
            self.record(twin, before, None);
        }
        Some(Arc::new(before.at(self.revision)))
    }

    fn stamp(
        &mut self,
        kind: &Kind,
        before: Option<&Object>,
        content: &Value,
        writing: Writing<'_>,
    ) -> Stamp {
        let Some(before) = before else {
            self.made += 1;
            let uid = format!("00000000-0000-4000-8000-{:012x}", self.made);
            let generation = kind.counts_generations.then_some(1);
            return Stamp { uid, created: writing.now.to_owned(), generation };
        };
        let before = before.value(kind);
        let metadata = &before["metadata"];
        let text = |name: &str| metadata[name].as_str().unwrap_or_default().to_owned();
        let next = i64::from(wanted_differs(&before, content));
        let generation = metadata["generation"].as_i64().map(|generation| generation + next);
        Stamp { uid: text("uid"), created: text("creationTimestamp"), generation }
    }

    /// Takes in a change of this revision.
    fn record(&mut self, kind: &Kind, before: Option<Arc<Object>>, after: Option<Arc<Object>>) {
        let table = &mut self.tables[kind.index()];
        match (&before, &after) {
            (_, Some(object)) => {
                table.objects.insert(object.key.clone(), Arc::clone(object));
            }
            (Some(object), None) => {
                table.objects.remove(&object.key);
            }
            (None, None) => {}
        }
        let lines = Default::default();
        table.changes.push_back(Arc::new(Change { revision: self.revision, before, after, lines }));
        while table.changes.len() > self.capacity {
            if let Some(change) = table.changes.pop_front() {
                table.horizon = change.revision;
            }
        }
    }

    /// Forgets what changed; what is there stays.
    pub(super) fn forget_history(&mut self) {
        for table in &mut self.tables {
            table.changes.clear();
            table.horizon = self.revision;
        }
    }

    /// Goes back to how things were in `backup`, revision included, without any history. UIDs go on.
    pub(super) fn restore(&mut self, backup: &Self) {
        let made = self.made;
        *self = backup.clone();
        self.made = made;
        self.forget_history();
    }

    /// Changes of a resource after `revision`, from the oldest; at most `limit`.
    pub(super) fn changes(
        &self,
        kind: &Kind,
        revision: u64,
        limit: usize,
    ) -> Result<impl Iterator<Item = &Arc<Change>>, Expired> {
        let table = self.table(kind);
        if revision < table.horizon {
            return Err(Expired { horizon: table.horizon });
        }
        let first = table.changes.partition_point(|change| change.revision <= revision);
        Ok(table.changes.range(first..).take(limit))
    }

    /// Objects as of `revision`, which is not in the future, in the order of their keys; from
    /// `start` on; at most `limit` (0: all).
    pub(super) fn list(
        &self,
        kind: &Kind,
        range: &Range,
        revision: u64,
        start: Option<&Key>,
        limit: usize,
    ) -> Result<Page, Expired> {
        let mut undone = BTreeMap::new();
        for change in self.changes(kind, revision, usize::MAX)? {
            undone.entry(change.key()).or_insert(change.before.as_ref());
        }
        let begin = Key { namespace: range.namespace.clone(), name: String::new() };
        let bound = Bound::Included(start.unwrap_or(&begin));
        let now = self.table(kind).objects.range::<Key, _>((bound, Bound::Unbounded));
        if undone.is_empty() {
            return Ok(page(now.map(|(_, object)| object), range, limit));
        }
        let mut then: BTreeMap<&Key, &Arc<Object>> = now.collect();
        for (key, object) in undone.range::<Key, _>((bound, Bound::Unbounded)) {
            match object {
                Some(object) => then.insert(key, object),
                None => then.remove(key),
            };
        }
        Ok(page(then.into_values(), range, limit))
    }

    fn table(&self, kind: &Kind) -> &Table {
        &self.tables[kind.index()]
    }
}

/// The first objects of `all` that are in `range`.
fn page<'a>(all: impl Iterator<Item = &'a Arc<Object>>, range: &Range, limit: usize) -> Page {
    let limit = if limit == 0 { usize::MAX } else { limit };
    let anywhere = range.namespace.is_empty();
    let mut all = all.take_while(|object| anywhere || object.key.namespace == range.namespace);
    let mut objects = Vec::new();
    while objects.len() < limit {
        match all.next() {
            Some(object) if range.selector.matches(object) => objects.push(Arc::clone(object)),
            Some(_) => {}
            None => return Page { objects, next: None, remaining: None },
        }
    }
    let next = all.next().map(|object| object.key.clone());
    let remaining = next.is_some() && range.selector.is_empty();
    let remaining = remaining.then(|| 1 + all.count());
    Page { objects, next, remaining }
}

/// Whether anything but metadata differs, or a label.
fn wanted_differs(before: &Value, after: &Value) -> bool {
    let of = |object: &Value| {
        let mut rest = object.as_object().cloned().unwrap_or_default();
        for name in ["kind", "apiVersion", "metadata", "status"] {
            rest.remove(name);
        }
        (rest, object["metadata"]["labels"].clone())
    };
    of(before) != of(after)
}

impl Change {
    fn key(&self) -> &Key {
        let either = self.after.as_ref().or(self.before.as_ref());
        &either.expect("a change has a before or an after").key
    }

    /// The line that a watch of `range` has for it, unless it concerns no object that is selected.
    /// What stops being selected is deleted, with the content that still was.
    pub(super) fn line(&self, kind: &Kind, range: &Range) -> Option<Bytes> {
        if !range.namespace.is_empty() && range.namespace != self.key().namespace {
            return None;
        }
        let selected = |object: &Option<Arc<Object>>| {
            object.as_ref().filter(|object| range.selector.matches(object)).cloned()
        };
        let (told, object) = match (selected(&self.before), selected(&self.after)) {
            (None, None) => return None,
            (None, Some(after)) => (Told::Added, after),
            (Some(_), Some(after)) => (Told::Modified, after),
            (Some(before), None) => (Told::Deleted, before),
        };
        let line = &self.lines[told as usize];
        Some(line.get_or_init(|| event(told.name(), kind, &object, self.revision)).clone())
    }
}

impl Told {
    const fn name(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

/// A line of a watch about an object.
fn event(name: &str, kind: &Kind, object: &Object, revision: u64) -> Bytes {
    let mut line = Vec::with_capacity(object.size() + 96);
    line.extend_from_slice(format!(r#"{{"type":"{name}","object":"#).as_bytes());
    object.write(kind, revision, &mut line);
    line.extend_from_slice(b"}\n");
    line.into()
}

/// A line of a watch about an object that is there when the watch begins.
pub(super) fn added(kind: &Kind, object: &Object) -> Bytes {
    event(Told::Added.name(), kind, object, object.revision)
}
