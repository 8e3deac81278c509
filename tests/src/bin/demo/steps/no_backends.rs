//! Nobody is left to answer: clients are told so at once.

use std::time::Duration;

use crate::ask::{BACKEND, Expected, every_call, tcp_calls};
use crate::foretold::{Foretold, foretell};
use crate::stage::{BACKEND_1, BACKEND_2, BACKEND_3, FRONTEND, Stage};
use crate::verdict::{Failure, Shown};

pub(super) fn run(stage: &mut Stage) -> Shown {
    stage.apply("no-backends.yaml", &[]);
    let longest = refused(stage);
    // Whatever came of that, the next steps need them.
    let three = [BACKEND_1, BACKEND_2, BACKEND_3];
    stage.apply("three-backends.yaml", &three);
    let longest = longest?;
    for call in tcp_calls() {
        let source = stage.address(FRONTEND, call.0);
        let expected = three.map(|place| Expected { times: 1, server: place.name, source });
        stage.caller(FRONTEND).expect(stage.screen, call, &expected)?;
    }
    let milliseconds = longest.as_secs_f64() * 1000.0;
    Ok(format!(
        "everybody is refused, the slowest after {milliseconds:.1} ms, and is served again later"
    ))
}

/// Every kind of client is. Returns the longest time that it took.
fn refused(stage: &Stage) -> Result<Duration, Failure> {
    let mut longest = Duration::ZERO;
    for call in every_call() {
        longest = longest.max(stage.caller(FRONTEND).expect_refusal(stage.screen, call)?);
    }
    for caller in [stage.node_caller(1), stage.outside()] {
        for call in tcp_calls() {
            longest = longest.max(caller.expect_refusal(stage.screen, call)?);
        }
    }
    foretell(stage, 1, ("203.0.113.9", BACKEND[0]), &Foretold::Refused)?;
    Ok(longest)
}
