//! Where the references of a page lead. Pure: what there is, is asked.

use std::path::Path;

use super::page::Reference;
use super::{Pages, target};

/// What is wrong with the references of a page.
pub(super) fn faults(page: &Path, pages: &Pages, exists: impl Fn(&Path) -> bool) -> Vec<String> {
    let references = pages.get(page).into_iter().flat_map(|page| &page.references);
    references.filter_map(|reference| fault(page, reference, pages, &exists)).collect()
}

fn fault(
    page: &Path,
    reference: &Reference,
    pages: &Pages,
    exists: impl Fn(&Path) -> bool,
) -> Option<String> {
    let link = match reference {
        Reference::Link(link) | Reference::Picture(link) => link,
        Reference::Html(html) => {
            return Some(format!("{html}: write links and pictures as Markdown, to be checked"));
        }
    };
    if link.contains(':') {
        let is_picture = matches!(reference, Reference::Picture(_));
        return is_picture
            .then(|| format!("{link}: a picture of another host; put it beside the page"));
    }
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let Some(path) = (if path.is_empty() { Some(page.to_owned()) } else { target(page, path) })
    else {
        return Some(format!("{link}: leads out of the repository"));
    };
    if !exists(&path) {
        return Some(format!("{link}: there is no {}", path.display()));
    }
    if anchor.is_empty() {
        return None;
    }
    let Some(other) = pages.get(&path) else {
        return Some(format!("{link}: only pages of Markdown have anchors"));
    };
    let is_there = other.anchors.contains(anchor);
    (!is_there).then(|| {
        let anchors: Vec<_> = other.anchors.iter().map(String::as_str).collect();
        format!(
            "{link}: no heading of {} has this anchor; there are {}",
            path.display(),
            anchors.join(" ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::page::Page;
    use super::*;

    /// Asks about a link from `docs/a.md`, beside which is `b.md` with the heading "One two".
    #[track_caller]
    fn check(link: &str, expected: Option<&str>) {
        let pages = Pages::from([
            ("docs/a.md".into(), Page::parse(&format!("# Top\n\n{link}"))),
            ("docs/b.md".into(), Page::parse("# One two")),
        ]);
        let exists = |path: &Path| {
            ["docs/a.md", "docs/b.md", "README.md", "examples", "docs/c.svg"]
                .iter()
                .any(|there| Path::new(there) == path)
        };
        let faults = faults(Path::new("docs/a.md"), &pages, exists);
        match (expected, faults.as_slice()) {
            (None, []) => {}
            (Some(words), [fault]) => assert!(fault.contains(words), "{link}: {fault}"),
            _ => panic!("{link}: {faults:?}"),
        }
    }

    #[test]
    fn references_that_lead_somewhere() {
        check("[x](b.md)", None);
        check("[x](b.md#one-two)", None);
        check("[x](#top)", None);
        check("[x](../README.md)", None);
        check("[x](../examples/)", None);
        check("[x](https://example.org/#any)", None);
        check("![x](c.svg)", None);
    }

    #[test]
    fn references_that_lead_nowhere() {
        check("[x](d.md)", Some("there is no docs/d.md"));
        check("[x](b.md#three)", Some("no heading of docs/b.md"));
        check("[x](#one-two)", Some("no heading of docs/a.md"));
        check("[x](c.svg#a)", Some("only pages"));
        check("[x](../../etc/passwd)", Some("out of the repository"));
        check("[x](/README.md)", Some("out of the repository"));
        check("![x](d.svg)", Some("there is no docs/d.svg"));
        check("![x](https://example.org/x.png)", Some("another host"));
        check("<img src=\"c.svg\">", Some("as Markdown"));
    }
}
