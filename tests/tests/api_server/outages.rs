//! Each thing that can go wrong between the API and the node, by itself.

use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tests::apiserver::{Credentials, Cut, History, Options, Refusal, Requests, Telling};
use tests::lab::{Application, Daemon, Endpoint, wait_until};

use crate::cluster::{SOON, Scene, complaints, service};

/// More than there will be.
const ALWAYS: usize = usize::MAX;

fn refusal(code: u16) -> Refusal {
    Refusal::of_code(code).expect("a code that servers use")
}

/// Whether the kernel has an IPVS service of the API's Service.
fn is_programmed(scene: &Scene, application: &Application) -> bool {
    let target = application.targets().next().expect("it has an address").to_string();
    scene.kernel().services.iter().any(|line| line.contains(&target))
}

/// A daemon that serves Service 1, which has the scene's pod.
fn serving(options: Options) -> (Scene, Daemon) {
    let scene = Scene::new(options);
    scene.apply(&service(1), &[Endpoint::from(&scene.pod)]);
    let daemon = scene.serve();
    (scene, daemon)
}

/// Nothing is known to be gone before everything was listed once.
#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn nothing_is_programmed_before_every_kind_was_listed() {
    let scene = Scene::new(Options::default());
    let (one, two) = (service(1), service(2));
    for application in [&one, &two] {
        scene.apply(application, &[Endpoint::from(&scene.pod)]);
    }
    scene.configure(&Credentials::Nothing, str::to_owned);

    scene.api.stop();
    let daemon = scene.start();
    daemon.wait_for_log("the API server does not answer");
    thread::sleep(Duration::from_secs(3));
    assert_eq!(complaints(&daemon, "API server"), 1, "it is said once: {}", daemon.log());
    let slices = Requests::any().resource("endpointslices");
    scene.api.refuse_next(ALWAYS, slices.clone(), refusal(500));
    scene.api.start_again(History::Kept);
    daemon.wait_for_log("EndpointSlices cannot be watched");
    thread::sleep(Duration::from_secs(1));
    assert_eq!(scene.kernel().services, [""; 0], "{}", daemon.log());
    scene.api.end_faults();
    scene.is_soon_served(&one);
    daemon.wait_for_log("EndpointSlices are watched again");
    let cut = Instant::now();
    daemon.stop(Signal::KILL);

    // The next one finds Services in the kernel, and a server that is slow to tell of them.
    assert!(scene.api.delete("services", "default", "web-2"));
    let before = scene.kernel();
    scene.api.slow_down(600);
    let daemon = scene.start();
    daemon.wait_for_log("started");
    while cut.elapsed() < Duration::from_secs(5) {
        assert_eq!(scene.kernel(), before, "{}", daemon.log());
    }
    assert!(!daemon.log().contains("synced everything"));
    scene.api.slow_down(0);
    daemon.wait_for_log("synced everything");
    assert!(!is_programmed(&scene, &two) && scene.ask(&one).is_ok());
}

/// While nobody tells of changes, everything stays; afterwards what was missed is made good.
#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn what_happens_while_nobody_listens_is_made_good() {
    let (scene, daemon) = serving(Options::default());
    let endpoints = [Endpoint::from(&scene.pod)];
    let api = &scene.api;
    let (one, old, new) = (service(1), service(2), service(3));
    scene.apply(&old, &endpoints);
    scene.is_soon_served(&old);
    // Service 3 comes and 2 goes while nothing is heard, and the other way round in the next round.
    let mut pair = [(&old, "web-2"), (&new, "web-3")];
    let mut check = |name: &str, begin: &dyn Fn(), end: &dyn Fn(), is_silent: bool| {
        eprintln!("{name}");
        let ([(gone, gone_name), (came, _)], before) = (pair, scene.kernel());
        begin();
        assert!(api.delete("services", "default", gone_name));
        scene.apply(came, &endpoints);
        if is_silent {
            thread::sleep(Duration::from_millis(500));
            assert_eq!(scene.kernel(), before, "{name}: {}", daemon.log());
        }
        end();
        scene.is_soon_served(came);
        scene.is_soon_refused(gone);
        assert!(scene.ask(&one).is_ok());
        pair.reverse();
    };
    let any = Requests::any;
    let watches = || any().verb("watch");
    check("stopped", &|| api.stop(), &|| api.start_again(History::Kept), true);
    check("stopped for long", &|| api.stop(), &|| api.start_again(History::Dropped), true);
    check("cut", &|| api.cut_connections(), &|| {}, false);
    check("ended", &|| api.end_watches(), &|| {}, false);
    check("expired, told by an event", &|| api.expire_watches(), &|| {}, false);
    let refuse = |requests: Requests, code: u16| {
        api.refuse_next(ALWAYS, requests, refusal(code));
        api.end_watches();
    };
    check("expired, told by a status", &|| refuse(any(), 410), &|| api.end_faults(), true);
    check("forbidden", &|| refuse(any(), 403), &|| api.end_faults(), true);
    check("overloaded", &|| refuse(any(), 429), &|| api.end_faults(), true);
    check("failing", &|| refuse(watches(), 500), &|| api.end_faults(), true);
    check("stalled", &|| api.stall(), &|| api.go_on(), true);
    let cut = |after: Cut| {
        api.cut_watches(watches(), after);
        api.end_watches();
    };
    check("cut in a line", &|| cut(Cut::Bytes(50)), &|| api.end_faults(), true);
    check("cut at once", &|| cut(Cut::Events(0)), &|| api.end_faults(), true);
    check("told by halves", &|| cut(Cut::Bytes(900)), &|| {}, false);
    api.end_faults();

    // Each outage is said, and its end: those that follow on each other are one.
    for kind in ["Services", "EndpointSlices", "Nodes"] {
        let last = |text: &str| daemon.log().rfind(&format!("{kind} {text}"));
        let is_over = || last("are watched again") > last("cannot be watched");
        wait_until("the end of the outage is told", 4 * SOON, is_over);
        let begins = complaints(&daemon, &format!("{kind} cannot be watched"));
        assert!((1..=15).contains(&begins), "{kind}: {begins} outages: {}", daemon.log());
    }
}

