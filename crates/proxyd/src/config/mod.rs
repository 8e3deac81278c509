//! What the daemon is told: kube-proxy's configuration file and flags, with proxyd's own settings
//! beside them, into one typed value. Pure but for reading the file.
//!
//! ```text
//! file    -> document::read            values with line and column   --+
//! flags   -> flags::KubeProxyFlags     values with the flag's name   --+-> layer::assemble
//! then       defaults::set_defaults    v1alpha1, no field open
//! then       validate::settings        Settings, or every error there is
//! ```
//!
//! The defaults are those of kube-proxy 1.36, and the same with a file and without one: the servers'
//! addresses are of the family of `bindAddress`, and `ipvs.minSyncPeriod` is 0 (kube-proxy without a
//! file takes the iptables mode's 1s).
//!
//! proxyd's own settings are under the key `proxyd` of the file. kube-proxy warns about the key and
//! ignores it, so the file serves both.
//!
//! | field | default | |
//! |---|---|---|
//! | `manifests` | | a directory with objects, read in place of an API server |
//! | `anyMode` | `false` | whether IPVS serves even if `mode` is not `ipvs` |
//! | `apiServers` | | other API servers of the cluster, as URLs, asked in turn when one does not answer |
//! | `watchNodes` | `own` | `all` to know the addresses of every Node: a Service whose external address is another node's does not take it from that node |
//! | `page` | `none` | who may look at `/page` of the metrics server: `loopback` for this node, `all` for everybody who reaches that server |
//! | `nodeIPs` | | source addresses of the node's own connections to Services, one a family |
//! | `inputPolicy` | `accept` | on a node whose INPUT policy is DROP: `accept` what is for Services, or `respect` the policy |
//! | `binding` | `route` | how addresses of Services are made local: `route`, or `address` on kube-ipvs0 as kube-proxy does |
//! | `drainLimit` | `15m` | a terminating endpoint is taken out after this long even with connections |
//! | `drainGrace` | `30s` | the same for an endpoint that is gone |
//! | `internalMarks.value`, `.mask` | `0x2000`, `0x1fff` | the packet marks that may be used: those that differ from the value in bits of the mask only |
//! | `auditServicesPerSecond` | `20` | how many IPVS services are compared with the kernel in quiet times |
//! | `socket` | `/run/proxyd/proxyd.sock` | where `proxyd status` and the like ask the daemon; empty for nowhere |
//!
//! While the daemon runs the file is followed: `logging.verbosity`, `ipvs.syncPeriod` and
//! `.minSyncPeriod`, `nodePortAddresses`, `detectLocalMode`, `detectLocal` and `clusterCIDR` count at
//! once; of other fields it is said that they count from the next start on.
//!
//! Some have flags, too, which count beside a file: `--manifests`, `--any-mode`,
//! `--api-servers`, `--watch-nodes`, `--page`, `--node-ip`, `--input-policy`, `--binding`, `--drain-limit`, `--drain-grace`,
//! `--socket`.

use std::fs;

use serde_json::Value;

mod command;
mod defaults;
mod document;
mod flags;
mod gates;
mod layer;
mod own;
mod print;
mod problem;
mod scalar;
mod settings;
mod tolerated;
mod v1alpha1;
mod validate;

pub(crate) use command::{ConfigCommand, run, write};
pub(crate) use defaults::DEFAULT_SOCKET;
pub use flags::KubeProxyFlags;
use layer::Origins;
pub use print::Comments;
pub use problem::{Origin, Problem, Severity};
pub use settings::{
    Arp, BindFailure, Client, Conntrack, DetectLocal, ExternalIps, IpvsTimeouts, LogFormat,
    Logging, Mode, NodePortAddresses, PageFor, Settings, TcpWindow, WatchedNodes,
};
use v1alpha1::KubeProxyConfiguration;

/// What flags and a file come to.
#[derive(Debug)]
pub struct Configuration {
    effective: Value,
    origins: Origins,
    settings: Option<Settings>,
    problems: Vec<Problem>,
}

/// Reads the file of `--config`, if there is one, and puts all together.
#[must_use]
pub fn load(flags: &KubeProxyFlags) -> Configuration {
    match flags.config() {
        None => Configuration::of_flags(flags),
        Some(path) => match fs::read_to_string(path) {
            Ok(text) => Configuration::of_file(path, &text, flags),
            Err(error) => {
                Configuration::unusable(Problem::error(path, format!("cannot be read: {error}")))
            }
        },
    }
}

impl Configuration {
    /// What flags alone come to.
    #[must_use]
    pub fn of_flags(flags: &KubeProxyFlags) -> Self {
        let mut problems = Vec::new();
        let leaves = flags.leaves(&mut problems);
        Self::new(leaves, flags, problems)
    }

    /// What a file named `name`, and the flags that count beside it, come to.
    #[must_use]
    pub fn of_file(name: &str, text: &str, flags: &KubeProxyFlags) -> Self {
        let contents = match document::read(name, text) {
            Ok(contents) => contents,
            Err(problem) => return Self::unusable(problem),
        };
        let mut problems = Vec::from_iter(contents.strictness);
        let leaves = flags.over(contents.leaves, &mut problems);
        Self::new(leaves, flags, problems)
    }

    /// Nothing is known but this.
    fn unusable(problem: Problem) -> Self {
        let (effective, origins) = (default_value(), Origins::new());
        Self { effective, origins, settings: None, problems: vec![problem] }
    }

    fn new(leaves: Vec<layer::Leaf>, flags: &KubeProxyFlags, mut problems: Vec<Problem>) -> Self {
        let (mut config, origins) = layer::assemble(leaves, &mut problems);
        defaults::set_defaults(&mut config);
        let master = flags.master().map(str::to_owned);
        let settings = validate::settings(&config, master, &origins, &mut problems);
        let effective = value(&config);
        // An error says enough about a field.
        let mut tolerated = tolerated::warnings(&effective, &default_value(), &origins);
        tolerated.retain(|warning| problems.iter().all(|problem| problem.field != warning.field));
        problems.extend(tolerated);
        problems.extend(flags.removed());
        problems.sort_by_key(|problem| (problem.severity, problem.line()));
        Self { effective, origins, settings, problems }
    }

    /// The settings; `None` if any problem is an error.
    #[must_use]
    pub const fn settings(&self) -> Option<&Settings> {
        self.settings.as_ref()
    }

    /// Paths of the fields whose values differ.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        layer::differences(&self.effective, &other.effective)
    }

    /// Has the values of `other` at these paths from here on.
    pub(crate) fn take_over(&mut self, other: &Self, paths: &[String]) {
        for path in paths {
            let pointer = format!("/{}", path.replace('.', "/"));
            if let (Some(value), Some(new)) =
                (self.effective.pointer_mut(&pointer), other.effective.pointer(&pointer))
            {
                value.clone_from(new);
            }
        }
    }

    /// How many of the problems are errors.
    #[must_use]
    pub fn errors(&self) -> usize {
        let is_error = |problem: &&Problem| problem.severity == Severity::Error;
        self.problems.iter().filter(is_error).count()
    }

    /// Everything that is wrong, errors first.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

fn default_value() -> Value {
    let mut config = KubeProxyConfiguration::default();
    defaults::set_defaults(&mut config);
    value(&config)
}

fn value(config: &KubeProxyConfiguration) -> Value {
    serde_json::to_value(config).expect("all keys are texts, and all numbers finite")
}

#[cfg(test)]
mod tests;
