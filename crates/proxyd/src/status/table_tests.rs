use super::super::document::{Drifted, Drifts, Servers, Traffic, Trouble, TroubleKind};
use super::*;

const PLAIN: Style =
    Style { width: None, height: None, colours: false, wide: false, sort: Column::Service };

fn ago(seconds: f64) -> Moment {
    Moment { at: String::new(), age_seconds: seconds }
}

fn frontend(service: &str, kind: &str, address: &str, ready: (usize, usize)) -> Frontend {
    Frontend {
        service: service.to_owned(),
        port_name: "http".to_owned(),
        kind: kind.to_owned(),
        protocol: "TCP".to_owned(),
        address: address.to_owned(),
        scheduler: "rr".to_owned(),
        policy: if ready.0 == ready.1 { "Cluster" } else { "Local" }.to_owned(),
        servers: Servers {
            outside: ready.0,
            inside: ready.1,
            ready: ready.0.max(ready.1),
            draining: Some(0),
            ..Servers::default()
        },
        traffic: Some(Traffic {
            active: Some(0),
            inactive: Some(0),
            per_second: Some(0.0),
            ..Traffic::default()
        }),
        changed: Some(ago(10_000.0)),
        ..Frontend::default()
    }
}

fn status() -> Status {
    let mut busy = frontend("default/web", "ClusterIP", "10.96.0.9:80", (3, 3));
    busy.servers.draining = Some(1);
    busy.servers.unused = 2;
    busy.affinity_seconds = Some(10_800);
    busy.traffic = Some(Traffic {
        active: Some(12),
        inactive: Some(340),
        per_second: Some(7.25),
        total: 99_999,
        bytes_in: 12_345,
        bytes_out: 123_456_789,
    });
    busy.changed = Some(ago(42.9));
    let mut split = frontend("default/web", "LoadBalancer", "203.0.113.5:80", (0, 3));
    split.drift = 1;
    let mut none =
        frontend("kube-system/a-service-with-a-long-name", "NodePort", "[fd00::1]:30080", (0, 0));
    none.problems = 1;
    none.traffic = None;
    none.servers.draining = None;
    Status {
        node: "node-1".to_owned(),
        version: "0.1.0".to_owned(),
        pid: 7,
        started: ago(300.0),
        state: State::InStep,
        last_change: Some(ago(42.9)),
        last_comparison: Some(ago(3.0)),
        frontends: vec![busy, split, none],
        ..Status::default()
    }
}

#[track_caller]
fn check(status: &Status, style: Style, expected: &str) {
    let found = table(status, style);
    assert_eq!(found, expected, "found:\n{found}");
}

#[test]
fn every_frontend_has_a_row() {
    check(
        &status(),
        PLAIN,
        "\
Node node-1, proxyd 0.1.0 (pid 7), up 5m
In step: last change 42s ago, all compared 3s ago

SERVICE                                      KIND          FRONTEND             SCHED  POLICY   READY  DRAIN  UNUSED  ACTIVE  CONN/S  CHANGED  DRIFT  PROBLEMS
default/web:http                             ClusterIP     TCP 10.96.0.9:80     rr     Cluster      3      1       2      12     7.2      42s      0         0
default/web:http                             LoadBalancer  TCP 203.0.113.5:80   rr     Local      0/3      0       0       0       0       2h      1         0
kube-system/a-service-with-a-long-name:http  NodePort      TCP [fd00::1]:30080  rr     Cluster      0      -       0       -       -       2h      0         1
",
    );
}

#[test]
fn a_narrow_terminal_has_what_matters_most() {
    let style = Style { width: Some(60), sort: Column::Active, ..PLAIN };
    check(
        &status(),
        style,
        "\
Node node-1, proxyd 0.1.0 (pid 7), up 5m
In step: last change 42s ago, all compared 3s ago

SERVICE                   FRONTEND             READY  ACTIVE
default/web:http          TCP 10.96.0.9:80         3      12
default/web:http          TCP 203.0.113.5:80     0/3       0
kube-system/a-service-w…  TCP [fd00::1]:30080      0       -
",
    );
}