/// A server that ends every watch at once is not asked as fast as it answers.
#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_server_that_fails_is_not_asked_without_a_pause() {
    let (scene, daemon) = serving(Options::default());
    let api = &scene.api;
    let check = |name: &str, begin: &dyn Fn()| {
        begin();
        api.cut_connections();
        api.forget_requests();
        thread::sleep(Duration::from_secs(3));
        let asked = api.requests().len();
        eprintln!("{name}: {asked} requests in 3 s");
        api.end_faults();
        // Of three kinds, at first ten times a second and ever slower.
        assert!((3..250).contains(&asked), "{name}: {asked} requests: {}", daemon.log());
    };
    check("cut", &|| api.cut_watches(Requests::any(), Cut::Events(0)));
    check("refused", &|| api.refuse_next(ALWAYS, Requests::any(), refusal(503)));
    check("expired", &|| api.refuse_next(ALWAYS, Requests::any(), refusal(410)));
    scene.apply(&service(2), &[Endpoint::from(&scene.pod)]);
    scene.is_soon_served(&service(2));
    assert!(complaints(&daemon, "cannot be watched") < 20, "{}", daemon.log());
}

/// What is told twice costs nothing twice.
#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn what_is_told_twice_is_done_once() {
    let (scene, daemon) = serving(Options::default());
    scene.api.tell(Telling::Twice);
    let changes = |daemon: &Daemon| daemon.log().matches("synced").count();
    let before = changes(&daemon);
    scene.api.apply_yaml(&service(1).slices(&[Endpoint::new(2, 10), Endpoint::new(2, 11)]));
    let has_server = || scene.kernel().weight("10.244.2.11:8080") == Some(1);
    wait_until("there is another server", SOON, has_server);
    scene.api.cut_connections();
    thread::sleep(Duration::from_secs(1));
    let syncs = changes(&daemon) - before;
    assert!((1..=2).contains(&syncs), "a slice of each family changed: {}", daemon.log());
}

/// What was restored from a backup is older than what was known, and true.
#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_restored_backup_counts() {
    let (scene, _daemon) = serving(Options::default());
    let endpoints = [Endpoint::from(&scene.pod)];
    let (old, new, later) = (service(2), service(3), service(4));
    scene.apply(&old, &endpoints);
    let backup = scene.api.backup();
    assert!(scene.api.delete("services", "default", "web-2"));
    scene.apply(&new, &endpoints);
    for _ in 0..50 {
        scene.api.apply_yaml(&new.slices(&[]));
        scene.api.apply_yaml(&new.slices(&endpoints));
    }
    scene.is_soon_served(&new);
    scene.is_soon_refused(&old);
    scene.api.stop();
    thread::sleep(Duration::from_millis(500));
    scene.api.restore(&backup);
    scene.api.start_again(History::Dropped);
    scene.is_soon_served(&old);
    scene.is_soon_refused(&new);
    scene.apply(&later, &endpoints);
    scene.is_soon_served(&later);
}

/// The one that the kubeconfig names is dead, or dies: another of the cluster is asked.
#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn another_api_server_is_asked_when_one_does_not_answer() {
    let scene = Scene::new(Options::default());
    let one = service(1);
    scene.apply(&one, &[Endpoint::from(&scene.pod)]);
    scene.configure(&Credentials::Nothing, |text| {
        format!("{text}proxyd: {{apiServers: ['{}']}}\n", scene.api.url())
    });
    // Nobody listens there.
    let kubeconfig = scene.config().with_file_name("kubeconfig.conf");
    let text = std::fs::read_to_string(&kubeconfig).expect("it was written");
    std::fs::write(&kubeconfig, text.replace(&scene.api.url(), "http://127.0.0.1:1"))
        .expect("it can be written");
    let daemon = scene.start();
    daemon.wait_for_log("synced everything");
    assert!(scene.ask(&one).is_ok());
    assert_eq!(complaints(&daemon, "cannot be watched"), 0, "{}", daemon.log());
}
