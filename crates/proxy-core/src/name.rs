//! Names of objects. Cheap to clone, compared by text.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::fmt;
use std::ops::Deref;

use arcstr::ArcStr;

/// A name as the Kubernetes API spells it: of an object, a namespace, a port, a node or a zone.
///
/// A clone shares the text. Names that occur many times (nodes, zones, namespaces) are shared
/// when they come through one [`Interner`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(ArcStr);

impl Name {
    /// The text of the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self(ArcStr::from(text))
    }
}

impl From<String> for Name {
    fn from(text: String) -> Self {
        Self(ArcStr::from(text))
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// Gives equal texts the same shared [`Name`], so that a node named by 100 endpoints is stored once.
#[derive(Debug, Default)]
pub struct Interner {
    names: HashSet<Name>,
    /// For how many names it was asked since unused ones were forgotten.
    asked: usize,
    /// How many were left then.
    swept_at: usize,
}

impl Interner {
    /// An interner that knows no name yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The shared name with this text.
    pub fn name(&mut self, text: &str) -> Name {
        self.sweep_now_and_then();
        if let Some(known) = self.names.get(text) {
            return known.clone();
        }
        let name = Name::from(text);
        self.names.insert(name.clone());
        name
    }

    /// Forgets names nobody else holds, each time it was asked for twice as many as were left:
    /// amortised constant work, and names of objects long gone do not pile up.
    fn sweep_now_and_then(&mut self) {
        self.asked += 1;
        if self.asked >= 2 * self.swept_at.max(512) {
            self.names.retain(|name| ArcStr::strong_count(&name.0) != Some(1));
            self.names.shrink_to(2 * self.names.len());
            (self.asked, self.swept_at) = (0, self.names.len());
        }
    }
}

/// Namespace and name: the identity of a namespaced object. Written `namespace/name`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// The namespace.
    pub namespace: Name,
    /// The name within the namespace.
    pub name: Name,
}

impl ObjectKey {
    /// The key made of these two texts.
    #[must_use]
    pub fn new(namespace: impl Into<Name>, name: impl Into<Name>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_share_one_name() {
        let mut interner = Interner::new();
        let (first, second) = (interner.name("node-1"), interner.name("node-1"));
        assert!(ArcStr::ptr_eq(&first.0, &second.0));
    }

    #[test]
    fn names_nobody_holds_are_forgotten() {
        let mut interner = Interner::new();
        let kept = interner.name("kept");
        for number in 0..10_000 {
            let _ = interner.name(&format!("gone-{number}"));
        }
        assert!(interner.names.len() <= 1_025, "{} names are held", interner.names.len());
        let many: Vec<_> =
            (0..10_000).map(|number| interner.name(&format!("m-{number}"))).collect();
        drop(many);
        for _ in 0..40_000 {
            let _ = interner.name("kept");
        }
        assert_eq!(interner.names.len(), 1);
        assert!(interner.names.capacity() < 64, "room for {}", interner.names.capacity());
        assert!(ArcStr::ptr_eq(&kept.0, &interner.name("kept").0));
    }
}
