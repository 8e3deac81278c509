//! Label and field selectors.

use super::kind::Kind;
use super::object::Object;

/// What an object must be like to be seen. The default one passes everything.
#[derive(Clone, Debug, Default)]
pub(super) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<Requirement>,
}

/// What is required of one label or field.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    name: String,
    wanted: Wanted,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    Present,
    Absent,
    /// Present, and one of these.
    In(Vec<String>),
    /// Absent, or none of these.
    NotIn(Vec<String>),
}

impl Selector {
    /// Reads both as they stand in a request. The error is what the server says of it.
    pub(super) fn parse(kind: &Kind, labels: &str, fields: &str) -> Result<Self, String> {
        let fields = terms(fields).iter().map(|term| equality(term)).collect::<Result<Vec<_>, _>>();
        let fields = fields?;
        let known = |name: &str| {
            matches!(name, "metadata.name" | "metadata.namespace")
                || kind.selectable.contains(&name)
        };
        if let Some(unknown) = fields.iter().find(|field| !known(&field.name)) {
            return Err(format!("field label not supported: {}", unknown.name));
        }
        let labels =
            terms(labels).iter().map(|term| requirement(term)).collect::<Result<_, _>>()?;
        Ok(Self { labels, fields })
    }

    /// Whether it passes everything.
    pub(super) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether an object passes.
    pub(super) fn matches(&self, object: &Object) -> bool {
        let label = |name: &str| {
            object.labels.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str())
        };
        let field = |name: &str| match name {
            "metadata.name" => Some(object.key.name.as_str()),
            "metadata.namespace" => Some(object.key.namespace.as_str()),
            _ => object.fields.iter().find(|(of, _)| *of == name).map(|(_, value)| value.as_str()),
        };
        self.labels.iter().all(|one| one.wanted.accepts(label(&one.name)))
            && self.fields.iter().all(|one| one.wanted.accepts(field(&one.name)))
    }
}

impl Wanted {
    fn accepts(&self, value: Option<&str>) -> bool {
        let among = |values: &[String]| value.is_some_and(|v| values.iter().any(|one| one == v));
        match self {
            Self::Present => value.is_some(),
            Self::Absent => value.is_none(),
            Self::In(values) => among(values),
            Self::NotIn(values) => !among(values),
        }
    }
}

/// Parts between commas that are not in parentheses.
fn terms(text: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let (mut begin, mut depth) = (0, 0);
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                terms.push(text[begin..at].trim());
                begin = at + 1;
            }
            _ => {}
        }
    }
    terms.push(text[begin..].trim());
    terms.retain(|term| !term.is_empty());
    terms
}

/// `name=value`, `name==value` or `name!=value`.
fn equality(term: &str) -> Result<Requirement, String> {
    let (name, value, negated) = if let Some((name, value)) = term.split_once("!=") {
        (name, value, true)
    } else if let Some((name, value)) = term.split_once("==") {
        (name, value, false)
    } else if let Some((name, value)) = term.split_once('=') {
        (name, value, false)
    } else {
        return Err(format!("invalid selector: '{term}'; can't understand '{term}'"));
    };
    let values = vec![value.trim().to_owned()];
    let wanted = if negated { Wanted::NotIn(values) } else { Wanted::In(values) };
    Ok(Requirement { name: named(name)?, wanted })
}

fn requirement(term: &str) -> Result<Requirement, String> {
    if let Some(name) = term.strip_prefix('!') {
        return Ok(Requirement { name: named(name)?, wanted: Wanted::Absent });
    }
    if term.contains('=') {
        return equality(term);
    }
    let Some((head, values)) = term.split_once('(') else {
        return Ok(Requirement { name: named(term)?, wanted: Wanted::Present });
    };
    let Some(values) = values.strip_suffix(')') else {
        return Err(format!("unable to parse requirement: found '{term}', expected: ',' or ')'"));
    };
    let values = values.split(',').map(|value| value.trim().to_owned()).collect();
    let (name, wanted) = match head.split_whitespace().collect::<Vec<_>>()[..] {
        [name, "in"] => (name, Wanted::In(values)),
        [name, "notin"] => (name, Wanted::NotIn(values)),
        _ => {
            return Err(format!(
                "unable to parse requirement: found '{head}', expected: in, notin"
            ));
        }
    };
    Ok(Requirement { name: named(name)?, wanted })
}

/// The name of a label or field, if it is one.
fn named(text: &str) -> Result<String, String> {
    let name = text.trim();
    let may_stand = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    if name.is_empty() || !name.chars().all(may_stand) {
        return Err(format!("unable to parse requirement: <nil>: Invalid value: \"{name}\""));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::kind::KINDS;
    use crate::apiserver::object::{Key, Stamp};

    /// A Service with labels `app: web` and `empty: ""`.
    fn service(cluster_ip: &str) -> Object {
        let content = serde_json::json!({
            "metadata": { "labels": { "app": "web", "empty": "" } },
            "spec": { "clusterIP": cluster_ip, "type": "ClusterIP" },
        });
        let key = Key { namespace: "shop".into(), name: "web".into() };
        let stamp = Stamp { uid: String::new(), created: String::new(), generation: None };
        Object::new(&KINDS[0], key, &content, &stamp, 1)
    }

    #[track_caller]
    fn check(labels: &str, fields: &str, expected: Result<bool, &str>) {
        let selector = Selector::parse(&KINDS[0], labels, fields);
        let result = selector.map(|selector| selector.matches(&service("10.96.0.1")));
        assert_eq!(result, expected.map_err(str::to_owned), "{labels} {fields}");
    }

    #[test]
    fn labels_select() {
        check("", "", Ok(true));
        check("app=web", "", Ok(true));
        check("app==web", "", Ok(true));
        check("app=api", "", Ok(false));
        check("app!=api", "", Ok(true));
        check("missing!=api", "", Ok(true));
        check("missing=api", "", Ok(false));
        check("app in (api, web)", "", Ok(true));
        check("app notin (api, web)", "", Ok(false));
        check("missing notin (api)", "", Ok(true));
        check("empty", "", Ok(true));
        check("empty=", "", Ok(true));
        check("!empty", "", Ok(false));
        check("!service.kubernetes.io/headless", "", Ok(true));
        check("app in (web),!empty", "", Ok(false));
        check("app in (web), empty", "", Ok(true));
    }

    #[test]
    fn fields_select() {
        check("", "metadata.name=web", Ok(true));
        check("", "metadata.name=web,metadata.namespace!=shop", Ok(false));
        check("", "spec.clusterIP!=None", Ok(true));
        check("", "spec.type=NodePort", Ok(false));
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        check("", "spec.ports=1", Err("field label not supported: spec.ports"));
        check("", "spec", Err("invalid selector: 'spec'; can't understand 'spec'"));
        check(
            "app in (a",
            "",
            Err("unable to parse requirement: found 'app in (a', expected: ',' or ')'"),
        );
        check(
            "app on (a)",
            "",
            Err("unable to parse requirement: found 'app on ', expected: in, notin"),
        );
        check("?", "", Err("unable to parse requirement: <nil>: Invalid value: \"?\""));
    }
}
