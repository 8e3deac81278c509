//! What is wrong with a configuration, and where each value of it comes from.

use std::fmt;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Origin {
    /// Nobody gave one.
    #[default]
    Default,
    /// The configuration file.
    File {
        /// The line, counted from 1.
        line: u64,
        /// The column, counted from 1.
        column: u64,
    },
    /// A flag, by its name without dashes.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { line, .. } => write!(f, "file, line {line}"),
            Self::Flag("v") => f.write_str("flag -v"),
            Self::Flag(name) => write!(f, "flag --{name}"),
        }
    }
}

/// What a problem costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can be used, but something given has no effect, or hardly the one that was meant.
    Warning,
}

/// Something that whoever wrote the configuration should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What it costs.
    pub severity: Severity,
    /// Path of the field, or the flag, or the file.
    pub field: String,
    /// The value that is not good, as JSON; may be empty.
    pub value: String,
    /// Where the value comes from; `None` if that is no question.
    pub origin: Option<Origin>,
    /// What is wrong, and the remedy.
    pub reason: String,
}

impl Problem {
    pub(super) fn error(field: &str, reason: impl Into<String>) -> Self {
        let (field, value, reason) = (field.to_owned(), String::new(), reason.into());
        Self { severity: Severity::Error, field, value, origin: None, reason }
    }

    pub(super) fn warning(field: &str, reason: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(field, reason) }
    }

    pub(super) fn with_value(self, value: impl Into<serde_json::Value>) -> Self {
        Self { value: value.into().to_string(), ..self }
    }

    /// The line in the file; 0 elsewhere.
    pub(super) const fn line(&self) -> u64 {
        match self.origin {
            Some(Origin::File { line, .. }) => line,
            _ => 0,
        }
    }

    pub(super) fn from(self, origin: Origin) -> Self {
        Self { origin: Some(origin), ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.severity {
            Severity::Error => "error: ",
            Severity::Warning => "warning: ",
        })?;
        f.write_str(&self.field)?;
        match self.value.as_str() {
            "" => {}
            value => write!(f, " = {value}")?,
        }
        match &self.origin {
            None => {}
            Some(Origin::File { line, column }) => write!(f, " (line {line}, column {column})")?,
            Some(origin) => write!(f, " ({origin})")?,
        }
        write!(f, ": {}", self.reason)
    }
}
