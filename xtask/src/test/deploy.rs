//! The group of checks on `deploy/` and the guide that uses it: what other programs will read is given to those
//! programs, not looked at by us.
//!
//! | what | by what |
//! |---|---|
//! | manifests | rendered by kubectl, checked against Kubernetes' schema |
//! | chart | rendered by Helm's own library, and compared with the manifests |
//! | patches for kubeadm | applied as kubectl does, there and back |
//! | alerts, dashboard | promtool parses them and runs the alerts' tests |
//! | image | hadolint and shellcheck read the Dockerfile and its scripts |
//! | migration guide | its commands are run, those for a cluster up to the flags |

use anyhow::Result;

use super::outcome::Outcome;

mod chart;
mod guide;
mod image;
mod kubeadm;
mod manifests;
mod monitoring;
mod promql;
mod same;
mod tools;

pub(super) use tools::Tools;

/// One thing that must hold; the error says where it does not.
type Check = (&'static str, fn(&Tools) -> Result<()>);

const CHECKS: &[Check] = &[
    ("the base is valid", manifests::base),
    ("the example overlay is valid and changes what it says", manifests::example),
    ("the role asks for no more than kube-proxy's", manifests::role),
    ("the chart is valid with every value set", chart::everything),
    ("the chart renders what the base renders", chart::same_as_base),
    ("the chart says which values it needs", chart::required),
    ("kubeadm's DaemonSet is patched there and back", kubeadm::there_and_back),
    ("alert rules and their tests", monitoring::alerts),
    ("the dashboard's queries", monitoring::dashboard),
    ("alerts and dashboard are about metrics that there are", monitoring::names),
    ("Dockerfile and scripts", image::lint),
    ("iptables is the one the node uses", image::iptables),
    ("the commands of the migration guide", guide::commands),
];

/// Runs all of them; one that fails does not stop the next.
pub(super) fn run(verbose: bool) -> Result<Outcome> {
    let tools = Tools::ready(verbose)?;
    let mut outcome = Outcome { counts: true, ..Outcome::default() };
    for (name, check) in CHECKS {
        match check(&tools) {
            Ok(()) => outcome.passed += 1,
            Err(error) => {
                outcome.failed += 1;
                outcome.findings.push_str(&format!("deploy: {name}: {error:#}\n"));
            }
        }
    }
    Ok(outcome)
}
