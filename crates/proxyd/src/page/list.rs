//! Every frontend of the node, a few hundred at a time, with what is wrong and what was mended. Pure.

use clap::ValueEnum as _;

use super::frame::{class, table};
use super::history::History;
use super::html::Html;
use super::plot::plot;
use super::query::{PATH, Query, name};
use crate::status::{Column, Frontend, Mood, Status, age};

/// Rows of one page: what a browser shows at once, also of 50,000.
const ROWS: usize = 200;
/// Problems and drifted objects that are listed; others are counted.
const NOTES: usize = 100;
/// So many are seen without being opened.
const OPEN: usize = 10;

/// The view.
pub(super) fn list(status: &Status, history: &History, query: &Query) -> Html {
    let mut html = Html::default();
    html.piece(&traffic(status, history)).piece(&problems(status)).piece(&drift(status));
    let needle = query.filter.to_lowercase();
    let mut rows: Vec<_> = status.frontends.iter().filter(|it| has(it, &needle)).collect();
    rows.sort_by(|one, two| query.sort.compare(one, two));
    let pages = rows.len().div_ceil(ROWS).max(1);
    let page = query.page.min(pages);
    let shown: Vec<_> = rows.iter().skip((page - 1) * ROWS).take(ROWS).copied().collect();
    html.piece(&form(query)).raw("<p>");
    match (rows.len(), status.frontends.len()) {
        (_, 0) => html.raw("Nothing is served."),
        (0, all) => html.text(format_args!("None of {all} frontends has this text.")),
        (some, all) if some == all => html.text(format_args!("{all} frontends.")),
        (some, all) => html.text(format_args!("{some} of {all} frontends.")),
    };
    html.raw("</p>");
    if !shown.is_empty() {
        html.piece(&pager(query, page, pages)).piece(&frontends(&shown, history, query));
        html.piece(&pager(query, page, pages));
    }
    html
}

/// Whether a row has a text, given in lower case.
fn has(frontend: &Frontend, needle: &str) -> bool {
    needle.is_empty()
        || [Column::Service, Column::Kind, Column::Frontend, Column::Scheduler, Column::Policy]
            .iter()
            .any(|column| column.cell(frontend).to_lowercase().contains(needle))
}

fn traffic(status: &Status, history: &History) -> Html {
    let sum = |number: fn(&Frontend) -> Option<u64>| -> u64 {
        status.frontends.iter().filter_map(number).sum()
    };
    let (active, total) = (sum(|it| it.traffic?.active), sum(|it| Some(it.traffic?.total)));
    let rates = status.frontends.iter().filter_map(|it| it.traffic?.per_second);
    let mut html = Html::default();
    html.raw("<p class=\"traffic\">");
    html.text(format_args!(
        "{active} connections, {:.0} new a second, {total} in all ",
        rates.sum::<f64>()
    ));
    html.piece(&plot(&history.total(), "New connections a second")).raw("</p>");
    html
}

fn problems(status: &Status) -> Html {
    let problem = |it: &crate::status::Trouble| {
        [it.kind.words().to_owned(), it.object.clone(), it.reason.clone()]
    };
    let rows: Vec<_> = status.problems.iter().take(NOTES).map(problem).collect();
    let heads = ["KIND", "OBJECT", "REASON"];
    notes("Problems", Mood::Bad, status.problems.len(), &table("What is wrong", &heads, &rows))
}

fn drift(status: &Status) -> Html {
    let drifted = |it: &crate::status::Drifted| {
        [format!("{} ago", age(it.found.age_seconds)), it.kind.clone(), it.object.clone()]
    };
    let recent = &status.drift.recent;
    let rows: Vec<_> = recent.iter().take(NOTES).map(drifted).collect();
    let heads = ["FOUND", "KIND", "OBJECT"];
    let table = table("What others changed and was mended", &heads, &rows);
    let count = usize::try_from(status.drift.total).unwrap_or(usize::MAX);
    notes("Drift", Mood::Notable, count, &table)
}

