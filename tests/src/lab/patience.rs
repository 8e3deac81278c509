//! Waiting for what happens soon, but not at once.

use std::thread;
use std::time::{Duration, Instant};

/// Waits until `condition` holds.
///
/// # Panics
/// When it does not within `limit`; then with `what` was waited for.
pub fn wait_until(what: &str, limit: Duration, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}: not within {limit:?}");
        thread::sleep(Duration::from_millis(10));
    }
}
