//! What came of a step.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a step showed, or what was expected and what happened.
pub(crate) type Shown = Result<String, Failure>;

/// What was expected and what happened.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// Fails with the words of `failure` unless `condition` holds.
pub(crate) fn require(condition: bool, failure: impl FnOnce() -> String) -> Result<(), Failure> {
    if condition { Ok(()) } else { Err(Failure(failure())) }
}

/// The laboratory panics when something cannot be done or does not happen in time; here that is a
/// failure as any other.
pub(crate) fn caught<T>(job: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(job)).unwrap_or_else(|panic| Err(Failure(message(&*panic))))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned()
}
