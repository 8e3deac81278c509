//! This node's own object, without which little can be decided.

use std::time::{Duration, Instant};

use anyhow::bail;
use kube::Api;
use proxy_core::api;
use tracing::{error, info, warn};

use super::client::ApiServer;
use super::failure::{Failure, Remedy, answer};
use super::object::Watched;
use super::outage::Outage;

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long an API server that answers may be without a Node that has addresses.
const NODE: Duration = Duration::from_secs(30);
/// How much longer the Node may be without networks for its pods, if they are needed.
const POD_CIDRS: Duration = Duration::from_secs(5 * 60);

/// What the Node object must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FirstNode {
    /// Addresses; without them the interfaces' do.
    Addresses,
    /// Addresses, and networks of its pods: nothing else says who is one.
    PodCidrs,
}

/// Waits for the Node. An API server that does not answer is waited for without end: nothing may
/// be programmed before it does.
pub(super) async fn wait(
    server: &ApiServer,
    name: &str,
    wanted: FirstNode,
) -> anyhow::Result<Option<api::Node>> {
    let mut outage = Outage::default();
    let mut answered: Option<Instant> = None;
    let mut said = String::new();
    let mut turn = 0;
    loop {
        let nodes: Api<Watched<api::Node>> = Api::all(server.client());
        match answer(nodes.get_opt(name)).await {
            Ok(found) => {
                outage.ends();
                let node = found.map(|it| it.object);
                let first = *answered.get_or_insert_with(Instant::now);
                match judge(node.as_ref(), wanted, first.elapsed()) {
                    Verdict::Enough => return Ok(node),
                    Verdict::DoWithout(lack) => {
                        error!("Node {name}: {lack}; going on with what the interfaces say");
                        return Ok(node);
                    }
                    Verdict::GiveUp(lack) => bail!(
                        "Node {name}: {lack}, which detectLocalMode NodeCIDR cannot do without: \
                         let the controller manager or the network plugin allocate them, or choose \
                         another detectLocalMode"
                    ),
                    Verdict::Wait(lack) => {
                        if said != lack {
                            info!("Node {name}: {lack}; waiting");
                            lack.clone_into(&mut said);
                        }
                    }
                }
            }
            Err(failure) => {
                let words = failure.to_string();
                if said != words {
                    say_failure(&failure);
                    said = words;
                }
                if failure.remedy() == Remedy::Reconnect {
                    server.renew().await;
                }
                if !failure.is_refusal() {
                    turn = server.fail_over(turn).await;
                }
                let now = Instant::now();
                outage.begins(now);
                tokio::time::sleep(outage.delay(now, fastrand::f64())).await;
                continue;
            }
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

fn say_failure(failure: &Failure) {
    if failure.is_refusal() {
        warn!("the API server does not tell of this node, trying again: {failure}");
    } else {
        warn!("the API server does not answer, waiting for it: {failure}");
    }
}

/// What to do about a Node.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Enough,
    Wait(&'static str),
    DoWithout(&'static str),
    GiveUp(&'static str),
}

fn judge(node: Option<&api::Node>, wanted: FirstNode, waited: Duration) -> Verdict {
    let lack = match node {
        None => "there is none",
        Some(node) if node.status.addresses.is_empty() => "has no addresses",
        Some(node) => {
            let has_cidrs = !node.spec.pod_cidrs.is_empty() || node.spec.pod_cidr.is_some();
            return match wanted {
                FirstNode::PodCidrs if !has_cidrs => {
                    let lack = "has no spec.podCIDRs";
                    if waited < NODE + POD_CIDRS {
                        Verdict::Wait(lack)
                    } else {
                        Verdict::GiveUp(lack)
                    }
                }
                FirstNode::Addresses | FirstNode::PodCidrs => Verdict::Enough,
            };
        }
    };
    match wanted {
        _ if waited < NODE => Verdict::Wait(lack),
        FirstNode::Addresses => Verdict::DoWithout(lack),
        FirstNode::PodCidrs if waited < NODE + POD_CIDRS => Verdict::Wait(lack),
        FirstNode::PodCidrs => Verdict::GiveUp(lack),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(addresses: usize, pod_cidrs: &[&str]) -> api::Node {
        api::Node {
            spec: api::NodeSpec {
                pod_cidrs: pod_cidrs.iter().map(|&it| it.to_owned()).collect(),
                ..Default::default()
            },
            status: api::NodeStatus { addresses: vec![api::NodeAddress::default(); addresses] },
            ..Default::default()
        }
    }

    #[test]
    fn a_node_is_waited_for_as_long_as_it_is_worth() {
        let (none, bare, plain, full) =
            (None, node(0, &[]), node(1, &[]), node(1, &["10.244.1.0/24"]));
        let check = |node: Option<&api::Node>, wanted, seconds, expected| {
            let verdict = judge(node, wanted, Duration::from_secs(seconds));
            assert_eq!(verdict, expected, "{wanted:?} after {seconds} s");
        };
        use FirstNode::{Addresses, PodCidrs};
        check(Some(&plain), Addresses, 0, Verdict::Enough);
        check(Some(&full), PodCidrs, 0, Verdict::Enough);
        check(none, Addresses, 29, Verdict::Wait("there is none"));
        check(none, Addresses, 30, Verdict::DoWithout("there is none"));
        check(Some(&bare), Addresses, 30, Verdict::DoWithout("has no addresses"));
        check(none, PodCidrs, 30, Verdict::Wait("there is none"));
        check(Some(&plain), PodCidrs, 329, Verdict::Wait("has no spec.podCIDRs"));
        check(Some(&plain), PodCidrs, 330, Verdict::GiveUp("has no spec.podCIDRs"));
        check(none, PodCidrs, 330, Verdict::GiveUp("there is none"));
    }
}
