//! The same from an API server: what proxyd knows stays while the server is away.

use std::path::PathBuf;
use std::time::Instant;
use std::{env, fs, process};

use rustix::process::Signal;
use tests::apiserver::{ApiServer, Credentials, History, Options};
use tests::lab::{Daemon, example, wait_until};

use super::stream::Requests;
use crate::ask::BACKEND;
use crate::held::{held, require_unchanged};
use crate::stage::{BACKEND_1, BACKEND_2, BACKEND_4, FRONTEND, LIMIT, Stage};
use crate::verdict::{Failure, Shown, caught, require};

/// What kubeadm writes, with IPVS.
const CONFIGURATION: &str =
    include_str!("../../../../../crates/proxyd/src/config/tests/kubeadm.yaml");

/// How long proxyd may wait before it tries again.
const PATIENCE: std::time::Duration = LIMIT.saturating_mul(3);

pub(super) fn run(stage: &mut Stage) -> Shown {
    let api = ApiServer::start_in(&stage.first_node().namespace, Options::default());
    stage.screen.command("node-1", "kubectl apply -f manifests");
    stage.manifests.texts().iter().for_each(|text| api.apply_yaml(text));
    let files = Files::write(&api);
    let requests = Requests::begin(stage.screen, stage.caller(FRONTEND), BACKEND[0]);
    let served = caught(|| {
        started(stage, &files)?;
        outlived(stage, &api, &requests)
    });
    let tally = requests.end(stage.screen);
    served?;
    let tally = tally?;
    let total: usize = tally.answers.values().sum();
    require(tally.answers.contains_key(BACKEND_4.name), || {
        format!("expected backend-4 to answer too; got {:?}", tally.answers)
    })?;
    Ok(format!(
        "nothing in the kernel changed with the source, the API server's absence cost 0 of {total} \
         requests, and what changed meanwhile was taken when it came back"
    ))
}

/// Starts the proxyd of node 1 as kubeadm's DaemonSet starts it.
fn started(stage: &mut Stage, files: &Files) -> Result<(), Failure> {
    stage.screen.command("node-1", "kill $(pidof proxyd)");
    stage.screen.output(stage.daemons.remove(0).stop(Signal::TERM));
    let before = held(stage);
    let run = "proxyd --config /var/lib/kube-proxy/config.conf --hostname-override node-1";
    stage.screen.command("node-1", run);
    let config = format!("--config={}", files.config().display());
    let arguments = [&*config, "--hostname-override=node-1", "-v=4"];
    let daemon = Daemon::run(&[], &stage.first_node().namespace, &arguments);
    daemon.wait_for_log("synced everything");
    let line = stage.show_last_logged(&daemon, "synced everything");
    stage.daemons.insert(0, daemon);
    require(line.contains(" kernel_changes=0 "), || {
        format!("expected a start without changes to the kernel; it logged: {line}")
    })?;
    require_unchanged(stage, &before)
}

/// The API server goes away, and comes back with a change.
fn outlived(stage: &Stage, api: &ApiServer, requests: &Requests) -> Result<(), Failure> {
    let daemon = &stage.daemons[0];
    stage.screen.note("the API server goes away");
    api.stop();
    daemon.wait_for_log("cannot be watched");
    stage.show_last_logged(daemon, "cannot be watched");
    requests.pass(50);
    require(stage.serves(stage.first_node(), &[BACKEND_1, BACKEND_2]), || {
        "expected node-1 to go on serving both backends".to_owned()
    })?;

    stage.screen.note("it comes back, and meanwhile backend-4 became ready");
    api.apply_yaml(&example("changes/old-backend-gone.yaml"));
    api.start_again(History::Kept);
    let begin = Instant::now();
    let all = [BACKEND_1, BACKEND_2, BACKEND_4];
    let is_taken = || stage.serves(stage.first_node(), &all);
    wait_until("node-1 sends new connections to backend-4 too", PATIENCE, is_taken);
    let milliseconds = begin.elapsed().as_millis();
    stage.screen.note(&format!("seen in the kernel of node-1 after {milliseconds} ms"));
    requests.pass(20);
    Ok(())
}

/// The directory of a kube-proxy's ConfigMap, gone when dropped.
#[derive(Debug)]
struct Files(PathBuf);

impl Files {
    /// As kubeadm writes them for a cluster of both families, with pods told by the Node's network.
    fn write(api: &ApiServer) -> Self {
        let files = Self(env::temp_dir().join(format!("kube-proxy-{}", process::id())));
        let kubeconfig = files.0.join("kubeconfig.conf");
        let text = CONFIGURATION
            .replace("/var/lib/kube-proxy/kubeconfig.conf", &kubeconfig.display().to_string())
            .replace("detectLocalMode: \"\"", "detectLocalMode: NodeCIDR");
        fs::create_dir_all(&files.0).expect("the temporary directory can be written");
        fs::write(kubeconfig, api.kubeconfig(&Credentials::Nothing)).expect("it can be written");
        fs::write(files.config(), text).expect("it can be written");
        files
    }

    fn config(&self) -> PathBuf {
        self.0.join("config.conf")
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
