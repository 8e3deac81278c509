//! Somebody takes things of ours away, in the kernel, by hand. The proxyd of node 1 looks often, as
//! it was started last.

use rustix::process::Signal;
use tests::lab::{KernelState, Transport, plan};

use super::entrance::answered;
use super::stream::Requests;
use crate::ask::{self, BACKEND};
use crate::held::{held, require_unchanged};
use crate::stage::{FRONTEND, Stage};
use crate::verdict::{Failure, Shown, caught, require};

/// What is done, and what proxyd says of each thing that is gone.
const DAMAGE: [(&str, &[&str]); 3] = [
    (
        "ipvsadm -D -t 10.96.0.80:80",
        &[
            "service TCP 10.96.0.80:80 rr was missing",
            "server TCP 10.96.0.80:80 -> 10.244.1.20:8080 weight 1 was missing",
        ],
    ),
    ("ip route del local 192.0.2.80 dev lo table local proto 153", &["address 192.0.2.80"]),
    (
        "ipset del KUBE-CLUSTER-IP 10.96.0.80,tcp:80",
        &["set KUBE-CLUSTER-IP member 10.96.0.80,tcp:80 was missing"],
    ),
];

pub(super) fn run(stage: &mut Stage) -> Shown {
    let requests = Requests::begin(stage.screen, stage.caller(FRONTEND), BACKEND[0]);
    let before = held(stage);
    let seen = caught(|| damage(stage));
    // Whatever came of that, proxyd must go on.
    stage.screen.command("node-1", "kill -CONT $(pidof proxyd)");
    stage.daemons[0].signal(Signal::CONT);
    let mended = caught(|| mended(stage, &before));
    requests.pass(20);
    let tally = requests.end(stage.screen);
    seen?;
    mended?;
    let total: usize = tally?.answers.values().sum();
    Ok(format!(
        "proxyd looks into the kernel again and again, mends what differs and names it; of the \
         {total} requests for the other Service none was lost"
    ))
}

/// Does it while proxyd is held, so that there is time to look.
fn damage(stage: &Stage) -> Result<(), Failure> {
    let node = stage.first_node();
    stage.screen.command("node-1", "kill -STOP $(pidof proxyd)    # for a moment, to look");
    stage.daemons[0].signal(Signal::STOP);
    for (line, _) in DAMAGE {
        stage.screen.command("node-1", line);
        let words: Vec<_> = line.split(' ').collect();
        let _ = node.namespace.exec(words[0], &words[1..]);
    }
    stage.caller(FRONTEND).expect_refusal(stage.screen, (ask::FRONTEND, Transport::Tcp))?;
    let (lines, status) = plan(node, stage.manifests.path());
    stage.screen.command("node-1", "proxyd plan $FLAGS");
    lines.iter().for_each(|line| stage.screen.output(line));
    let count: usize = DAMAGE.iter().map(|(_, words)| words.len()).sum();
    // Besides, a server on its way out may have become idle.
    let created = lines.iter().filter(|line| line.starts_with('+')).count();
    require(status == Some(2) && created == count, || {
        format!(
            "expected proxyd plan to create {count} things and to end with 2; it ended with \
             {status:?}: {lines:#?}"
        )
    })
}

/// Each thing was named, all is as it was, and the Service is served again.
fn mended(stage: &Stage, before: &KernelState) -> Result<(), Failure> {
    for words in DAMAGE.iter().flat_map(|(_, words)| *words) {
        stage.daemons[0].wait_for_log(&format!("drift mended: {words}"));
        stage.show_last_logged(&stage.daemons[0], words);
    }
    require_unchanged(stage, before)?;
    let source = stage.first_node().gateway_for(ask::FRONTEND.ip());
    answered(stage, stage.caller(FRONTEND), ask::FRONTEND, source)
}
