//! Remembers what the directory said, and tells what it says anew.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

use proxy_core::ObjectRef;

use super::document::Contents;
use super::file::{self, Loaded, Seen};
use crate::source::{Changes, Given, Known, Parser, Problem, Severity, Times};

/// Reads a directory of manifests, again and again.
#[derive(Debug)]
pub(crate) struct Reader {
    directory: PathBuf,
    parser: Parser,
    files: BTreeMap<String, File>,
    /// For each object the files that give it.
    holders: HashMap<ObjectRef, BTreeSet<String>>,
    known: Known,
    /// Of the directory and its files.
    problems: BTreeMap<Source, Vec<Problem>>,
}

/// Where a problem comes from: the next look at it settles it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Directory,
    File(String),
}

/// A file, with the objects of its last good version.
#[derive(Debug, Default)]
struct File {
    seen: Seen,
    objects: BTreeMap<ObjectRef, Given>,
}

impl Reader {
    /// A reader that has read nothing yet.
    pub(crate) fn new(directory: impl Into<PathBuf>, parser: Parser) -> Self {
        Self {
            directory: directory.into(),
            parser,
            files: BTreeMap::new(),
            holders: HashMap::new(),
            known: Known::default(),
            problems: BTreeMap::new(),
        }
    }

    /// Reads what changed:
    /// 1. a directory that cannot be read changes nothing;
    /// 2. a file that is gone takes its objects with it;
    /// 3. a file that cannot be read or parsed, or is blank, keeps the objects it had;
    /// 4. an object that files give with different contents, or that cannot be used, keeps the
    ///    value it had, if it had one.
    pub(crate) fn read(&mut self) -> Changes {
        let mut changes = Changes::default();
        let listed = match file::list(&self.directory) {
            Ok(listed) => listed,
            Err(error) => {
                let kept = if self.files.is_empty() { "" } else { ", what was read before stays" };
                let reason =
                    format!("cannot be read ({error}){kept}; create it or make it readable");
                let object = self.directory.display().to_string();
                let problem = Problem::new(Severity::Unreadable, &object, reason);
                self.note(Source::Directory, vec![problem], &mut changes);
                return changes;
            }
        };
        self.note(Source::Directory, Vec::new(), &mut changes);
        let mut dirty = BTreeSet::new();
        let names: BTreeSet<&String> = listed.iter().map(|(name, _)| name).collect();
        let gone: Vec<_> =
            self.files.keys().filter(|name| !names.contains(name)).cloned().collect();
        for name in gone {
            self.replace(&name, BTreeMap::new(), &mut dirty);
            self.files.remove(&name);
            self.note(Source::File(name), Vec::new(), &mut changes);
        }
        for (name, path) in &listed {
            let loaded = self.files.entry(name.clone()).or_default().seen.load(name, path);
            self.take(name, loaded, &mut dirty, &mut changes);
        }
        for object in dirty.into_iter().rev() {
            self.settle(&object, &mut changes);
        }
        changes
    }

    /// Every problem there is, sorted.
    pub(crate) fn problems(&self) -> Vec<&Problem> {
        let of_files = self.problems.values().flatten();
        let mut problems: Vec<_> = of_files.chain(self.known.problems()).collect();
        problems.sort_unstable();
        problems
    }

    /// Takes in what reading a file brought.
    fn take(
        &mut self,
        name: &str,
        loaded: Loaded,
        dirty: &mut BTreeSet<ObjectRef>,
        changes: &mut Changes,
    ) {
        let had_objects = self.files.get(name).is_some_and(|file| !file.objects.is_empty());
        let kept = if had_objects { ", its last good version stays" } else { "" };
        let rejected = |reason| Problem::new(Severity::Rejected, name, reason);
        let problems = match loaded {
            Loaded::Unchanged => return,
            Loaded::Contents(contents) => {
                let strangers = contents.strangers.iter().map(|line| Problem {
                    field: format!("line {line}"),
                    ..Problem::new(
                        Severity::Warning,
                        name,
                        "is no API object of a known version, or holds one that is none; that is skipped".into(),
                    )
                });
                let problems = strangers.collect();
                let objects = self.parse(contents);
                self.replace(name, objects, dirty);
                problems
            }
            Loaded::Blank if had_objects => {
                vec![rejected(format!("is empty{kept}; delete the file to remove its objects"))]
            }
            Loaded::Blank => Vec::new(),
            Loaded::Unreadable(error) => {
                vec![rejected(format!("cannot be read ({error}){kept}; make it readable"))]
            }
            Loaded::Fault(fault) => vec![Problem {
                field: format!("line {}, column {}", fault.line, fault.column),
                ..rejected(format!("cannot be parsed ({}){kept}; correct it", fault.reason))
            }],
        };
        self.note(Source::File(name.to_owned()), problems, changes);
    }

    /// The objects of a file in the model's types.
    fn parse(&mut self, contents: Contents) -> BTreeMap<ObjectRef, Given> {
        let mut objects = BTreeMap::new();
        for object in contents.objects {
            let (object, given) = self.parser.parse(object);
            objects
                .entry(object)
                .and_modify(|first: &mut Given| {
                    if *first != given {
                        first.times = Times::Differing;
                    }
                })
                .or_insert(given);
        }
        objects
    }

    /// Gives a file other objects, and says which objects that concerns.
    fn replace(
        &mut self,
        name: &str,
        objects: BTreeMap<ObjectRef, Given>,
        dirty: &mut BTreeSet<ObjectRef>,
    ) {
        let file = self.files.entry(name.to_owned()).or_default();
        let before = std::mem::replace(&mut file.objects, objects);
        for object in before.into_keys() {
            if let Some(holders) = self.holders.get_mut(&object) {
                holders.remove(name);
                if holders.is_empty() {
                    self.holders.remove(&object);
                }
            }
            dirty.insert(object);
        }
        for object in file.objects.keys() {
            self.holders.entry(object.clone()).or_default().insert(name.to_owned());
            dirty.insert(object.clone());
        }
    }

    /// Decides what an object is, now that files may say something else about it.
    fn settle(&mut self, object: &ObjectRef, changes: &mut Changes) {
        let holders = self.holders.get(object).into_iter().flatten();
        let given: Vec<&Given> =
            holders.clone().filter_map(|name| self.files[name].objects.get(object)).collect();
        let differing = given.iter().any(|one| one.times == Times::Differing || one != &given[0]);
        if differing {
            let files: Vec<_> = holders.map(String::as_str).collect();
            let problem = contradiction(object, &files, self.known.holds(object));
            self.known.keep(object, vec![problem], changes);
        } else {
            self.known.take(object, given.first().copied(), changes);
        }
    }

    /// Replaces the problems of a source, and says what is new and what is over.
    fn note(&mut self, source: Source, problems: Vec<Problem>, changes: &mut Changes) {
        changes.exchange(self.problems.remove(&source).unwrap_or_default(), &problems);
        if !problems.is_empty() {
            self.problems.insert(source, problems);
        }
    }
}

fn contradiction(object: &ObjectRef, files: &[&str], keeps: bool) -> Problem {
    let what_follows = if keeps { "its last good version stays" } else { "it is not used" };
    let reason = match files {
        [_] => format!("is given twice in one file with different contents, so {what_follows}"),
        _ => format!("is given by several files with different contents, so {what_follows}"),
    };
    Problem {
        value: files.join(", "),
        ..Problem::new(
            Severity::Rejected,
            &object.to_string(),
            format!("{reason}; remove all but one"),
        )
    }
}

#[cfg(test)]
mod tests;
