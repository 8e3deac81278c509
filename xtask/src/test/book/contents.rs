//! The table of contents has every page of the book, once. Pure.

use std::path::{Path, PathBuf};

use super::page::Reference;
use super::{BOOK, Pages, target};

const CONTENTS: &str = "SUMMARY.md";

/// What is wrong with it.
pub(super) fn faults(pages: &Pages) -> Vec<String> {
    let contents = Path::new(BOOK).join(CONTENTS);
    let Some(page) = pages.get(&contents) else { return vec![format!("there is no {CONTENTS}")] };
    let links = page.references.iter().filter_map(|reference| match reference {
        Reference::Link(link) => target(&contents, link),
        Reference::Picture(_) | Reference::Html(_) => None,
    });
    let listed: Vec<PathBuf> = links.collect();
    let of_book = pages.keys().filter(|path| path.starts_with(BOOK) && **path != contents);
    let times = |path: &Path| listed.iter().filter(|it| *it == path).count();
    let faults = of_book.filter_map(|path| match times(path) {
        0 => Some(format!("{} is not in {CONTENTS}", path.display())),
        1 => None,
        _ => Some(format!("{} is in {CONTENTS} more than once", path.display())),
    });
    faults.collect()
}

#[cfg(test)]
mod tests {
    use super::super::page::Page;
    use super::*;

    #[track_caller]
    fn check(contents: &str, expected: &[&str]) {
        let pages = Pages::from([
            ("docs/SUMMARY.md".into(), Page::parse(contents)),
            ("docs/a.md".into(), Page::default()),
            ("docs/b/c.md".into(), Page::default()),
            ("README.md".into(), Page::default()),
        ]);
        assert_eq!(faults(&pages), expected, "{contents}");
    }

    #[test]
    fn every_page_is_there_once() {
        check("- [A](a.md)\n- [C](b/c.md)", &[]);
        check("- [A](a.md)", &["docs/b/c.md is not in SUMMARY.md"]);
        check(
            "- [A](a.md)\n- [C](b/c.md)\n- [A](a.md)",
            &["docs/a.md is in SUMMARY.md more than once"],
        );
    }
}
