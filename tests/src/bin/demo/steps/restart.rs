//! Traffic needs the kernel, not proxyd: it may be killed, and when it comes back it finds
//! everything as it should be.

use rustix::process::Signal;

use super::stream::Requests;
use crate::ask::BACKEND;
use crate::held::{held, require_unchanged};
use crate::stage::{FRONTEND, Stage};
use crate::verdict::{Failure, Shown, caught, require};

pub(super) fn run(stage: &mut Stage) -> Shown {
    let requests = Requests::begin(stage.screen, stage.caller(FRONTEND), BACKEND[0]);
    let restarted = caught(|| restart(stage, &requests));
    let tally = requests.end(stage.screen);
    restarted?;
    let total: usize = tally?.answers.values().sum();
    Ok(format!("lost 0 of {total} requests, and the restart changed nothing in the kernel"))
}

fn restart(stage: &mut Stage, requests: &Requests) -> Result<(), Failure> {
    stage.screen.command("node-1", "kill -KILL $(pidof proxyd)");
    let status = stage.daemons.remove(0).stop(Signal::KILL);
    stage.screen.output(status);
    let before = held(stage);
    requests.pass(100);

    let (flag, often) = ("--ipvs-sync-period", "1s");
    let remark = "# looks into the kernel each second";
    stage.screen.command("node-1", &format!("proxyd run $FLAGS {flag} {often}    {remark}"));
    stage.daemons.insert(0, stage.daemon(stage.first_node(), &[flag, often]));
    let line = stage.show_logged("synced everything");
    requests.pass(50);
    require(line.contains(" kernel_changes=0 "), || {
        format!("expected a restart without changes to the kernel; it logged: {line}")
    })?;
    require_unchanged(stage, &before)
}
