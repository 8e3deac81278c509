//! The table of `proxyd status`: for reading, not for programs. Pure.

use std::fmt::Write as _;

use super::column::{Column, Mood, age};
use super::document::{Frontend, Moment, State, Status};

/// How it is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// Characters a line may have; `None` for any number.
    pub(super) width: Option<usize>,
    /// Lines there is room for; `None` for any number.
    pub(super) height: Option<usize>,
    /// Whether to use the terminal's colours.
    pub(super) colours: bool,
    /// Whether to show every column.
    pub(super) wide: bool,
    pub(super) sort: Column,
}

/// Lines are shown in colours that every terminal has.
const BOLD: &str = "\x1b[1m";
const YELLOW: &str = "\x1b[33m";
const RED: &str = "\x1b[31m";
const END: &str = "\x1b[0m";

/// The document as columns.
pub(super) fn table(status: &Status, style: Style) -> String {
    let mut lines = head(status, style);
    let problems = problems(status, style);
    let room = style.height.map(|height| height.saturating_sub(lines.len() + 2));
    // Problems have a third of a screen, if that is too little for both.
    let for_problems = room.map(|room| problems.len().min(room / 3));
    let for_rows = room.zip(for_problems).map(|(room, problems)| room - problems);
    lines.push(String::new());
    lines.extend(rows(status, style, for_rows));
    lines.extend(problems.into_iter().take(for_problems.unwrap_or(usize::MAX)));
    lines.join("\n") + "\n"
}

/// About the daemon.
pub(super) fn head(status: &Status, style: Style) -> Vec<String> {
    let lines = summary(status).into_iter();
    lines.map(|(mood, line)| cut(&painted(&line, mood, style), style)).collect()
}

/// The same, and how each line is meant.
pub(crate) fn summary(status: &Status) -> Vec<(Mood, String)> {
    let Status { node, version, pid, .. } = status;
    let up = age(status.started.age_seconds);
    let line = format!("Node {node}, proxyd {version} (pid {pid}), up {up}");
    let mut lines = vec![(Mood::Plain, line)];
    let (mood, words) = state(status);
    let as_of = match status.as_of.age_seconds {
        seconds if seconds < 2.0 => String::new(),
        seconds => format!("; as of {} ago", age(seconds)),
    };
    lines.push((mood, words + &as_of));
    if let Some(last) = status.drift.recent.first() {
        let count = status.drift.total;
        let (ago, object, kind) = (age(last.found.age_seconds), &last.object, &last.kind);
        let words = format!("Drift: {count} objects mended, last {ago} ago: {object} ({kind})");
        lines.push((Mood::Notable, words));
    }
    if let Some(error) = &status.connections.error {
        lines.push((Mood::Bad, format!("Connections cannot be read: {error}")));
    }
    if status.connections.left_out > 0 {
        let count = status.connections.left_out;
        let words = format!("Connections of {count} quieter frontends were left out");
        lines.push((Mood::Plain, words));
    }
    lines
}

fn state(status: &Status) -> (Mood, String) {
    let ago = |moment: &Option<Moment>| {
        moment.as_ref().map_or_else(|| "never".to_owned(), |it| age(it.age_seconds) + " ago")
    };
    let (changed, compared) = (ago(&status.last_change), ago(&status.last_comparison));
    let waiting = status.pending;
    match (status.state, &status.broken) {
        (State::WaitingForInputs, _) => {
            (Mood::Bad, "Not every object was read yet: nothing is programmed".to_owned())
        }
        (State::KernelUnknown, Some(error)) => {
            (Mood::Bad, format!("The kernel's state is not known, it will be read back: {error}"))
        }
        (State::KernelUnknown, None) => (Mood::Bad, "The kernel was not read yet".to_owned()),
        (State::Behind, _) => (
            Mood::Notable,
            format!(
                "Behind: {} Services wait, {} frontends are tried again; last change {changed}",
                waiting.services, waiting.retries
            ),
        ),
        (State::InStep, _) => {
            (Mood::Plain, format!("In step: last change {changed}, all compared {compared}"))
        }
    }
}

