//! One configuration in, what it comes to out.

use clap::{Args as _, FromArgMatches as _};
use serde_json::Value;

use super::{Comments, Configuration, KubeProxyFlags, Origin, Severity, layer};

mod decode;
mod defaulting;
mod flag_rules;
mod reference;
mod rules;
mod scalars;

/// What kubeadm writes for a cluster with this mode and pod network.
const KUBEADM: &str = include_str!("kubeadm.yaml");

/// The first lines of every file.
const HEAD: &str = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";

fn try_flags(args: &[&str]) -> Result<KubeProxyFlags, clap::Error> {
    let command = clap::Command::new("proxyd").no_binary_name(true);
    let matches = KubeProxyFlags::augment_args(command).try_get_matches_from(args)?;
    KubeProxyFlags::from_arg_matches(&matches)
}

#[track_caller]
fn flags(args: &[&str]) -> KubeProxyFlags {
    try_flags(args).unwrap()
}

/// A file that has `text` after its head, with flags.
#[track_caller]
fn file_with(text: &str, args: &[&str]) -> Configuration {
    Configuration::of_file("config.conf", &format!("{HEAD}{text}"), &flags(args))
}

#[track_caller]
fn file(text: &str) -> Configuration {
    file_with(text, &[])
}

impl Configuration {
    #[track_caller]
    fn field(&self, path: &str) -> &Value {
        let pointer = format!("/{}", path.replace('.', "/"));
        self.effective.pointer(&pointer).unwrap_or_else(|| panic!("no field {path}"))
    }

    fn origin(&self, path: &str) -> Origin {
        layer::origin_of(&self.origins, path)
    }

    /// Fields of the problems that are errors, or that are warnings.
    fn fields_of(&self, severity: Severity) -> Vec<&str> {
        let problems = self.problems.iter().filter(|problem| problem.severity == severity);
        problems.map(|problem| problem.field.as_str()).collect()
    }

    fn all_problems(&self) -> String {
        self.problems.iter().map(|problem| format!("{problem}\n")).collect()
    }
}

#[test]
fn kubeadms_file_prints_with_origins_and_without_a_word() {
    let args = flags(&["--hostname-override=Node-A", "-v=2"]);
    let configuration = Configuration::of_file("config.conf", KUBEADM, &args);
    assert_eq!(configuration.all_problems(), "");
    let printed = configuration.yaml(Comments::Origins);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/tests/kubeadm.printed.yaml");
        std::fs::write(path, &printed).unwrap();
        return;
    }
    assert_eq!(printed, include_str!("kubeadm.printed.yaml"));
}

#[test]
fn what_is_printed_reads_back_as_itself() {
    let text = "mode: ipvs\nclusterCIDR: 10.0.0.0/8,fd00::/64\nnodePortAddresses: [10.0.0.0/8, \
                '::/0']\nhostnameOverride: 'on'\nportRange: '1e3'\nfeatureGates: {A: true, 'no': \
                false}\nlogging: {vmodule: [{filePattern: a*, verbosity: 3}]}\nclientConnection: \
                {qps: 0.5, kubeconfig: 'C:\\x y #'}\n";
    let first = file(text);
    for again in [first.yaml(Comments::Origins), first.yaml(Comments::None), first.json()] {
        let second = Configuration::of_file("again", &again, &KubeProxyFlags::default());
        assert_eq!(second.effective, first.effective, "{again}");
    }
}
