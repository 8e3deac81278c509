//! The page as a browser takes it: Chromium, to which the policy of the page allows no script.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use tokio::net::TcpListener;
use tokio::runtime::Builder;

use super::frame::framed;
use super::history::History;
use super::list::list;
use super::query::Query;
use super::server::{shown, style};
use super::testing::{node, web};
use crate::manifest::testing::Scratch;
use crate::page::detail::detail;
use crate::serve::{Answer, Asked, Connections, serve};
use crate::status::Status;

/// A server of the views of a node that stands still, and what was asked of it.
struct Site {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Site {
    fn new() -> Self {
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let log = Arc::clone(&asked);
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            Builder::new_current_thread().enable_all().build().unwrap().block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                sender.send(listener.local_addr().unwrap()).unwrap();
                let answer = move |it: Asked| {
                    log.lock().unwrap().push(it.path.clone());
                    async move { answer(&it) }
                };
                serve(listener, Connections::default(), answer).await;
            });
        });
        Self { address: format!("http://{}", receiver.recv().unwrap()), asked }
    }
}

fn answer(asked: &Asked) -> Option<Answer> {
    let query = Query::read(asked.query.as_deref().unwrap_or_default());
    let mut history = History::default();
    for look in 0..30 {
        let mut status = node();
        for (factor, frontend) in (7..).zip(&mut status.frontends) {
            let traffic = frontend.traffic.as_mut().expect("it was read");
            traffic.per_second = Some(f64::from(look * factor % 23));
        }
        history.note(&status);
    }
    match (&*asked.path, &query.service) {
        ("/page.css", _) => Some(style()),
        ("/page", None) => {
            let status = node();
            Some(shown(framed(&status, &query, &list(&status, &history, &query))))
        }
        ("/measured", None) => {
            let status = wide();
            let page = framed(&status, &query, &list(&status, &history, &query)) + MEASURE;
            // Without the policy, which allows no script.
            Some(Answer { headers: &[], ..shown(page) })
        }
        ("/page", Some(service)) => {
            let status = web();
            Some(shown(framed(&status, &query, &detail(&status, service, &history))))
        }
        ("/script", _) => Some(Answer { content_type: "text/html", ..Answer::text(SCRIPT) }),
        _ => None,
    }
}

/// A node of which texts are as long as they often get.
fn wide() -> Status {
    let mut status = node();
    for frontend in &mut status.frontends {
        "team-production/checkout-gateway-internal".clone_into(&mut frontend.service);
        "[2001:db8:1234:5678:9abc:def0:1234:5678]:30080".clone_into(&mut frontend.address);
        "LoadBalancer".clone_into(&mut frontend.kind);
    }
    status.problems[0].object = "Service team-production/checkout-gateway-internal".to_owned();
    status
}

/// Says by how much tables are wider than their places, and the page than its window.
const MEASURE: &str = "<script>addEventListener('load', () => {
    const places = [document.documentElement, ...document.querySelectorAll('.wide')];
    document.title = 'wider by ' + places.map(it => it.scrollWidth - it.clientWidth);
});</script>";

/// A page that is not ours, and shows whether scripts run.
const SCRIPT: &str =
    "<!doctype html><link rel=icon href=data:,><script>document.title = 1 + 1</script>";

/// Settings of a browser that runs no scripts.
const BLOCKED: &str = r#"{"profile": {"default_content_setting_values": {"javascript": 2}}}"#;

/// What Chromium makes of a page.
fn dom(url: &str) -> String {
    chromium(&Scratch::new(), &["--dump-dom"], url)
}

/// The same if it runs no scripts.
fn dom_without_scripts(url: &str) -> String {
    let profile = Scratch::new();
    std::fs::create_dir(profile.path().join("Default")).unwrap();
    profile.write("Default/Preferences", BLOCKED);
    chromium(&profile, &["--dump-dom"], url)
}

/// Starts Chromium, which resolves no names. Returns what it printed; what a page does wrong, it says on
/// its console.
fn chromium(profile: &Scratch, arguments: &[&str], url: &str) -> String {
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"])
        .args(["--disable-background-networking", "--disable-component-update"])
        .args(["--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1", "--hide-scrollbars"])
        .args(["--no-proxy-server", "--enable-logging=stderr"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(arguments)
        .arg(url)
        .output()
        .expect("chromium is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    let complaints: Vec<_> = said.lines().filter(|line| line.contains(":CONSOLE")).collect();
    assert_eq!(complaints, Vec::<&str>::new());
    assert!(output.status.success(), "{said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Takes a picture, which is kept where `PAGE_SCREENSHOTS` says.
fn picture(name: &str, size: (u32, u32), arguments: &[&str], url: &str) {
    let scratch = Scratch::new();
    let kept = std::env::var_os("PAGE_SCREENSHOTS").map(PathBuf::from);
    let directory = kept.as_deref().unwrap_or_else(|| scratch.path());
    std::fs::create_dir_all(directory).unwrap();
    let file = directory.join(name);
    let screenshot = format!("--screenshot={}", file.display());
    let (width, height) = size;
    let window = format!("--window-size={width},{height}");
    chromium(&Scratch::new(), &[&[screenshot.as_str(), &window], arguments].concat(), url);
    assert_eq!(dimensions(&file), size);
}

/// Of a PNG: its first chunk begins with them (RFC 2083).
fn dimensions(file: &Path) -> (u32, u32) {
    let bytes = std::fs::read(file).unwrap();
    let number = |at: usize| u32::from_be_bytes(*bytes[at..].first_chunk().unwrap());
    (number(16), number(20))
}

#[test]
#[ignore = "needs chromium"]
fn a_browser_shows_the_page_and_loads_nothing_else() {
    let site = Site::new();
    let page = format!("{}/page", site.address);
    let whole = dom(&page);
    let rows = whole.matches("<tr><th scope=\"row\" ").count();
    assert_eq!(rows, 4, "{whole}");
    assert!(whole.contains("x/&lt;script&gt;alert(1)&lt;/script&gt;:http"), "{whole}");
    assert!(whole.contains("<polyline points="), "{whole}");
    let asked = std::mem::take(&mut *site.asked.lock().unwrap());
    assert_eq!(asked, ["/page", "/page.css"]);

    let service = format!("{page}?service=default/web");
    let detail = dom(&service);
    assert!(detail.contains("<td>0 (draining)</td>"), "{detail}");
    assert_eq!((dom_without_scripts(&page), dom_without_scripts(&service)), (whole, detail));
    let script = format!("{}/script", site.address);
    let ran = [dom(&script), dom_without_scripts(&script)].map(|it| it.contains(">2</title>"));
    assert_eq!(ran, [true, false], "scripts run unless they are blocked");
    picture("page.png", (1280, 800), &[], &page);
    picture("page-dark.png", (1280, 800), &["--force-dark-mode"], &page);
    picture("page-narrow.png", (500, 900), &[], &page);
    picture("service.png", (1280, 800), &[], &service);
}

#[test]
#[ignore = "needs chromium"]
fn all_columns_fit_a_window_of_1280_points() {
    let page = format!("{}/measured", Site::new().address);
    let dom = chromium(&Scratch::new(), &["--dump-dom", "--window-size=1280,800"], &page);
    assert!(dom.contains("wider by 0,0,0,0"), "{dom}");
    picture("page-long.png", (1280, 800), &[], &page);
    picture("page-long-narrow.png", (500, 1100), &[], &page);
}
