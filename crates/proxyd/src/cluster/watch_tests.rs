use std::convert::Infallible;

use futures::{FutureExt as _, StreamExt as _, stream};
use http::{Request, Response};
use http_body_util::StreamBody;
use hyper::body::{Bytes, Frame};
use kube::client::Body;
use proxy_core::api;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep};

use super::*;
use crate::config::WatchedNodes;

/// What a server says in a watch: each line after so many seconds. The end comes after the last;
/// with `MUTE`, never.
type Script = &'static [(u64, &'static str)];

const MUTE: u64 = u64::MAX;

const LISTED: (u64, &str) = (
    0,
    r#"{"type":"BOOKMARK","object":{"kind":"Node","apiVersion":"v1","metadata":{"resourceVersion":"7","annotations":{"k8s.io/initial-events-end":"true"}}}}"#,
);
const BOOKMARK: (u64, &str) = (
    60,
    r#"{"type":"BOOKMARK","object":{"kind":"Node","apiVersion":"v1","metadata":{"resourceVersion":"9"}}}"#,
);

/// Watches a server that says these things in one watch after the other, and tells when what is
/// heard, and what was asked, until nothing is left to say. The clock is the test's.
#[track_caller]
fn check(scripts: &'static [Script], expected_heard: &[(u64, &str)], expected_asked: &[&str]) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    let (heard, asked) = runtime.block_on(listen(scripts));
    let expected_heard: Vec<_> =
        expected_heard.iter().map(|(at, what)| (*at, (*what).to_owned())).collect();
    assert_eq!(heard, expected_heard);
    assert_eq!(asked, expected_asked);
}

async fn listen(scripts: &'static [Script]) -> (Vec<(u64, String)>, Vec<String>) {
    let (ask, mut asks) = mpsc::unbounded_channel();
    let done = Arc::new(Notify::new());
    let is_done = Arc::clone(&done);
    let mut left = scripts.iter();
    let server = tower::service_fn(move |request: Request<Body>| {
        let query = request.uri().query().unwrap().split('&');
        let version = query.filter_map(|it| it.strip_prefix("resourceVersion=")).next_back();
        ask.send(version.unwrap().to_owned()).unwrap();
        let script = left.next();
        let is_done = Arc::clone(&is_done);
        async move {
            let Some(script) = script else {
                is_done.notify_one();
                return std::future::pending().await;
            };
            Ok::<_, Infallible>(Response::new(StreamBody::new(lines(script))))
        }
    });
    let client = kube::Client::new(server, "default");
    let server = Arc::new(ApiServer::with_client(client));
    let watch = Watch::<api::Node>::new(&server, Selection::nodes(WatchedNodes::Own, "node-1"));
    let begin = Instant::now();
    let news = watch.stream().map(|news| (begin.elapsed().as_secs(), word(&news.heard)));
    let heard = news.take_until(Box::pin(done.notified())).collect().await;
    let mut asked = Vec::new();
    while let Ok(version) = asks.try_recv() {
        asked.push(version);
    }
    (heard, asked)
}

fn lines(script: Script) -> impl futures::Stream<Item = Result<Frame<Bytes>, Infallible>> {
    stream::unfold(script.iter(), async |mut script| {
        let (after, line) = script.next()?;
        if *after == MUTE {
            return std::future::pending().await;
        }
        sleep(Duration::from_secs(*after)).await;
        Some((Ok(Frame::data(Bytes::from(format!("{line}\n")))), script))
    })
}

fn word(heard: &Heard) -> String {
    match heard {
        Heard::ListBegins => "list begins".to_owned(),
        Heard::Present(_) => "present".to_owned(),
        Heard::Gone(_) => "gone".to_owned(),
        Heard::ListEnds => "list ends".to_owned(),
        Heard::Bookmark => "bookmark".to_owned(),
        Heard::Condition(Condition::Watched { again: true }) => "watched again".to_owned(),
        Heard::Condition(Condition::Watched { again: false }) => "watched".to_owned(),
        Heard::Condition(Condition::Failing(why)) => why.clone(),
        Heard::Condition(Condition::Unreadable(_)) => "unreadable".to_owned(),
    }
}

#[test]
fn a_watch_that_says_nothing_at_all_is_given_up_and_begun_anew() {
    check(
        &[&[LISTED, (MUTE, "")], &[LISTED, (MUTE, "")]],
        &[
            (0, "list begins"),
            (0, "list ends"),
            (1, "watched"),
            (151, "nothing is heard of it, not even that nothing changed"),
            (151, "list begins"),
            (151, "list ends"),
            (152, "watched again"),
            (302, "nothing is heard of it, not even that nothing changed"),
        ],
        &["0", "", ""],
    );
}

#[test]
fn a_quiet_watch_goes_on_where_bookmarks_say() {
    check(
        &[&[LISTED, BOOKMARK, BOOKMARK, BOOKMARK, BOOKMARK, (50, "")]],
        &[
            (0, "list begins"),
            (0, "list ends"),
            (1, "watched"),
            (60, "bookmark"),
            (120, "bookmark"),
            (180, "bookmark"),
            (240, "bookmark"),
        ],
        &["0", "9"],
    );
}

#[test]
fn what_has_arrived_is_read_without_a_pause() {
    const NODE: &str = r#"{"type":"ADDED","object":{"kind":"Node","apiVersion":"v1","metadata":{"name":"node-1","resourceVersion":"5"}}}"#;
    const COUNT: usize = 20;
    let server = tower::service_fn(async |_: Request<Body>| {
        let all_at_once = Bytes::from([NODE, "\n"].concat().repeat(COUNT));
        Ok::<_, Infallible>(Response::new(http_body_util::Full::new(all_at_once)))
    });
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().build().unwrap();
    let at_once = runtime.block_on(async {
        let server = Arc::new(ApiServer::with_client(kube::Client::new(server, "default")));
        let watch = Watch::<api::Node>::new(&server, Selection::nodes(WatchedNodes::Own, "node-1"));
        let mut news = Box::pin(watch.stream());
        let first: Vec<_> = news.by_ref().take(2).map(|news| word(&news.heard)).collect().await;
        assert_eq!(first, ["list begins", "present"]);
        let at_once = std::iter::from_fn(|| news.next().now_or_never().flatten());
        at_once.map(|news| word(&news.heard)).take_while(|word| word == "present").count()
    });
    assert_eq!(at_once, COUNT - 1);
}
