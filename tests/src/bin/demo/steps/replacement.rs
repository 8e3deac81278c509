//! A rollout replaces one pod by another, in the three changes of the endpoints that a cluster
//! makes, and no client notices.

use std::net::TcpStream;

use tests::lab::ask_over;

use super::stream::Requests;
use crate::ask::BACKEND;
use crate::stage::{BACKEND_1, BACKEND_2, BACKEND_3, BACKEND_4, FRONTEND, Stage};
use crate::verdict::{Failure, Shown, caught, require};

pub(super) fn run(stage: &mut Stage) -> Shown {
    let requests = Requests::begin(stage.screen, stage.caller(FRONTEND), BACKEND[0]);
    let replaced = caught(|| replace(stage, &requests));
    let tally = requests.end(stage.screen);
    replaced?;
    let total: usize = tally?.answers.values().sum();
    Ok(format!(
        "backend-4 took over from backend-3: lost 0 of {total} requests, and the open \
         connection was served by backend-3 until it was closed"
    ))
}

fn replace(stage: &mut Stage, requests: &Requests) -> Result<(), Failure> {
    let open = connection_to_backend_3(stage)?;

    stage.screen.note("a new pod, backend-4 on node-2, is ready");
    stage.start(BACKEND_4);
    stage.apply("new-backend-ready.yaml", &[BACKEND_1, BACKEND_2, BACKEND_3, BACKEND_4]);
    requests.pass(50);

    stage.screen.note("the old pod, backend-3 on node-3, terminates: no new connection for it");
    stage.apply("old-backend-terminating.yaml", &[BACKEND_1, BACKEND_2, BACKEND_4]);
    requests.pass(1); // one may have been on its way
    let before = requests.answered_by(BACKEND_3);
    requests.pass(80);
    let more = requests.answered_by(BACKEND_3) - before;
    require(more == 0, || format!("expected no new connection for backend-3; it got {more}"))?;
    show_weight(stage);
    still_served(stage, &open)?;
    drop(open);

    stage.screen.note("the connection is closed; the old pod's process ends, and the pod is gone");
    let synced = stage.changes_carried_out();
    stage.end(BACKEND_3);
    stage.apply("old-backend-gone.yaml", &[BACKEND_1, BACKEND_2, BACKEND_4]);
    stage.wait_for_changes(&synced);
    requests.pass(50);
    Ok(())
}

fn connection_to_backend_3(stage: &Stage) -> Result<TcpStream, Failure> {
    let client = stage.caller(FRONTEND).client;
    for _ in 0..100 {
        let stream = client
            .connect(BACKEND[0])
            .map_err(|refusal| format!("open a connection: {refusal}"))?;
        if ask_over(&stream).is_ok_and(|answer| answer.server == BACKEND_3.name) {
            stage.screen.command("frontend", "nc 10.96.0.100 3000    # stays open");
            stage.screen.output(BACKEND_3.name);
            return Ok(stream);
        }
    }
    Err("expected one of 100 connections to reach backend-3; none did".to_owned().into())
}

fn still_served(stage: &Stage, open: &TcpStream) -> Result<(), Failure> {
    let answer = ask_over(open);
    let words = answer.as_ref().map_or_else(ToString::to_string, ToString::to_string);
    stage.screen.note(&format!("over the connection that stayed open: {words}"));
    require(answer.is_ok_and(|answer| answer.server == BACKEND_3.name), || {
        format!("expected backend-3 to answer over the open connection; got {words}")
    })
}

fn show_weight(stage: &Stage) {
    stage.screen.command("node-1", "ipvsadm -Ln -t 10.96.0.100:3000");
    let table = stage.first_node().namespace.exec("ipvsadm", &["-Ln", "-t", "10.96.0.100:3000"]);
    table.lines().for_each(|line| stage.screen.output(line));
}
