//! One Service, one backend, and all that the kernel holds for them.

use tests::lab::{KernelState, two_tier_state};

use crate::ask::{Expected, every_call};
use crate::held::require_same;
use crate::stage::{BACKEND_2, FRONTEND, Stage};
use crate::verdict::Shown;

pub(super) fn run(stage: &mut Stage) -> Shown {
    for call in every_call() {
        let source = stage.address(FRONTEND, call.0);
        let expected = Expected { times: 1, server: BACKEND_2.name, source };
        stage.caller(FRONTEND).expect(stage.screen, call, &[expected])?;
    }
    let state = KernelState::of(&stage.first_node().namespace);
    let wanted = two_tier_state();
    for (command, held, expected) in [
        ("ipvsadm -Sn | sort", &state.services, &wanted.services),
        ("ipset save | grep ^add | sort", &state.members, &wanted.members),
        (
            "ip route show table local proto 153; ip -6 route show table local proto 153",
            &state.routes,
            &wanted.routes,
        ),
    ] {
        stage.screen.command("node-1", command);
        held.iter().for_each(|line| stage.screen.output(line));
        require_same(command, held, expected)?;
    }
    Ok("the backend answers in both families over both protocols and sees the pod's own address; \
        the kernel of node-1 holds exactly what the manifests ask for"
        .to_owned())
}
