//! What is wrong with the manifests is said once, clearly, and costs nothing that was served.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use tests::lab::{
    Application, Cluster, Daemon, Endpoint, KernelState, Manifests, Node, Transport, wait_until,
};

const FIRST: Endpoint = Endpoint::new(2, 10);
const SECOND: Endpoint = Endpoint::new(2, 11);

fn web() -> Application {
    Application::new("web", &["10.96.0.9"]).port(Transport::Tcp, 80, 8080)
}

/// A node that serves `web` with one endpoint.
struct Story {
    cluster: Cluster,
    manifests: Manifests,
}

impl Story {
    fn begin() -> Self {
        let manifests = Manifests::of_nodes();
        manifests.write("service.yaml", &web().service());
        manifests.write("slices.yaml", &web().slices(&[FIRST]));
        Self { cluster: Cluster::new(1), manifests }
    }

    fn node(&self) -> &Node {
        self.cluster.node(1)
    }

    fn state(&self) -> KernelState {
        KernelState::of(&self.node().namespace)
    }

    fn start(&self) -> Daemon {
        Daemon::start(self.node(), self.manifests.path())
    }

    /// Root without the right to ignore permissions.
    fn start_as_anybody(&self) -> Daemon {
        let wrapper = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"];
        let Node { namespace, name, .. } = self.node();
        let daemon = Daemon::spawn_under(&wrapper, namespace, name, self.manifests.path(), &[]);
        daemon.wait_for_log("synced everything");
        daemon
    }

    /// Adds an endpoint, and waits until it is served.
    fn assert_changes_are_taken(&self) {
        self.manifests.write("slices.yaml", &web().slices(&[FIRST, SECOND]));
        wait_until("the new endpoint is served", Duration::from_secs(15), || {
            self.state().weight("10.244.2.11:8080") == Some(1)
        });
    }
}

/// What was warned of or failed, once the daemon had time to say it twice.
fn complaints(daemon: &Daemon, first: &str) -> Vec<String> {
    daemon.wait_for_log(first);
    thread::sleep(Duration::from_millis(300));
    let log = daemon.log();
    let is_complaint = |line: &&str| line.contains(" WARN ") || line.contains(" ERROR ");
    log.lines().filter(is_complaint).map(str::to_owned).collect()
}

/// There is one complaint, and it has all of these words.
#[track_caller]
fn assert_one(complaints: &[String], words: &[&str]) {
    assert_eq!(complaints.len(), 1, "{complaints:?}");
    for word in words {
        assert!(complaints[0].contains(word), "{word:?} is not in {:?}", complaints[0]);
    }
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_typo_is_told_with_its_file_and_line_and_the_last_good_version_stays() {
    let story = Story::begin();
    let daemon = story.start();
    let before = story.state();
    let broken = web().slices(&[FIRST, SECOND]).replace("ports:", "ports: [");
    story.manifests.write("slices.yaml", &broken);
    let complaints = complaints(&daemon, "slices.yaml");
    assert_one(&complaints, &["slices.yaml", "line 8", "last good version stays", "correct it"]);
    assert_eq!(story.state(), before);
    story.assert_changes_are_taken();
    daemon.wait_for_log("solved: slices.yaml");
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_file_that_is_written_slowly_changes_nothing_before_it_is_whole() {
    let story = Story::begin();
    let daemon = story.start();
    let before = story.state();
    let whole = web().slices(&[FIRST, SECOND]);
    story.manifests.write_in_place("slices.yaml", "");
    let empty = complaints(&daemon, "slices.yaml");
    assert_one(&empty, &["slices.yaml", "is empty", "last good version stays", "delete the file"]);
    assert_eq!(story.state(), before);
    let middle = whole.find("nodeName").unwrap();
    story.manifests.write_in_place("slices.yaml", &whole[..middle]);
    let partly = complaints(&daemon, "cannot be parsed");
    assert_eq!(partly.len(), 2, "{partly:?}");
    assert_eq!(story.state(), before);
    story.manifests.write_in_place("slices.yaml", &whole);
    daemon.wait_for_log("synced changed=1");
    assert_eq!(story.state().weight("10.244.2.11:8080"), Some(1));
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn an_object_that_is_not_valid_is_told_with_its_field_and_the_others_are_served() {
    let story = Story::begin();
    let other = Application::new("other", &["10.96.0.10"]).port(Transport::Tcp, 80, 8080);
    let broken = other.service().replace("10.96.0.10", "10.96.0.1000");
    story.manifests.write("other.yaml", &broken);
    let daemon = story.start();
    let complaints = complaints(&daemon, "other");
    assert_one(&complaints, &["Service default/other", "clusterIP", "10.96.0.1000"]);
    assert_eq!(story.state().weight("10.244.2.10:8080"), Some(1));
    story.manifests.write("other.yaml", &other.service());
    daemon.wait_for_log("synced changed=1");
    let services = story.state().services;
    assert!(services.contains(&"-A -t 10.96.0.10:80 -s rr".to_owned()), "{services:?}");
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_directory_that_is_gone_is_told_and_everything_stays_served_until_it_is_back() {
    let story = Story::begin();
    let daemon = story.start();
    let before = story.state();
    let directory = story.manifests.path();
    let elsewhere = PathBuf::from(format!("{}.moved", directory.display()));
    fs::rename(directory, &elsewhere).unwrap();
    let complaints = complaints(&daemon, "cannot be read");
    let name = directory.display().to_string();
    assert_one(&complaints, &[&name, "stays", "create it or make it readable"]);
    assert_eq!(story.state(), before);
    fs::rename(&elsewhere, directory).unwrap();
    daemon.wait_for_log("solved: ");
    story.assert_changes_are_taken();
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_directory_that_may_not_be_read_is_told_and_everything_stays_served_until_it_may() {
    let story = Story::begin();
    let daemon = story.start_as_anybody();
    let before = story.state();
    let directory = story.manifests.path();
    fs::set_permissions(directory, Permissions::from_mode(0o000)).unwrap();
    let complaints = complaints(&daemon, "cannot be read");
    let name = directory.display().to_string();
    assert_one(&complaints, &[&name, "ermission denied", "stays", "make it readable"]);
    assert_eq!(story.state(), before);
    fs::set_permissions(directory, Permissions::from_mode(0o755)).unwrap();
    daemon.wait_for_log("solved: ");
    story.assert_changes_are_taken();
}

#[test]
#[ignore = "needs root and a kernel with ip_vs"]
fn a_restart_without_the_directory_takes_nothing_away() {
    let story = Story::begin();
    story.start().stop(Signal::TERM);
    let before = story.state();
    let directory = story.manifests.path();
    let elsewhere = PathBuf::from(format!("{}.moved", directory.display()));
    fs::rename(directory, &elsewhere).unwrap();
    let Node { namespace, name, .. } = story.node();
    let daemon = Daemon::spawn(namespace, name, directory, &[]);
    daemon.wait_for_log("create it or make it readable");
    thread::sleep(Duration::from_millis(300));
    assert_eq!(story.state(), before);
    fs::rename(&elsewhere, directory).unwrap();
    daemon.wait_for_log("synced everything");
    assert_eq!(story.state(), before);
}
