//! The configuration file while the daemon runs: what can be taken over without a restart is, and
//! what cannot is said, once.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use proxy_core::reconciler::Schedule;
use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::config::{
    self, Configuration, DetectLocal, KubeProxyFlags, NodePortAddresses, Settings,
};
use crate::driver::Input;
use crate::logging::Verbosity;
use crate::manifest::{Wake, Watcher};

/// Fields, or sections, that are taken over while the daemon runs.
const LIVE: [&str; 7] = [
    "logging.verbosity",
    "ipvs.syncPeriod",
    "ipvs.minSyncPeriod",
    "nodePortAddresses",
    "detectLocalMode",
    "detectLocal",
    "clusterCIDR",
];

/// How long the file's directory must be quiet before it is read. A ConfigMap's changes in several
/// steps.
const SETTLE: Duration = Duration::from_millis(200);

/// Nothing is waited for so long. Any time will do.
const LONG: Duration = Duration::from_secs(3600);

/// Settings that count from the moment the driver hears of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Live {
    pub(crate) schedule: Schedule,
    pub(crate) node_ports: NodePortAddresses,
    pub(crate) detect_local: DetectLocal,
}

impl Live {
    /// What of the settings counts at once.
    pub(crate) fn of(settings: &Settings) -> Self {
        Self {
            schedule: Schedule {
                audit_interval: settings.sync_period,
                min_interval: settings.min_sync_period,
                ..Schedule::default()
            },
            node_ports: settings.node_ports.clone(),
            detect_local: settings.detect_local.clone(),
        }
    }
}

/// The configuration in effect, in JSON.
pub(crate) type InEffect = watch::Receiver<Arc<str>>;

/// Who has to know what counts now.
pub(crate) struct Listeners {
    pub(crate) verbosity: Verbosity,
    pub(crate) in_effect: watch::Sender<Arc<str>>,
    pub(crate) inputs: Sender<Input>,
}

/// Follows the file of `--config`, until nobody wants to know.
pub(crate) fn follow(flags: &KubeProxyFlags, first: Configuration, listeners: &Listeners) {
    let Some(path) = flags.config().map(Path::new) else { return };
    let directory = path.parent().filter(|it| !it.as_os_str().is_empty());
    let mut watcher = Watcher::new(directory.unwrap_or_else(|| Path::new(".")), SETTLE);
    let mut follower = Follower { running: first, said: Vec::new() };
    loop {
        while watcher.wait(LONG) == Wake::Timeout {}
        let Some(settings) = follower.take(config::load(flags)) else { continue };
        listeners.verbosity.set(settings.logging.verbosity);
        listeners.in_effect.send_replace(follower.running.json().into());
        if listeners.inputs.send(Input::Settings(Live::of(&settings))).is_err() {
            return;
        }
    }
}

/// What counts, and what was said about the file since.
struct Follower {
    running: Configuration,
    said: Vec<String>,
}

impl Follower {
    /// Takes in what the file says now. Returns the settings if something is to be taken over.
    fn take(&mut self, read: Configuration) -> Option<Settings> {
        let Some(settings) = read.settings().cloned() else {
            let words = read.problems().iter().map(ToString::to_string).collect();
            if self.is_news(&words) {
                error!(
                    "the configuration file cannot be used any more, what it said before counts"
                );
                words.iter().for_each(|problem| error!("{problem}"));
                self.said = words;
            }
            return None;
        };
        let (live, others): (Vec<_>, Vec<_>) =
            self.running.differences(&read).into_iter().partition(|path| is_live(path));
        if self.is_news(&others) {
            if !others.is_empty() {
                warn!(
                    "changed in the configuration file, and counts from the next start on: {}",
                    others.join(", ")
                );
            }
            self.said = others;
        }
        if live.is_empty() {
            return None;
        }
        info!("changed in the configuration file, and counts from now on: {}", live.join(", "));
        self.running.take_over(&read, &live);
        Some(settings)
    }

    fn is_news(&self, words: &Vec<String>) -> bool {
        self.said != *words
    }
}

pub(crate) fn is_live(path: &str) -> bool {
    LIVE.iter().any(|live| {
        path.strip_prefix(live).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Configuration {
        let text = format!(
            "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n\
             mode: ipvs\n{text}"
        );
        Configuration::of_file("config.conf", &text, &KubeProxyFlags::default())
    }

    #[test]
    fn what_can_be_taken_over_is_and_the_rest_is_said_once() {
        let mut follower = Follower { running: file(""), said: Vec::new() };
        assert_eq!(follower.take(file("")), None);
        let settings = follower.take(file("ipvs: {syncPeriod: 7s, strictARP: true}")).unwrap();
        assert_eq!(settings.sync_period, Duration::from_secs(7));
        assert_eq!(follower.said, ["ipvs.strictARP"]);
        let in_effect: serde_json::Value = serde_json::from_str(&follower.running.json()).unwrap();
        assert_eq!(in_effect["ipvs"]["syncPeriod"], "7s");
        assert_eq!(in_effect["ipvs"]["strictARP"], false, "it counts from the next start on");
        let same = follower.take(file("ipvs: {syncPeriod: 7s, strictARP: true}"));
        assert_eq!(same, None, "it counts already");

        assert_eq!(follower.take(file("ipvs: {syncPeriod: -1s}")), None);
        assert!(follower.said[0].contains("ipvs.syncPeriod"), "{:?}", follower.said);
        let settings = follower.take(file("clusterCIDR: 10.0.0.0/8")).unwrap();
        assert_eq!(settings.sync_period, Duration::from_secs(30), "back to the default");
        assert_eq!(follower.said, Vec::<String>::new());
        let ipv4 = "10.0.0.0/8".parse().ok();
        assert_eq!(settings.detect_local, DetectLocal::ClusterCidr { ipv4, ipv6: None });
    }
}
