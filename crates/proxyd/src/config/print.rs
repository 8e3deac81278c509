//! A configuration as text that reads back as itself. Pure.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::Configuration;
use super::layer::{Origins, origin_of};

/// What YAML says beside the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comments {
    /// Nothing.
    None,
    /// Where each value comes from.
    Origins,
}

impl Configuration {
    /// As YAML, in the order in which kubeadm writes it.
    #[must_use]
    pub fn yaml(&self, comments: Comments) -> String {
        let origins = (comments == Comments::Origins).then_some(&self.origins);
        let mut printer = Printer { origins, text: String::new() };
        if let Value::Object(fields) = &self.effective {
            printer.section("", fields, 0);
        }
        printer.text
    }

    /// As JSON.
    #[must_use]
    pub fn json(&self) -> String {
        format!("{:#}\n", self.effective)
    }
}

struct Printer<'a> {
    origins: Option<&'a Origins>,
    text: String,
}

impl Printer<'_> {
    fn section(&mut self, path: &str, fields: &Map<String, Value>, indent: usize) {
        for (key, value) in fields {
            let path = if path.is_empty() { key.clone() } else { [path, key].join(".") };
            let line = format!("{:indent$}{}:", "", plain_or_quoted(key));
            match value {
                // A section's fields say themselves where they come from.
                Value::Object(fields) if !fields.is_empty() && path != "featureGates" => {
                    self.line(&line, None);
                    self.section(&path, fields, indent + 2);
                }
                Value::Object(fields) if !fields.is_empty() => {
                    self.line(&line, Some(&path));
                    for (name, is_on) in fields {
                        self.line(&format!("  {}: {is_on}", plain_or_quoted(name)), None);
                    }
                }
                Value::Array(items) if !items.is_empty() => {
                    self.line(&line, Some(&path));
                    for item in items {
                        self.line(&format!("{:indent$}- {}", "", inline(item)), None);
                    }
                }
                value => self.line(&format!("{line} {}", inline(value)), Some(&path)),
            }
        }
    }

    /// One line, with the origin of what is at `path`.
    fn line(&mut self, line: &str, path: Option<&str>) {
        self.text.push_str(line);
        let is_head = |path: &&str| matches!(*path, "apiVersion" | "kind");
        if let (Some(origins), Some(path)) = (self.origins, path.filter(|path| !is_head(path))) {
            write!(self.text, "  # {}", origin_of(origins, path)).expect("a String takes all");
        }
        self.text.push('\n');
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => plain_or_quoted(text),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => float.to_string(),
            _ => number.to_string(),
        },
        // JSON is YAML.
        value => value.to_string(),
    }
}

/// A text that YAML 1.1 and 1.2 alike take for itself, else quoted as JSON does.
fn plain_or_quoted(text: &str) -> String {
    const WORDS: [&str; 12] =
        ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "inf", "infinity", "nan"];
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_./-".contains(c))
        && text.contains(|c: char| c.is_ascii_alphabetic())
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
        && text.parse::<f64>().is_err()
        && !text.starts_with("0x")
        && !text.starts_with("0o")
        && !text.starts_with("0b");
    if is_plain { text.to_owned() } else { Value::from(text).to_string() }
}