fn rows(status: &Status, style: Style, room: Option<usize>) -> Vec<String> {
    if status.frontends.is_empty() {
        return vec!["Nothing is served.".to_owned()];
    }
    let mut frontends: Vec<_> = status.frontends.iter().collect();
    frontends.sort_by(|one, two| style.sort.compare(one, two));
    let all = frontends.len();
    let shown = room.map_or(all, |room| if all < room { all } else { room.saturating_sub(2) });
    let shown = &frontends[..shown.min(all)];
    let all_columns: &[Column] =
        if style.wide { clap::ValueEnum::value_variants() } else { &Column::TABLE };
    let columns = fitting(all_columns.iter().map(|it| Shown::new(*it, shown)).collect(), style);
    let mut lines = Vec::with_capacity(shown.len() + 2);
    let heads = columns.iter().map(|it| padded(it.column.head(), it, Mood::Plain, style));
    let heads = cut(heads.collect::<Vec<_>>().join("  ").trim_end(), style);
    lines.push(if style.colours { format!("{BOLD}{heads}{END}") } else { heads });
    for row in 0..shown.len() {
        let cells = columns.iter().map(|it| {
            let (cell, mood) = &it.cells[row];
            padded(cell, it, *mood, style)
        });
        lines.push(cells.collect::<Vec<_>>().join("  ").trim_end().to_owned());
    }
    if shown.len() < all {
        lines.push(format!(".. and {} more", all - shown.len()));
    }
    lines
}

/// A column with its cells.
struct Shown {
    column: Column,
    cells: Vec<(String, Mood)>,
    width: usize,
}

impl Shown {
    /// As wide as its widest cell.
    fn new(column: Column, frontends: &[&Frontend]) -> Self {
        let cells: Vec<_> = frontends.iter().map(|it| (column.cell(it), column.mood(it))).collect();
        let widths = cells.iter().map(|(cell, _)| cell.chars().count());
        let width = widths.chain([column.head().len()]).max().unwrap_or_default();
        Self { column, cells, width }
    }
}

/// Leaves out columns until the others fit, and makes the first narrower if that is not enough.
fn fitting(mut columns: Vec<Shown>, style: Style) -> Vec<Shown> {
    let Some(width) = style.width else { return columns };
    let surplus = |columns: &[Shown]| {
        let total: usize = columns.iter().map(|it| it.width + 2).sum();
        total.saturating_sub(2).saturating_sub(width)
    };
    for dispensable in Column::DISPENSABLE.into_iter().filter(|it| *it != style.sort) {
        if surplus(&columns) == 0 {
            break;
        }
        columns.retain(|it| it.column != dispensable);
    }
    let surplus = surplus(&columns);
    if let Some(first) = columns.first_mut() {
        first.width = first.width.saturating_sub(surplus).max(8);
    }
    columns
}

/// What there is to say besides.
pub(super) fn problems(status: &Status, style: Style) -> Vec<String> {
    if status.problems.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![String::new(), format!("Problems ({})", status.problems.len())];
    lines.extend(status.problems.iter().map(|problem| {
        let object = &problem.object;
        let line = format!("{}: {object}: {}", problem.kind.words(), problem.reason);
        cut(&line, style)
    }));
    lines
}

/// A cell as wide as its column. What is too long ends in `…`.
fn padded(text: &str, shown: &Shown, mood: Mood, style: Style) -> String {
    let length = text.chars().count();
    let width = shown.width;
    let text = if length > width { shortened(text, width) } else { text.to_owned() };
    let space = " ".repeat(width.saturating_sub(length));
    let text = painted(&text, mood, style);
    if shown.column.is_number() { format!("{space}{text}") } else { format!("{text}{space}") }
}

fn cut(line: &str, style: Style) -> String {
    match style.width {
        // A line in colours was cut before they came.
        Some(width) if !line.contains('\x1b') && line.chars().count() > width => {
            shortened(line, width)
        }
        _ => line.to_owned(),
    }
}

fn shortened(text: &str, width: usize) -> String {
    let mut text: String = text.chars().take(width.saturating_sub(1)).collect();
    text.push('…');
    text
}

fn painted(text: &str, mood: Mood, style: Style) -> String {
    let colour = match mood {
        Mood::Notable if style.colours => YELLOW,
        Mood::Bad if style.colours => RED,
        _ => return text.to_owned(),
    };
    let mut painted = String::new();
    let _ = write!(painted, "{colour}{}{END}", cut(text, style));
    painted
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
