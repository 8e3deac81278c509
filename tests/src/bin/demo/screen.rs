//! How the story looks on a terminal of 100 columns.

use std::fmt::Display;
use std::io::{self, Write as _};

/// Whether to print escape sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    On,
    Off,
}

/// Standard output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    colour: Colour,
}

/// Columns of text that has no form of its own.
const WIDTH: usize = 96;

const BOLD: &str = "1";
const GREEN: &str = "32";
const RED: &str = "1;31";
const CYAN: &str = "36";

impl Screen {
    pub(crate) const fn new(colour: Colour) -> Self {
        Self { colour }
    }

    /// A line as it is.
    pub(crate) fn line(self, line: &str) {
        print(line);
    }

    /// What a step is about.
    pub(crate) fn heading(self, number: usize, title: &str) {
        print("");
        print(&self.painted(BOLD, &format!("{number}. {title}")));
    }

    /// What somebody types, and where.
    pub(crate) fn command(self, place: &str, command: &str) {
        print(&self.painted(CYAN, &format!("   {place}$ {command}")));
    }

    /// What is answered, as it is.
    pub(crate) fn output(self, line: impl Display) {
        print(format!("     {line}").trim_end());
    }

    /// A remark of the narrator's.
    pub(crate) fn note(self, text: &str) {
        print(&format!("   {}", wrapped(&format!("# {text}"), "   # ")));
    }

    pub(crate) fn ok(self, shown: &str) {
        print(&self.verdict(GREEN, "ok", shown));
    }

    pub(crate) fn failed(self, failure: &str) {
        print(&self.verdict(RED, "FAILED", failure));
    }

    /// The last line.
    pub(crate) fn last(self, text: &str) {
        print("");
        print(&self.painted(BOLD, text));
    }

    fn verdict(self, code: &str, word: &str, text: &str) -> String {
        let text = wrapped(&format!("{word}: {text}"), "       ");
        let rest = text.strip_prefix(word).unwrap_or_default();
        format!("   {}{rest}", self.painted(code, word))
    }

    fn painted(self, code: &str, text: &str) -> String {
        match self.colour {
            Colour::On => format!("\x1b[{code}m{text}\x1b[0m"),
            Colour::Off => text.to_owned(),
        }
    }
}

/// The text in lines of at most [`WIDTH`] characters where its words allow it; lines after the
/// first begin with `indent`.
fn wrapped(text: &str, indent: &str) -> String {
    let mut lines = String::new();
    let mut width = 3;
    for word in text.split(' ') {
        let fits = width + 1 + word.chars().count() <= WIDTH;
        if lines.is_empty() {
            width = 3;
        } else if fits {
            lines.push(' ');
            width += 1;
        } else {
            lines.push('\n');
            lines.push_str(indent);
            width = indent.len();
        }
        lines.push_str(word);
        width += word.chars().count();
    }
    lines
}

/// A reader that went away is no reason to stop: what counts is the exit status.
fn print(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_wrapped_between_words_and_short_text_stays() {
        assert_eq!(wrapped("one two", "  "), "one two");
        let text = wrapped(&"word ".repeat(40), "  # ");
        assert!(text.lines().count() > 1);
        assert!(text.lines().skip(1).all(|line| line.starts_with("  # word")), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
    }
}
