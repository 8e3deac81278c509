//! A file that cannot be parsed costs nothing, and is named.

use tests::lab::Transport;

use crate::ask::{self, Expected, tcp_calls};
use crate::stage::{BACKEND_1, BACKEND_2, BACKEND_4, FRONTEND, Place, Stage};
use crate::verdict::{Failure, Shown, caught};

pub(super) fn run(stage: &mut Stage) -> Shown {
    stage.break_backends();
    let unharmed = caught(|| unharmed(stage));
    // Whatever came of that, the next steps need a directory that is in order.
    stage.apply("two-backends.yaml", &[BACKEND_1, BACKEND_2]);
    unharmed?;
    stage.show_logged("solved: backend-endpoints.yaml");
    share(stage, &[BACKEND_1, BACKEND_2])?;
    Ok("the broken file was named and nothing was lost; once mended it was taken".to_owned())
}

/// The Service of the broken file is served as before, and so is the other.
fn unharmed(stage: &Stage) -> Result<(), Failure> {
    stage.show_logged("WARN backend-endpoints.yaml");
    share(stage, &[BACKEND_1, BACKEND_2, BACKEND_4])?;
    let source = stage.first_node().gateway_for(ask::FRONTEND.ip());
    let expected = Expected { times: 1, server: FRONTEND.name, source };
    stage.caller(FRONTEND).expect(stage.screen, (ask::FRONTEND, Transport::Tcp), &[expected])
}

/// Each backend answers as often as the others.
fn share(stage: &Stage, backends: &[Place]) -> Result<(), Failure> {
    for call in tcp_calls() {
        let source = stage.address(FRONTEND, call.0);
        let expected: Vec<_> = backends
            .iter()
            .map(|place| Expected { times: 4, server: place.name, source })
            .collect();
        stage.caller(FRONTEND).expect(stage.screen, call, &expected)?;
    }
    Ok(())
}
