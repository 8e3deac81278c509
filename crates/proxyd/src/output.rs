//! What commands print on standard output.

use std::io::{self, Write as _};

use anyhow::Context as _;
use clap::ValueEnum;
use serde::Serialize;

/// How a document is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Lines for people
    Text,
    /// One document for programs; fields are only ever added
    Json,
    /// The same document in YAML
    Yaml,
}

impl Output {
    /// A document as it is to be printed; `text` makes lines of it.
    ///
    /// # Errors
    /// It cannot be written in that form.
    pub(crate) fn written<T: Serialize>(
        self,
        document: &T,
        text: impl FnOnce(&T) -> String,
    ) -> anyhow::Result<String> {
        match self {
            Self::Text => Ok(text(document)),
            Self::Json => json(document),
            Self::Yaml => yaml(document),
        }
    }
}

/// A document in JSON, for people to read as well.
///
/// # Errors
/// It has no form in JSON.
pub(crate) fn json(document: &impl Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(document)? + "\n")
}

/// A document in YAML.
///
/// # Errors
/// It has no form in YAML.
pub(crate) fn yaml(document: &impl Serialize) -> anyhow::Result<String> {
    Ok(serde_saphyr::to_string(document)?)
}

/// Prints a command's result.
///
/// # Errors
/// It cannot be written, for another reason than that whoever reads has seen enough, as in
/// `proxyd plan | head`.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("write to standard output"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn yaml_says_what_json_says() {
        let document = json!({
            "node": "no",
            "lines": ["- route 10.0.0.1 dev lo", "~ : #", "", "1e3", "two\nlines", " x "],
            "address": "::1",
            "time": "2026-11-26T10:00:00Z",
            "nothing": null,
            "empty": [[], {}],
            "numbers": [0, -1, 1.5, u64::MAX],
            "flags": {"unsettled": false, "true": true},
        });
        let read: Value = serde_saphyr::from_str(&yaml(&document).unwrap()).unwrap();
        assert_eq!(read, document);
        let read: Value = serde_json::from_str(&super::json(&document).unwrap()).unwrap();
        assert_eq!(read, document);
    }
}
