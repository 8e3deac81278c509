use super::*;
use crate::page::detail::detail;
use crate::page::frame::framed;
use crate::page::testing::{busy, node, web};

fn page(status: &Status, query: &str) -> String {
    let query = Query::read(query);
    let mut history = History::default();
    history.note(status);
    history.note(status);
    framed(status, &query, &list(status, &history, &query))
}

/// The Services of the rows, in their order.
fn services(page: &str) -> Vec<&str> {
    let rows = page.split("<tr><th scope=\"row\" class=\"text\"><a href=\"/page?service=").skip(1);
    rows.map(|row| row.split_once('>').unwrap().1.split_once('<').unwrap().0).collect()
}

#[test]
fn everything_is_shown_and_nothing_of_it_is_markup() {
    let page = page(&node(), "");
    for part in [
        "<title>proxyd on node-1</title>",
        "In step: last change 3s ago, all compared 20s ago",
        "12 connections, 15 new a second, 280 in all",
        "<details class=\"bad\" open><summary>Problems (1)</summary>",
        "&quot;&lt;img src=x&gt;&quot; is not an IP address",
        "<details class=\"notable\" open><summary>Drift (1)</summary>",
        "<td>server TCP 10.96.0.15:443 -&gt; 10.1.0.1:8080</td>",
        "4 frontends.",
        "<td class=\"text\">TCP 192.0.2.1:30080</td>",
        "<span class=\"bad\">0</span>",
        "x/&lt;script&gt;alert(1)&lt;/script&gt;:http",
        "href=\"/page?service=x%2F%3Cscript%3Ealert%281%29%3C%2Fscript%3E\"",
        "New connections a second of the Service: 15 now, 15 at most",
        "As of 2026-01-02T03:04:05Z",
    ] {
        let plain = page.replace("<span>", "").replace("</span></td>", "</td>");
        assert!(plain.contains(part) || page.contains(part), "{part} is in\n{page}");
    }
    for markup in ["<script", "<img", "style=", "onload", "javascript:", "http://", "https://"] {
        assert!(!page.contains(markup), "{markup} is in\n{page}");
    }
}

#[test]
fn what_is_wrong_is_open_unless_it_is_much() {
    let mut status = node();
    let mut is_open = |count| {
        status.problems = vec![status.problems[0].clone(); count];
        status.drift.total = count as u64;
        page(&status, "").matches(" open><summary>").count()
    };
    assert_eq!([10, 11].map(&mut is_open), [2, 0]);
}

#[test]
fn rows_are_found_and_sorted() {
    let all = ["default/web:http", "default/web:http", "shop/broken:http"];
    assert_eq!(services(&page(&node(), ""))[..3], all);
    assert_eq!(services(&page(&node(), "q=SHOP")), ["shop/broken:http"]);
    assert_eq!(services(&page(&node(), "q=nodeport")), ["default/web:http"]);
    assert_eq!(services(&page(&node(), "sort=problems"))[0], "shop/broken:http");
    let found = page(&node(), "q=%22%3E%3Cb%3E");
    assert!(found.contains("None of 4 frontends has this text."), "{found}");
    assert!(found.contains("value=\"&quot;&gt;&lt;b&gt;\""), "{found}");
    assert!(page(&Status::default(), "").contains("Nothing is served."));
    let sorted = page(&node(), "sort=rate");
    assert!(sorted.contains("aria-sort=\"descending\"><a href=\"/page?sort=rate\">CONN/S"));
}

#[test]
fn many_rows_are_turned_over_in_pages() {
    let names: Vec<_> = (0..450).map(|number| format!("a/s{number:03}")).collect();
    let rates: Vec<_> = names.iter().map(|name| (name.as_str(), 0.0)).collect();
    let status = busy(&rates);
    let view = |query| {
        let page = page(&status, query);
        let services = services(&page);
        let links = ["Previous", "Next"].map(|link| page.contains(&format!("\">{link}</a>")));
        (services.len(), services[0].to_owned(), links)
    };
    assert_eq!(view(""), (200, "a/s000".to_owned(), [false, true]));
    assert_eq!(view("page=2"), (200, "a/s200".to_owned(), [true, true]));
    assert_eq!(view("page=3"), (50, "a/s400".to_owned(), [true, false]));
    assert_eq!(view("page=99").1, "a/s400", "there are no more");
    assert_eq!(view("q=s44").0, 10);
    assert!(page(&status, "page=2&q=s").contains("href=\"/page?q=s&amp;page=3\">Next"));
}

#[test]
fn a_page_loads_itself_again_if_that_is_wanted() {
    let (still, moving) = (page(&node(), ""), page(&node(), "refresh=5"));
    assert!(!still.contains("http-equiv"), "{still}");
    assert!(still.contains("<a href=\"/page?refresh=5\">Load it again every 5 s</a>"), "{still}");
    assert!(moving.contains("<meta http-equiv=\"refresh\" content=\"5\">"), "{moving}");
    assert!(moving.contains("<a href=\"/page\">Stop loading it again</a>"), "{moving}");
    assert!(moving.contains("<input type=\"hidden\" name=\"refresh\" value=\"5\">"), "{moving}");
    assert!(moving.contains("?service=default%2Fweb&amp;refresh=5\""), "{moving}");
}

#[test]
fn one_service_is_shown_with_each_server_and_why_others_are_none() {
    let query = Query::read("service=default/web");
    let (status, history) = (web(), History::default());
    let page = framed(&status, &query, &detail(&status, "default/web", &history));
    for part in [
        "<h2>Service default/web</h2>",
        "<h3>ClusterIP TCP 10.96.0.9:80 (http)</h3><p>rr, policy Cluster, changed 61s ago</p>",
        "<p>3 connections, - inactive, 12 new a second, 70 in all</p>",
        "<caption>Servers in the kernel</caption>",
        "<td>0 (draining)</td>",
        "<td>node-2</td><td>zone-a</td>",
        "<td>it is not ready</td>",
    ] {
        assert!(page.contains(part), "{part} is in\n{page}");
    }
    let mut gone = status;
    gone.frontends.clear();
    let page = framed(&gone, &query, &detail(&gone, "default/<b>", &history));
    assert!(page.contains("Service default/&lt;b&gt;"), "{page}");
    assert!(page.contains("Nothing is served for it on this node."), "{page}");
}
