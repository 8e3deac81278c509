//! Ways into the cluster for clients outside, and what each costs: a hop, a source address, or
//! being let in at all.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tests::lab::{Client, Transport};

use crate::ask::{Caller, Expected, LOAD_BALANCER, OUTSIDE};
use crate::foretold::{Foretold, Seen, foretell};
use crate::stage::{BACKEND_2, FRONTEND, FRONTEND_FILE, Stage};
use crate::verdict::{Failure, Shown};

const NODE_PORT: u16 = 30080;

/// The last part of the address of a client outside of the load balancer's source ranges.
const STRANGER: u8 = 66;

/// With the policy `Cluster` every node serves every client.
pub(super) fn node_port(stage: &mut Stage) -> Shown {
    stage.publish(FRONTEND_FILE, "frontend-node-port.yaml");
    let outside = stage.outside();
    for at_node_2 in node_ports(stage, 2) {
        let node_2 = stage.cluster.node(2).address_for(at_node_2.ip());
        answered(stage, outside, at_node_2, node_2)?;
    }
    let at_node_2 = node_ports(stage, 2)[0];
    let expected = Foretold::served(stage, at_node_2, &[(FRONTEND, Seen::ThisNode)]);
    foretell(stage, 2, (&OUTSIDE[0].to_string(), at_node_2), &expected)?;
    for at_node_1 in node_ports(stage, 1) {
        let node_1 = stage.first_node().gateway_for(at_node_1.ip());
        answered(stage, outside, at_node_1, node_1)?;
    }
    Ok("every node serves the port; node-2 has no frontend, so it passes the request on, in its \
        own name: one hop more, and the client's address is lost"
        .to_owned())
}

/// With the policy `Local` clients outside keep their addresses and need the right node; clients
/// inside need not care.
pub(super) fn local_policy(stage: &mut Stage) -> Shown {
    stage.publish(FRONTEND_FILE, "frontend-local.yaml");
    let outside = stage.outside();
    for (at_node_1, client) in node_ports(stage, 1).into_iter().zip(OUTSIDE) {
        answered(stage, outside, at_node_1, client)?;
    }
    let client = OUTSIDE[0].to_string();
    let at_node_1 = node_ports(stage, 1)[0];
    let kept = [(FRONTEND, Seen::Address(OUTSIDE[0]))];
    foretell(stage, 1, (&client, at_node_1), &Foretold::served(stage, at_node_1, &kept))?;

    let at_node_2 = node_ports(stage, 2)[0];
    outside.expect_silence(stage.screen, at_node_2)?;
    foretell(stage, 2, (&client, at_node_2), &Foretold::Silence)?;

    for at_node_2 in node_ports(stage, 2) {
        let pod = stage.address(BACKEND_2, at_node_2);
        answered(stage, stage.caller(BACKEND_2), at_node_2, pod)?;
        let node_2 = stage.cluster.node(2).address_for(at_node_2.ip());
        answered(stage, stage.node_caller(2), at_node_2, node_2)?;
    }
    Ok("outside: on node-1 the frontend sees the client itself, and node-2, without a frontend, \
        says nothing; inside: node-2 and its pods are served all the same"
        .to_owned())
}

/// Who may come to the load balancer's address.
pub(super) fn source_ranges(stage: &mut Stage) -> Shown {
    stage.publish(FRONTEND_FILE, "frontend-load-balancer.yaml");
    let stranger = stage.cluster.outsider(STRANGER);
    let stranger = Caller { name: "stranger", client: Client::in_namespace(&stranger) };
    for caller in [stage.outside(), stranger] {
        stage.route_to_load_balancer(caller, 1);
    }
    for (target, client) in LOAD_BALANCER.into_iter().zip(OUTSIDE) {
        answered(stage, stage.outside(), target, client)?;
    }
    let target = LOAD_BALANCER[0];
    let let_in = Foretold::served(stage, target, &[(FRONTEND, Seen::Address(OUTSIDE[0]))]);
    foretell(stage, 1, (&OUTSIDE[0].to_string(), target), &let_in)?;
    stranger.expect_silence(stage.screen, target)?;
    let stranger = Ipv4Addr::new(203, 0, 113, STRANGER).to_string();
    foretell(stage, 1, (&stranger, target), &Foretold::Silence)?;
    Ok(format!(
        "a client in the ranges is served and seen as it is; {stranger} is not in them and gets no \
         answer"
    ))
}

/// The frontend answers a call, and sees this source.
pub(super) fn answered(
    stage: &Stage,
    caller: Caller<'_>,
    target: SocketAddr,
    source: IpAddr,
) -> Result<(), Failure> {
    let expected = Expected { times: 1, server: FRONTEND.name, source };
    caller.expect(stage.screen, (target, Transport::Tcp), &[expected])
}

/// The node port at the addresses of a node, one a family.
fn node_ports(stage: &Stage, number: u8) -> [SocketAddr; 2] {
    let node = stage.cluster.node(number);
    OUTSIDE.map(|client| SocketAddr::new(node.address_for(client), NODE_PORT))
}
