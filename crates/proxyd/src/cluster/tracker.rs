//! What the watches say, as changes for the model. Pure.

use std::collections::HashSet;

use proxy_core::ObjectRef;

use super::kind::Kind;
use super::watch::Heard;
use crate::metrics::Resource;
use crate::source::{Changes, Known, Parser};

/// Takes in what every watch says.
#[derive(Debug)]
pub(super) struct Tracker {
    parser: Parser,
    known: Known,
    /// By [`Kind`]: the objects of the list that is being read.
    listing: [Option<HashSet<ObjectRef>>; 3],
    /// By [`Kind`]: whether there was a whole list.
    is_listed: [bool; 3],
}

impl Tracker {
    pub(super) fn new(parser: Parser) -> Self {
        let (listing, is_listed) = ([None, None, None], [false; 3]);
        Self { parser, known: Known::default(), listing, is_listed }
    }

    /// Whether every kind was listed.
    pub(super) fn is_complete(&self) -> bool {
        self.is_listed.iter().all(|&it| it)
    }

    /// How many fields of such objects cannot be used.
    pub(super) fn rejected(&self, resource: Resource) -> usize {
        self.known.problems().filter(|problem| problem.rejects(resource)).count()
    }

    /// Takes in news. An object that a whole list leaves out is gone: nobody may have been
    /// listening when it went.
    pub(super) fn take(&mut self, kind: Kind, heard: Heard, changes: &mut Changes) {
        match heard {
            Heard::ListBegins => self.listing[kind as usize] = Some(HashSet::new()),
            Heard::Present(object) => {
                let (object, given) = self.parser.parse(object);
                self.known.take(&object, Some(&given), changes);
                if let Some(listing) = &mut self.listing[kind as usize] {
                    listing.insert(object);
                }
            }
            Heard::Gone(object) => {
                let (object, _) = self.parser.parse(object);
                self.known.take(&object, None, changes);
            }
            Heard::ListEnds => {
                self.is_listed[kind as usize] = true;
                let listing = self.listing[kind as usize].take().unwrap_or_default();
                let is_gone = |object: &&ObjectRef| kind.is_of(object) && !listing.contains(object);
                let gone: Vec<_> = self.known.objects().filter(is_gone).cloned().collect();
                for object in gone {
                    self.known.take(&object, None, changes);
                }
            }
            Heard::Bookmark | Heard::Condition(_) => {}
        }
    }
}

#[cfg(test)]
#[path = "tracker_tests.rs"]
mod tests;
