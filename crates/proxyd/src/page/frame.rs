//! What every view has around it. Pure.

use super::html::Html;
use super::query::{PATH, Query};
use crate::status::{Mood, Status, summary};

/// Seconds between two loads, if somebody wants the page to load itself.
const REFRESH: u8 = 5;

/// A view in its frame.
pub(super) fn framed(status: &Status, query: &Query, content: &Html) -> String {
    let mut html = begun(&format!("proxyd on {}", status.node), query.refresh);
    html.raw("<header><h1><a href=\"").text(PATH).raw("\">proxyd on ").text(&status.node);
    html.raw("</a></h1>");
    for (mood, line) in summary(status) {
        html.raw("<p").raw(class(mood)).raw(">").text(line).raw("</p>");
    }
    html.raw("</header><main>").piece(content).raw("</main><footer><p>As of ");
    html.text(&status.as_of.at).raw(". This page changes nothing. ").piece(&refresher(query));
    html.raw("</p></footer></body></html>\n");
    html.into_string()
}

/// A page that says why there is nothing to see.
pub(super) fn apology(words: &str, query: &Query) -> String {
    let mut html = begun("proxyd", query.refresh);
    html.raw("<main><h1>proxyd</h1><p class=\"bad\">").text(words).raw("</p><p><a href=\"");
    html.text(PATH).raw("\">To all Services</a></p></main></body></html>\n");
    html.into_string()
}

/// How something is meant; words say so, too.
pub(super) const fn class(mood: Mood) -> &'static str {
    match mood {
        Mood::Plain => "",
        Mood::Notable => " class=\"notable\"",
        Mood::Bad => " class=\"bad\"",
    }
}

/// A table with a caption; nothing if it has no rows.
pub(super) fn table<const N: usize>(
    caption: &'static str,
    heads: &[&str; N],
    rows: &[[String; N]],
) -> Html {
    let mut html = Html::default();
    if rows.is_empty() {
        return html;
    }
    html.raw("<div class=\"wide\"><table><caption>").raw(caption).raw("</caption><thead><tr>");
    for head in heads {
        html.raw("<th scope=\"col\">").text(head).raw("</th>");
    }
    html.raw("</tr></thead><tbody>");
    for row in rows {
        html.raw("<tr>");
        for cell in row {
            html.raw("<td>").text(cell).raw("</td>");
        }
        html.raw("</tr>");
    }
    html.raw("</tbody></table></div>");
    html
}

fn begun(title: &str, refresh: Option<u8>) -> Html {
    let mut html = Html::default();
    html.raw("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    if let Some(seconds) = refresh {
        html.raw("<meta http-equiv=\"refresh\" content=\"").text(seconds).raw("\">");
    }
    html.raw("<title>").text(title).raw("</title><link rel=\"icon\" href=\"data:,\">");
    html.raw("<link rel=\"stylesheet\" href=\"").text(PATH).raw(".css\"></head><body>");
    html
}

fn refresher(query: &Query) -> Html {
    let mut html = Html::default();
    let (refresh, words) = match query.refresh {
        None => (Some(REFRESH), "Load it again every 5 s"),
        Some(_) => (None, "Stop loading it again"),
    };
    let address = Query { refresh, ..query.clone() }.address();
    html.raw("<a href=\"").text(address).raw("\">").text(words).raw("</a>");
    html
}
