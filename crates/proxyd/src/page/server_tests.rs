use std::net::Ipv4Addr;
use std::sync::mpsc;
use std::time::Duration;

use futures::future::join_all;
use hyper::Method;
use tokio::runtime::Builder;
use tokio::time::Instant;

use super::*;
use crate::status::testing::{Scene, pages};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn asked(path: &str) -> Asked {
    let (path, query) = path.split_once('?').map_or((path, None), |(it, query)| (it, Some(query)));
    Asked {
        method: Method::GET,
        path: path.to_owned(),
        query: query.map(str::to_owned),
        host: Some("localhost:10249".to_owned()),
        peer: "127.0.0.1".parse().ok(),
    }
}

/// What is answered, all by one page.
fn answers(page: &Page, asked: &[Asked]) -> Vec<Option<Answer>> {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let mut answers = Vec::new();
        for asked in asked {
            answers.push(page.answer(asked).await);
        }
        answers
    })
}

/// Statuses of answers, 404 if there is none.
fn statuses(page: &Page, asked: &[Asked]) -> Vec<u16> {
    let status = |answer: &Option<Answer>| answer.as_ref().map_or(404, |it| it.status.as_u16());
    answers(page, asked).iter().map(status).collect()
}

fn page(scene: &Scene, audience: PageFor) -> Page {
    page_at(scene, audience, "0.0.0.0")
}

fn page_at(scene: &Scene, audience: PageFor, address: &str) -> Page {
    let address = address.parse().unwrap();
    Page::new(scene.desk.clone(), audience, address).expect("it is for somebody")
}

#[test]
fn a_running_daemon_is_shown() {
    let scene = Scene::new();
    assert!(Page::new(scene.desk.clone(), PageFor::Nobody, LOOPBACK).is_none());
    scene.serve_web();
    scene.in_step();
    let page = page(&scene, PageFor::Loopback);
    let paths = ["/page", "/page.css", "/page?service=default/web", "/page?service=default/other"];
    let answers = answers(&page, &paths.map(asked));
    let [Some(list), Some(style), Some(detail), Some(other)] = &*answers else {
        panic!("{answers:?}");
    };
    assert_eq!((list.status, list.content_type), (StatusCode::OK, "text/html; charset=utf-8"));
    assert!(list.words().contains(">default/web:http</a>"), "{}", list.words());
    assert_eq!(style.content_type, "text/css; charset=utf-8");
    assert!(detail.words().contains("<td>it is not ready</td>"), "{}", detail.words());
    assert_eq!(other.status, StatusCode::NOT_FOUND);
    assert!(other.words().contains("is not known to this node"), "{}", other.words());
    for answer in [list, style, detail, other] {
        let policy = answer.headers.iter().find(|(name, _)| *name == "content-security-policy");
        assert!(policy.is_some_and(|(_, policy)| policy.starts_with("default-src 'none';")));
    }
}

#[test]
fn it_is_shown_to_its_audience_only_and_changed_by_nobody() {
    let scene = Scene::new();
    let from = |peer: &str| Asked { peer: peer.parse().ok(), ..asked("/page.css") };
    let to = |host: &str| Asked { host: Some(host.to_owned()), ..asked("/page.css") };
    let by = |method| Asked { method, ..asked("/page.css") };
    let local = page(&scene, PageFor::Loopback);
    let peers = ["127.0.0.1", "::1", "::ffff:127.0.0.1", "192.0.2.1", "2001:db8::1"].map(from);
    assert_eq!(statuses(&local, &peers), [200, 200, 200, 404, 404]);
    assert_eq!(statuses(&page(&scene, PageFor::Everybody), &peers), [200; 5]);
    let hosts = ["localhost", "LOCALHOST:1", "127.0.0.1:80", "[::1]:80", "[::1]", "::1"].map(to);
    assert_eq!(statuses(&local, &hosts), [200; 6]);
    let hosts = ["evil.example", "evil.example:80", "192.0.2.1:80", "", "localhost.evil"].map(to);
    assert_eq!(statuses(&local, &hosts), [421; 5]);
    // For everybody, too, if only this machine can ask.
    for address in ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"] {
        let all = page_at(&scene, PageFor::Everybody, address);
        assert_eq!(statuses(&all, &["evil.example", "localhost"].map(to)), [421, 200], "{address}");
    }
    for address in ["0.0.0.0", "::", "192.0.2.1"] {
        let all = page_at(&scene, PageFor::Everybody, address);
        assert_eq!(statuses(&all, &["node-1.example", "localhost"].map(to)), [200; 2], "{address}");
    }
    assert_eq!(statuses(&local, &[Asked { host: None, ..asked("/page.css") }]), [421]);
    assert_eq!(statuses(&local, &[by(Method::HEAD), by(Method::POST)]), [200, 405]);
    let [Some(refused)] = &*answers(&local, &[by(Method::DELETE)]) else { panic!() };
    assert_eq!(refused.headers, [("allow", "GET, HEAD")]);
    let others = ["/", "/pages", "/page/", "/page.css/", "/page.js"].map(asked);
    assert_eq!(statuses(&local, &others), [404; 5]);
}

#[test]
fn a_driver_that_does_not_answer_is_said_to_all_who_look_at_once() {
    let (inputs, receiver) = mpsc::channel();
    let page = Page::new(Desk::new(inputs, pages()), PageFor::Loopback, LOOPBACK).unwrap();
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let paths = ["/page", "/page?service=default/web"].map(asked);
    let (answers, waited) = runtime.block_on(async {
        let begin = Instant::now();
        let answers = join_all(paths.iter().cycle().take(24).map(|asked| page.answer(asked))).await;
        (answers, begin.elapsed())
    });
    for answer in answers.into_iter().map(Option::unwrap) {
        let unavailable = (StatusCode::SERVICE_UNAVAILABLE, "text/html; charset=utf-8");
        assert_eq!((answer.status, answer.content_type), unavailable, "{}", answer.words());
        assert!(answer.words().contains("the daemon has been busy"), "{}", answer.words());
    }
    assert!(waited < Duration::from_secs(6), "one waited after the other: {waited:?}");
    drop(receiver);
}
