//! Pictures: well-formed, told in words for those who do not see them, and loading nothing. Pure.

use roxmltree::{Document, Node};

/// What is wrong with an SVG file.
pub(super) fn faults(text: &str) -> Vec<String> {
    let document = match Document::parse(text) {
        Ok(document) => document,
        Err(error) => return vec![error.to_string()],
    };
    let mut faults: Vec<_> = document.descendants().filter_map(loads).collect();
    let root = document.root_element();
    if !root.has_tag_name(("http://www.w3.org/2000/svg", "svg")) {
        faults.push("is not an SVG picture".to_owned());
    }
    for told in ["title", "desc"] {
        if !root.children().any(|it| it.tag_name().name() == told && it.text().is_some()) {
            faults.push(format!("has no <{told}>, which those need who do not see it"));
        }
    }
    faults
}

/// Whether an element may load something, or run it.
fn loads(node: Node<'_, '_>) -> Option<String> {
    let name = node.tag_name().name();
    let is_inside = |value: &str| value.starts_with('#');
    let refers = node.attributes().find(|it| it.name() == "href" && !is_inside(it.value()));
    let words = node.attributes().map(|it| it.value()).chain(node.text());
    let outside = words.flat_map(|words| words.split("url(").skip(1)).find(|it| !is_inside(it));
    let is_bad = name == "script"
        || refers.is_some()
        || outside.is_some()
        || node.text().is_some_and(|text| text.contains("@import"));
    is_bad.then(|| format!("<{name}> loads something from elsewhere"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(inside: &str, expected: Option<&str>) {
        let text = format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg"><title>a</title><desc>b</desc>{inside}</svg>"#
        );
        let faults = faults(&text);
        match (expected, faults.first()) {
            (None, None) => {}
            (Some(words), Some(fault)) => assert!(fault.contains(words), "{inside}: {fault}"),
            _ => panic!("{inside}: {faults:?}"),
        }
    }

    #[test]
    fn pictures_are_whole_and_load_nothing() {
        check("<path marker-end='url(#tip)' d='M0 0'/>", None);
        check("<style>.a { marker-end: url(#tip) }</style>", None);
        check("<text>open", Some("expected 'text' tag"));
        check("<script/>", Some("<script> loads"));
        check("<image href='https://example.org/a.png'/>", Some("<image> loads"));
        check("<style>@import 'a.css';</style>", Some("<style> loads"));
        check("<style>.a { src: url(https://example.org) }</style>", Some("<style> loads"));
        assert_eq!(faults("<svg/>").len(), 3);
    }
}
