//! Who calls, and which source address the server sees.

use std::net::{IpAddr, SocketAddr};

use tests::lab::Transport;

use crate::ask::{self, BACKEND, Caller, Expected, tcp_calls};
use crate::foretold::{Foretold, Seen, foretell};
use crate::stage::{BACKEND_1, BACKEND_2, BACKEND_3, FRONTEND, Stage};
use crate::verdict::{Failure, Shown};

/// A pod that is its own server would answer itself directly, past the node: so its own server
/// sees the node, on the bridge that they share.
pub(super) fn hairpin(stage: &mut Stage) -> Shown {
    for call in tcp_calls() {
        let own = stage.address(BACKEND_1, call.0);
        let node = stage.first_node().gateway_for(call.0.ip());
        each_once(stage, stage.caller(BACKEND_1), call, node, own)?;
    }
    let own = stage.address(BACKEND_1, BACKEND[0]);
    let all = [
        (BACKEND_1, Seen::ThisNode),
        (BACKEND_2, Seen::Address(own)),
        (BACKEND_3, Seen::Address(own)),
    ];
    let foretold = Foretold::served(stage, BACKEND[0], &all);
    foretell(stage, 1, (&own.to_string(), BACKEND[0]), &foretold)?;
    Ok("backend-1 reaches itself and sees its node's address; the others see backend-1's"
        .to_owned())
}

/// Node 1 has two addresses: towards its own pods that of their bridge, towards others that of its
/// network interface.
pub(super) fn node(stage: &mut Stage) -> Shown {
    from_node_1(stage, stage.node_caller(1), "node")?;
    Ok("pods on every node answer and see node-1's address".to_owned())
}

pub(super) fn outside(stage: &mut Stage) -> Shown {
    let outside = stage.outside();
    let source = stage.first_node().gateway_for(ask::FRONTEND.ip());
    let expected = Expected { times: 1, server: FRONTEND.name, source };
    outside.expect(stage.screen, (ask::FRONTEND, Transport::Tcp), &[expected])?;
    from_node_1(stage, outside, "203.0.113.9")?;
    Ok("pods on every node answer; they see node-1's address (masqueraded), so replies return"
        .to_owned())
}

/// What a client gets that is seen as node 1; `explain` knows it as `client`.
fn from_node_1(stage: &Stage, caller: Caller<'_>, client: &str) -> Result<(), Failure> {
    for call in tcp_calls() {
        let node = stage.first_node();
        let (near, far) = (node.gateway_for(call.0.ip()), node.address_for(call.0.ip()));
        each_once(stage, caller, call, near, far)?;
    }
    let all = [BACKEND_1, BACKEND_2, BACKEND_3].map(|place| (place, Seen::ThisNode));
    foretell(stage, 1, (client, BACKEND[0]), &Foretold::served(stage, BACKEND[0], &all))
}

/// Three calls reach the three backends: the one on node 1 sees `near`, the others see `far`.
fn each_once(
    stage: &Stage,
    caller: Caller<'_>,
    call: (SocketAddr, Transport),
    near: IpAddr,
    far: IpAddr,
) -> Result<(), Failure> {
    let expected = [(BACKEND_1, near), (BACKEND_2, far), (BACKEND_3, far)]
        .map(|(place, source)| Expected { times: 1, server: place.name, source });
    caller.expect(stage.screen, call, &expected)
}
