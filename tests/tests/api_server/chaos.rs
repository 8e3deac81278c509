//! Everything goes wrong at random instants while everything changes, and at the end nothing is
//! wrong.
//!
//! `CHAOS_SECONDS` says for how long, `CHAOS_SEED` with which chances.

use std::collections::BTreeSet;
use std::env;
use std::ops::{Range, RangeInclusive};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use rustix::process::Signal;
use serde_json::Value;
use tests::apiserver::{ApiServer, Cut, History, Options, Refusal, Requests, Telling};
use tests::lab::{Application, Client, Daemon, Endpoint, Transport};

use crate::cluster::{SOON, Scene, service};

/// Between two changes of the cluster.
const PACE: Duration = Duration::from_millis(25);

/// Services that change have these numbers.
const CHANGING: RangeInclusive<u8> = 10..=60;

fn number(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// One change of the cluster.
fn change(api: &ApiServer, rng: &mut Rng) {
    let application = changing(rng.u8(CHANGING), rng);
    let name = application.name();
    match rng.u8(..10) {
        0 => {
            api.delete("services", "default", name);
        }
        1 => {
            let family = *rng.choice(&["ipv4", "ipv6"]).expect("there are two");
            api.delete("endpointslices", "default", &format!("{name}-{family}"));
        }
        2..=4 => api.apply_yaml(&application.service()),
        _ => api.apply_yaml(&application.slices(&endpoints(rng))),
    }
}

/// A Service with a number, as it may look.
fn changing(number: u8, rng: &mut Rng) -> Application {
    let ips = [format!("10.96.0.{number}"), format!("fd00:96::{number}")];
    let ips = ips.each_ref().map(String::as_str);
    let application = Application::new(&format!("web-{number}"), &ips);
    let application = application.port(Transport::Tcp, rng.u16(80..83), 8080);
    if rng.bool() { application.port(Transport::Udp, 53, 5353) } else { application }
}

fn endpoints(rng: &mut Rng) -> Vec<Endpoint> {
    let count = rng.usize(..6);
    let some = rng.choose_multiple(20..40, count).into_iter();
    let each = some.map(|host| {
        let endpoint = Endpoint::new(2, host);
        match rng.u8(..6) {
            0 => endpoint.not_ready(),
            1 => endpoint.terminating(),
            _ => endpoint,
        }
    });
    each.collect()
}

/// What `ipvsadm -Sn` prints when a node serves what the API has.
fn expected(api: &ApiServer) -> BTreeSet<String> {
    let slices = api.objects("endpointslices");
    let mut lines = BTreeSet::new();
    for service in api.objects("services") {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let ips = service["spec"]["clusterIPs"].as_array().into_iter().flatten().map(&text);
        for ip in ips {
            let (family, place) = match ip.contains(':') {
                true => ("IPv6", format!("[{ip}]")),
                false => ("IPv4", ip),
            };
            let of = slices.iter().filter(|slice| {
                let owner = &slice["metadata"]["labels"]["kubernetes.io/service-name"];
                *owner == service["metadata"]["name"] && slice["addressType"] == family
            });
            let of: Vec<_> = of.collect();
            for port in service["spec"]["ports"].as_array().into_iter().flatten() {
                let protocol = if port["protocol"] == "TCP" { "-t" } else { "-u" };
                let frontend = format!("{protocol} {place}:{}", port["port"]);
                lines.insert(format!("-A {frontend} -s rr"));
                lines.extend(servers(&of, port).into_iter().map(|(address, target)| {
                    format!("-a {frontend} -r {}:{target} -m -w 1", address)
                }));
            }
        }
    }
    lines
}

/// The endpoints that are used for a port: the ready ones, or else those that still serve.
fn servers(slices: &[&Value], port: &Value) -> Vec<(String, u64)> {
    let with = |is_used: &dyn Fn(&Value) -> bool| {
        let mut servers = Vec::new();
        for slice in slices {
            let ports = slice["ports"].as_array().into_iter().flatten();
            for target in ports.filter(|it| it["name"] == port["name"]) {
                let endpoints = slice["endpoints"].as_array().into_iter().flatten();
                for endpoint in endpoints.filter(|it| is_used(&it["conditions"])) {
                    let address = endpoint["addresses"][0].as_str().expect("it has an address");
                    let address = match address.contains(':') {
                        true => format!("[{address}]"),
                        false => address.to_owned(),
                    };
                    servers.push((address, target["port"].as_u64().expect("it has a port")));
                }
            }
        }
        servers
    };
    let ready = with(&|conditions| conditions["ready"] == true);
    let ending = |it: &Value| it["serving"] == true && it["terminating"] == true;
    if ready.is_empty() { with(&ending) } else { ready }
}

/// Something goes wrong. Says what.
fn fault(api: &ApiServer, rng: &mut Rng) -> &'static str {
    let watches = Requests::any().verb("watch");
    let refuse = |code, requests| {
        let refusal = Refusal::of_code(code).expect("a code that servers use");
        api.refuse_next(usize::MAX, requests, refusal);
        api.end_watches();
    };
    match rng.u8(..12) {
        0 | 1 => {
            api.stop();
            "stopped"
        }
        2 => {
            api.cut_connections();
            "all connections are cut"
        }
        3 => {
            api.cut_watches(watches, Cut::Bytes(rng.usize(1..3000)));
            "watches are cut somewhere in a line"
        }
        4 => {
            api.cut_watches(watches, Cut::Events(rng.usize(..5)));
            "watches are cut after some events"
        }
        5 => {
            api.expire_watches();
            "watches expired"
        }
        6 => {
            api.drop_history();
            api.end_watches();
            "the history is lost"
        }
        7 => {
            api.stall();
            "no byte moves"
        }
        8 => {
            refuse(
                *rng.choice(&[401, 403, 410, 429, 500, 503, 504]).expect("some"),
                Requests::any(),
            );
            "everything is refused"
        }
        9 => {
            api.tell(Telling::Twice);
            "everything is told twice"
        }
        10 => {
            api.slow_down(rng.u64(500..5_000));
            "the network is slow"
        }
        _ => {
            refuse(500, watches);
            "watches are refused"
        }
    }
}