#[test]
fn a_wide_table_has_every_column() {
    let text = table(&status(), Style { wide: true, ..PLAIN });
    let line = text.lines().nth(4).unwrap();
    let cells: Vec<_> = line.split_whitespace().collect();
    let expected = "default/web:http ClusterIP TCP 10.96.0.9:80 rr Cluster 10800s 3 1 2 12 340 7.2 \
                    99999 12 KiB 117 MiB 42s 0 0";
    assert_eq!(cells.join(" "), expected);
}

#[test]
fn rows_are_sorted_by_any_column() {
    let first = |sort| {
        let text = table(&status(), Style { sort, ..PLAIN });
        text.lines().nth(4).unwrap().split_whitespace().nth(3).unwrap().to_owned()
    };
    for (column, expected) in [
        (Column::Service, "10.96.0.9:80"),
        (Column::Kind, "10.96.0.9:80"),
        (Column::Frontend, "10.96.0.9:80"),
        (Column::Rate, "10.96.0.9:80"),
        (Column::Changed, "10.96.0.9:80"),
        (Column::Drift, "203.0.113.5:80"),
        (Column::Problems, "[fd00::1]:30080"),
    ] {
        assert_eq!(first(column), expected, "{column:?}");
    }
}

#[test]
fn problems_stand_below_and_a_screen_has_room_for_both() {
    let mut status = status();
    status.state = State::Behind;
    status.pending.services = 2;
    status.as_of = ago(5.0);
    status.drift = Drifts {
        total: 3,
        recent: vec![Drifted {
            found: ago(60.0),
            object: "service TCP 10.96.0.9:80 rr".to_owned(),
            kind: "missing".to_owned(),
        }],
    };
    status.problems = vec![Trouble {
        kind: TroubleKind::Rejected,
        object: "Service default/web".to_owned(),
        service: Some("default/web".to_owned()),
        reason: "spec.externalIPs[0]: \"x\" is no IP address".to_owned(),
    }];
    let text = table(&status, PLAIN);
    let head: Vec<_> = text.lines().take(3).collect();
    assert_eq!(
        head,
        [
            "Node node-1, proxyd 0.1.0 (pid 7), up 5m",
            "Behind: 2 Services wait, 0 frontends are tried again; last change 42s ago; as of 5s ago",
            "Drift: 3 objects mended, last 60s ago: service TCP 10.96.0.9:80 rr (missing)",
        ]
    );
    let tail = "\nProblems (1)\nrejected: Service default/web: spec.externalIPs[0]: \"x\" is no IP \
                address\n";
    assert!(text.ends_with(tail), "{text}");
    let text = table(&status, Style { height: Some(8), ..PLAIN });
    assert!(text.lines().count() <= 8, "{text}");
    assert!(text.contains(".. and 2 more") || text.contains(".. and 3 more"), "{text}");
}

#[test]
fn only_a_terminal_gets_colours() {
    assert!(!table(&status(), PLAIN).contains('\x1b'));
    let text = table(&status(), Style { colours: true, ..PLAIN });
    assert!(text.contains("\x1b[33m1\x1b[0m"), "one drains: {text}");
    assert!(text.contains("\x1b[31m0\x1b[0m"), "no server is left: {text}");
    let plain: String = text
        .replace("\x1b[33m", "")
        .replace("\x1b[31m", "")
        .replace("\x1b[1m", "")
        .replace("\x1b[0m", "");
    assert_eq!(plain, table(&status(), PLAIN), "colours take no room");
}

#[test]
fn states_are_said_in_words() {
    let words = |state, broken: Option<&str>| {
        let status = Status { state, broken: broken.map(str::to_owned), ..Status::default() };
        super::state(&status).1
    };
    assert_eq!(
        words(State::WaitingForInputs, None),
        "Not every object was read yet: nothing is programmed"
    );
    assert_eq!(
        words(State::KernelUnknown, Some("no socket")),
        "The kernel's state is not known, it will be read back: no socket"
    );
    let status = Status::default();
    assert!(table(&status, PLAIN).ends_with("\nNothing is served.\n"));
}
