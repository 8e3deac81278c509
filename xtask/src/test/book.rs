//! The group of checks on the book in `docs/`, and on every other page of Markdown: a reader who follows a link
//! arrives.
//!
//! | what | by what |
//! |---|---|
//! | links, images, anchors | looked for in the repository; addresses of other hosts are not asked |
//! | settings, metrics, annotations | looked for in the pages that list them |
//! | table of contents | has every page once |
//! | pictures | an XML parser; they may load nothing |
//! | the book | mdBook builds it |
//!
//! What pages show of the program's output has tests beside the program.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::deploy::Tools;
use super::outcome::Outcome;
use crate::workspace;

mod contents;
mod links;
mod names;
mod page;
mod picture;

use page::Page;

/// Every page, by its path from the repository's root.
type Pages = BTreeMap<PathBuf, Page>;

const BOOK: &str = "docs";

/// Runs all of them; one that fails does not stop the next.
pub(super) fn run(verbose: bool) -> Result<Outcome> {
    let root = workspace::root();
    let pages = files(root, "md")?
        .into_iter()
        .map(|path| {
            let text = read(&root.join(&path))?;
            Ok((path, Page::parse(&text)))
        })
        .collect::<Result<Pages>>()?;
    let mut outcome = Outcome { counts: true, ..Outcome::default() };
    for path in pages.keys() {
        let mut faults = links::faults(path, &pages, |path| root.join(path).exists());
        faults.extend(names::faults(path, &pages));
        judge(&mut outcome, path, faults);
    }
    judge(&mut outcome, Path::new(BOOK), contents::faults(&pages));
    for path in files(&root.join(BOOK), "svg")? {
        let path = Path::new(BOOK).join(path);
        let text = read(&root.join(&path))?;
        judge(&mut outcome, &path, picture::faults(&text));
    }
    let built = build(verbose).map_or_else(|error| vec![format!("{error:#}")], |()| vec![]);
    judge(&mut outcome, Path::new(BOOK), built);
    Ok(outcome)
}

fn judge(outcome: &mut Outcome, path: &Path, faults: Vec<String>) {
    if faults.is_empty() {
        outcome.passed += 1;
        return;
    }
    outcome.failed += 1;
    for fault in faults {
        outcome.findings.push_str(&format!("book: {}: {fault}\n", path.display()));
    }
}

/// mdBook goes on past some faults, which it only tells.
fn build(verbose: bool) -> Result<()> {
    let tools = Tools::ready(verbose)?;
    let place = tools.scratch("book/here", "")?.with_file_name("html");
    let mut mdbook = tools.command("mdbook");
    let said = tools.run(mdbook.arg("build").arg(BOOK).arg("--dest-dir").arg(&place))?;
    for word in ["WARN", "ERROR"] {
        if said.contains(word) {
            bail!("mdbook says:\n{said}");
        }
    }
    let first = place.join("index.html");
    fs::metadata(&first).with_context(|| format!("mdbook made no {}", first.display()))?;
    Ok(())
}

/// The files below `root` with this extension, by their path from there. What is built or hidden does not count.
fn files(root: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut directories = vec![PathBuf::new()];
    while let Some(directory) = directories.pop() {
        let whole = root.join(&directory);
        for entry in fs::read_dir(&whole).with_context(|| format!("read {}", whole.display()))? {
            let entry = entry.context("read a directory entry")?;
            let name = entry.file_name();
            let path = directory.join(&name);
            let kind = entry.file_type().context("look at a directory entry")?;
            let is_ours = name != "target" && !name.to_string_lossy().starts_with('.');
            if kind.is_dir() && is_ours {
                directories.push(path);
            } else if kind.is_file() && path.extension().is_some_and(|it| it == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
}

/// Where a link of `page` leads, without `.` and `..`; `None` out of the repository.
fn target(page: &Path, link: &str) -> Option<PathBuf> {
    let mut path = page.parent().map(Path::to_path_buf).unwrap_or_default();
    for component in Path::new(link).components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::ParentDir if path.pop() => {}
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}
