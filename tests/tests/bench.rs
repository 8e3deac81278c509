//! The bench measures what it says: every program of it does the same work, and counts what it
//! should. How long anything takes is not looked at.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tests::lab::proxyd;

const SIZE: &str = "60x3";

/// What the bench says of a figure of a program, by name.
fn bench(figure: &str, program: &str, more: &[&str]) -> BTreeMap<String, f64> {
    let output = Command::new(driver())
        .args([figure, "--program", program, "--size", SIZE])
        .args(more)
        .output()
        .expect("the bench runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{figure} of {program}: {stderr}");
    let lines = String::from_utf8(output.stdout).expect("JSON is text");
    let lines = lines.lines().map(|line| serde_json::from_str(line).expect("a line is JSON"));
    let number = |line: Value| {
        Some((
            line["name"].as_str().expect("a number has a name").to_owned(),
            line["value"].as_f64()?,
        ))
    };
    lines.filter_map(number).collect()
}

/// `$BENCH`, or the one that was built beside this program.
fn driver() -> PathBuf {
    let beside = || proxyd().with_file_name("bench");
    std::env::var_os("BENCH").map_or_else(beside, PathBuf::from)
}

fn daemon() -> String {
    proxyd().to_str().expect("the target directory is text").to_owned()
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn the_floor_is_the_same_work_as_a_start() {
    let floor = bench("cold", "floor", &[]);
    let cold = bench("cold", &daemon(), &[]);
    for name in ["services", "destinations", "members", "routes"] {
        assert_eq!(floor[name], cold[name], "{name}: {floor:?} {cold:?}");
        assert!(floor[name] > 0.0, "{name}");
    }
    // A message for each service, server and route; members of sets share some.
    let least = floor["services"] + floor["destinations"] + floor["routes"];
    let most = least + floor["members"] + 100.0;
    assert!((least..=most).contains(&floor["mutations"]), "{floor:?}");
    assert_eq!((cold["services missing"], cold["destinations missing"]), (0.0, 0.0));
    assert!(cold["lists to kubernetes"] <= cold["lists to kernel"] + 50.0, "{cold:?}");
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_second_start_changes_nothing() {
    assert_eq!(bench("adopt", &daemon(), &[])["mutations"], 0.0);
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn changes_start_no_process() {
    let change = bench("change", &daemon(), &["--changes", "3"]);
    assert_eq!(change["child processes"], 0.0, "{change:?}");
    for kind in ["endpoint added", "endpoint terminating", "endpoint removed", "service removed"] {
        let median = |of: String| {
            let name = format!("{of} p50");
            change.get(&name).copied().unwrap_or_else(|| panic!("no {name}: {change:?}"))
        };
        let (whole, inside) = (median(kind.into()), median(format!("{kind}, watch to ACK")));
        // Each by itself: of two medians one of a part may be the longer.
        assert!(whole > 0.0 && inside > 0.0, "{kind}: {change:?}");
    }
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_trace_finds_every_message_of_a_start_and_a_few_of_a_change() {
    let floor = bench("cold", "floor", &[]);
    let calls = bench("calls", &daemon(), &[]);
    assert!(calls["start: netlink messages"] >= floor["mutations"], "{floor:?} {calls:?}");
    assert!(calls["start: readings of the clock"] < calls["start: system calls"], "{calls:?}");
    // One for the server, and where one went, those that see whether it can be removed, and do it.
    assert!((1.0..=4.0).contains(&calls["a change: netlink messages"]), "{calls:?}");
    let others = calls["a change: system calls"] - calls["a change: readings of the clock"];
    assert!((3.0..=60.0).contains(&others), "{calls:?}");
}