/// Something to be opened, unless it is brief; nothing if there is none of it.
fn notes(title: &'static str, mood: Mood, count: usize, table: &Html) -> Html {
    let mut html = Html::default();
    if count > 0 {
        html.raw("<details").raw(class(mood)).raw(if count <= OPEN { " open>" } else { ">" });
        html.raw("<summary>").raw(title).text(format_args!(" ({count})"));
        html.raw("</summary>").piece(table).raw("</details>");
    }
    html
}

/// What to look for, and in which order.
fn form(query: &Query) -> Html {
    let mut html = Html::default();
    html.raw("<form action=\"")
        .text(PATH)
        .raw("\"><label>Find <input type=\"search\" name=\"q\" value=\"");
    html.text(&query.filter).raw("\"></label> <label>Sort by <select name=\"sort\">");
    for column in Column::value_variants() {
        let selected = if *column == query.sort { "\" selected>" } else { "\">" };
        html.raw("<option value=\"").text(name(*column)).raw(selected);
        html.text(column.head().to_lowercase()).raw("</option>");
    }
    html.raw("</select></label>");
    if let Some(seconds) = query.refresh {
        html.raw("<input type=\"hidden\" name=\"refresh\" value=\"").text(seconds).raw("\">");
    }
    html.raw(" <button>Show</button></form>");
    html
}

fn pager(query: &Query, page: usize, pages: usize) -> Html {
    let mut html = Html::default();
    if pages == 1 {
        return html;
    }
    let mut link = |to: usize, words: &'static str| {
        let address = Query { page: to, ..query.clone() }.address();
        if (1..=pages).contains(&to) {
            html.raw("<a href=\"").text(address).raw("\">").raw(words).raw("</a> ");
        }
    };
    link(page - 1, "Previous");
    link(page + 1, "Next");
    let mut whole = Html::default();
    whole.raw("<nav>").text(format_args!("Page {page} of {pages} ")).piece(&html).raw("</nav>");
    whole
}

fn frontends(shown: &[&Frontend], history: &History, query: &Query) -> Html {
    let mut html = Html::default();
    html.raw("<div class=\"wide\"><table><caption>Frontends</caption><thead><tr>");
    for column in Column::TABLE {
        let address = Query { sort: column, page: 1, ..query.clone() }.address();
        html.raw(if column.is_number() {
            "<th scope=\"col\" class=\"number\""
        } else {
            "<th scope=\"col\""
        });
        if column == query.sort {
            html.raw(if column.is_number() {
                " aria-sort=\"descending\""
            } else {
                " aria-sort=\"ascending\""
            });
        }
        html.raw("><a href=\"").text(address).raw("\">").text(column.head()).raw("</a></th>");
        if column == Column::Rate {
            html.raw("<th scope=\"col\">LAST LOOKS</th>");
        }
    }
    html.raw("</tr></thead><tbody>");
    for frontend in shown {
        html.piece(&row(frontend, history, query));
    }
    html.raw("</tbody></table></div>");
    html
}

fn row(frontend: &Frontend, history: &History, query: &Query) -> Html {
    let mut html = Html::default();
    html.raw("<tr>");
    for column in Column::TABLE {
        let cell = column.cell(frontend);
        if column == Column::Service {
            let service = Some(frontend.service.clone());
            let address = Query { service, refresh: query.refresh, ..Query::default() }.address();
            html.raw("<th scope=\"row\" class=\"text\"><a href=\"")
                .text(address)
                .raw("\">")
                .text(cell);
            html.raw("</a></th>");
            continue;
        }
        html.raw(match column {
            Column::Frontend => "<td class=\"text\">",
            _ if column.is_number() => "<td class=\"number\">",
            _ => "<td>",
        });
        html.raw("<span").raw(class(column.mood(frontend))).raw(">").text(cell).raw("</span></td>");
        if column == Column::Rate {
            let values = history.of(&frontend.service);
            let plot = plot(&values, "New connections a second of the Service");
            html.raw("<td>").piece(&plot).raw("</td>");
        }
    }
    html.raw("</tr>");
    html
}

#[cfg(test)]
#[path = "list_tests.rs"]
mod tests;