fn end_faults(api: &ApiServer, rng: &mut Rng, fault: &str) {
    api.end_faults();
    if fault == "stopped" {
        api.start_again(if rng.bool() { History::Kept } else { History::Dropped });
    }
}

/// Goes on changing the cluster for some milliseconds.
fn go_on(api: &ApiServer, rng: &mut Rng, millis: Range<u64>) {
    let end = Instant::now() + Duration::from_millis(rng.u64(millis));
    while Instant::now() < end {
        change(api, rng);
        thread::sleep(PACE);
    }
}

/// Waits until the kernel has what the API has, and returns how long that took: of a daemon that was
/// just started, its start is part of it.
fn converge(scene: &Scene, daemon: &Daemon) -> Duration {
    let (begin, expected) = (Instant::now(), expected(&scene.api));
    loop {
        let services: BTreeSet<_> = scene.kernel().services.into_iter().collect();
        if services == expected {
            return begin.elapsed();
        }
        if begin.elapsed() > 2 * SOON {
            let missing: Vec<_> = expected.difference(&services).collect();
            let left: Vec<_> = services.difference(&expected).collect();
            panic!("missing {missing:#?}, left over {left:#?}\n{}", daemon.log());
        }
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn whatever_goes_wrong_the_kernel_ends_up_with_what_the_api_says() {
    let (seconds, seed) = (number("CHAOS_SECONDS", 60), number("CHAOS_SEED", 7));
    eprintln!("CHAOS_SECONDS={seconds} CHAOS_SEED={seed}");
    let mut rng = Rng::with_seed(seed);
    let scene = Scene::new(Options::default());
    let (api, steady) = (&scene.api, service(1));
    scene.apply(&steady, &[Endpoint::from(&scene.pod)]);
    let mut daemon = scene.serve();
    let target = steady.targets().next().expect("it has an address");
    let client = Client::in_namespace(&scene.node().namespace);
    let stream = client.stream(target, Duration::from_millis(50));
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut slowest, mut slowest_start) = (Duration::ZERO, Duration::ZERO);
    while Instant::now() < end {
        let mut was_killed = false;
        for _ in 0..rng.u8(1..5) {
            go_on(api, &mut rng, 100..1000);
            if rng.u8(..4) == 0 {
                eprintln!("proxyd is killed");
                daemon.stop(Signal::KILL);
                go_on(api, &mut rng, 0..500);
                daemon = scene.start();
                was_killed = true;
            } else {
                let fault = fault(api, &mut rng);
                eprintln!("{fault}");
                go_on(api, &mut rng, 100..2000);
                end_faults(api, &mut rng, fault);
            }
        }
        let slowest = if was_killed { &mut slowest_start } else { &mut slowest };
        *slowest = converge(&scene, &daemon).max(*slowest);
        daemon.wait_for_log("synced everything");
        assert_eq!(stream.tally().lost, [], "{}", daemon.log());
    }
    let tally = stream.stop();
    eprintln!(
        "{} requests; the slowest recovery took {slowest:?}, and {slowest_start:?} where proxyd was \
         started anew, its start included",
        tally.requests()
    );
    assert_eq!(tally.lost, []);
    assert_eq!(scene.run(&["plan"], &[]).status.code(), Some(0), "nothing is left to do");
}
