//! Numbers, for the program that makes a table of them.

use std::io::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

/// Says one number.
pub(crate) fn say(name: &str, value: impl Into<Value>, unit: &str) {
    let line = json!({ "name": name, "value": value.into(), "unit": unit });
    let mut out = std::io::stdout();
    // Nobody to read it is nobody to tell.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Says how long something took.
pub(crate) fn say_time(name: &str, time: Duration) {
    say(name, (time.as_secs_f64() * 1e6).round() / 1e3, "ms");
}
