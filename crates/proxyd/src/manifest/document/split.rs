//! A file into its documents, each with its place.

use serde::de::IgnoredAny;

use super::Fault;

/// One document.
pub(super) struct Chunk<'a> {
    pub(super) text: &'a str,
    /// The line of the file in which it begins, from 1.
    pub(super) line: u64,
    /// The column in that line, from 1.
    column: u64,
}

impl Chunk<'_> {
    /// A fault of the document as a whole.
    pub(super) fn begin(&self, reason: &str) -> Fault {
        Fault { line: self.line, column: self.column, reason: reason.to_owned() }
    }

    /// A place in the document, as a place in the file. The parsers write the place into their
    /// message too; there it is the wrong one and is cut off.
    pub(super) fn fault(&self, line: u64, column: u64, message: &str) -> Fault {
        let message = message.split(" at line ").next().unwrap_or(message);
        Fault {
            line: self.line + line - 1,
            column: if line == 1 { self.column + column - 1 } else { column },
            reason: message.to_owned(),
        }
    }

    /// The same for an error of the JSON parser, whose places can be 0.
    pub(super) fn json_fault(&self, error: &serde_json::Error) -> Fault {
        let (line, column) = (error.line().max(1) as u64, error.column().max(1) as u64);
        self.fault(line, column, &error.to_string())
    }
}

/// Documents of YAML: wherever a line begins with `---`, which no document can contain (YAML 1.2
/// section 9.1.2). Directives and comments stay with the document they precede.
pub(super) fn yaml_chunks(text: &str) -> Vec<Chunk<'_>> {
    let mut chunks = Vec::new();
    let (mut start, mut start_line, mut has_content) = (0, 1, false);
    let mut offset = 0;
    for (line, number) in text.split_inclusive('\n').zip(1..) {
        let marker = line
            .strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']));
        if marker && has_content {
            chunks.push(Chunk { text: &text[start..offset], line: start_line, column: 1 });
            (start, start_line, has_content) = (offset, number, false);
        }
        let begins = line.trim_start();
        has_content |= marker || !(begins.is_empty() || begins.starts_with(['#', '%']));
        offset += line.len();
    }
    if has_content {
        chunks.push(Chunk { text: &text[start..], line: start_line, column: 1 });
    }
    chunks
}

/// Documents of JSON, which follow one another with any space between them.
pub(super) fn json_chunks(text: &str) -> Result<Vec<Chunk<'_>>, Fault> {
    let whole = Chunk { text, line: 1, column: 1 };
    let mut documents = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    let (mut chunks, mut end, mut line, mut column) = (Vec::new(), 0, 1, 1);
    while let Some(document) = documents.next() {
        document.map_err(|error| whole.json_fault(&error))?;
        let between = text[end..].len() - text[end..].trim_start().len();
        advance(&text[end..end + between], &mut line, &mut column);
        let start = end + between;
        end = documents.byte_offset();
        chunks.push(Chunk { text: &text[start..end], line, column });
        advance(&text[start..end], &mut line, &mut column);
    }
    Ok(chunks)
}

fn advance(text: &str, line: &mut u64, column: &mut u64) {
    match text.rsplit_once('\n') {
        None => *column += text.len() as u64,
        Some((before, last)) => {
            *line += 1 + before.matches('\n').count() as u64;
            *column = 1 + last.len() as u64;
        }
    }
}
