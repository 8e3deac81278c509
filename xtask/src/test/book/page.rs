//! A page of Markdown: where it links to, and the anchors by which others link into it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// What a page refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reference {
    /// A link.
    Link(String),
    /// A picture, which a reader's program loads by itself.
    Picture(String),
    /// A line of HTML that refers to something, in whatever way.
    Html(String),
}

/// What is to be known of a page.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) references: Vec<Reference>,
    pub(super) anchors: BTreeSet<String>,
    /// What stands in a line as code.
    pub(super) code: Vec<String>,
}

impl Page {
    /// Reads it as the places do where it is read.
    pub(super) fn parse(text: &str) -> Self {
        let mut page = Self::default();
        let mut heading: Option<String> = None;
        let mut count: BTreeMap<String, usize> = BTreeMap::new();
        for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
            if let Event::Code(words) = &event {
                page.code.push(words.to_string());
            }
            match event {
                Event::Start(Tag::Link { dest_url, .. }) => {
                    page.references.push(Reference::Link(dest_url.into_string()));
                }
                Event::Start(Tag::Image { dest_url, .. }) => {
                    page.references.push(Reference::Picture(dest_url.into_string()));
                }
                Event::Html(html) | Event::InlineHtml(html) if refers(&html) => {
                    page.references.push(Reference::Html(html.trim().to_owned()));
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    let anchor = anchor(&heading.take().unwrap_or_default());
                    let before = count.entry(anchor.clone()).or_default();
                    let numbered = format!("{anchor}-{before}");
                    page.anchors.insert(if *before == 0 { anchor } else { numbered });
                    *before += 1;
                }
                Event::Text(words) | Event::Code(words) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&words);
                    }
                }
                _ => {}
            }
        }
        page
    }
}

fn refers(html: &str) -> bool {
    ["src=", "href=", "url("].iter().any(|word| html.contains(word))
}

/// The anchor of a heading, as GitHub and mdBook make it.
fn anchor(heading: &str) -> String {
    let kept = |letter: char| match letter {
        ' ' => Some('-'),
        '-' | '_' => Some(letter),
        _ => letter.is_alphanumeric().then_some(letter),
    };
    heading.to_lowercase().chars().filter_map(kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, references: &[Reference], anchors: &[&str]) {
        let page = Page::parse(text);
        assert_eq!(page.references, references, "{text:?}");
        assert_eq!(
            page.anchors.iter().map(String::as_str).collect::<Vec<_>>(),
            anchors,
            "{text:?}"
        );
    }

    #[test]
    fn references_are_found_and_code_is_not_looked_at() {
        let link = |to: &str| Reference::Link(to.to_owned());
        check("see [a](b.md#c) and <https://d>", &[link("b.md#c"), link("https://d")], &[]);
        check("![a](b.svg)", &[Reference::Picture("b.svg".to_owned())], &[]);
        check("| [a](b) |\n|---|\n| [c](d) |", &[link("b"), link("d")], &[]);
        check("[a][b]\n\n[b]: c.md", &[link("c.md")], &[]);
        check("`[a](b)`\n\n```text\n[c](d)\n```", &[], &[]);
        check("a <b>c</b>", &[], &[]);
        let html = r#"<img src="https://e">"#;
        check(html, &[Reference::Html(html.to_owned())], &[]);
    }

    #[test]
    fn anchors_are_those_of_headings() {
        check("# The source address is the node's", &[], &["the-source-address-is-the-nodes"]);
        check("## `-o json`\n\n## A_b, c", &[], &["-o-json", "a_b-c"]);
        check("# A\n\n# A\n\n# A", &[], &["a", "a-1", "a-2"]);
    }
}
