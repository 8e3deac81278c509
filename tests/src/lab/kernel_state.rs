//! What the kernel holds, in the words of the tools that people use: a second opinion that shares
//! no code with what is tested.

use std::process::Command;
use std::sync::OnceLock;

use proxy_core::Family;

use super::{Namespace, feed, run};

/// IPVS, ipset members and our routes of a network namespace, each as sorted lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelState {
    /// `ipvsadm -Sn`.
    pub services: Vec<String>,
    /// The `add` lines of `ipset save`.
    pub members: Vec<String>,
    /// `ip route show table local proto 153`, IPv4 and IPv6.
    pub routes: Vec<String>,
}

impl KernelState {
    /// Of a namespace.
    ///
    /// # Panics
    /// When one of the tools cannot be run, or fails.
    #[must_use]
    pub fn of(namespace: &Namespace) -> Self {
        namespace.enter(Self::here)
    }

    /// Of the namespace of the calling thread.
    ///
    /// # Panics
    /// When one of the tools cannot be run, or fails.
    #[must_use]
    pub fn here() -> Self {
        let sets = sorted(&run("ipset", &["save"]));
        let routes = ["-4", "-6"]
            .map(|family| run("ip", &[family, "route", "show", "table", "local", "proto", "153"]));
        Self {
            services: sorted(&run("ipvsadm", &["-Sn"])),
            members: sets.into_iter().filter(|line| line.starts_with("add ")).collect(),
            routes: sorted(&routes.concat()),
        }
    }

    /// The weight of the destination whose address and port end with `destination`, in the first
    /// service that has it.
    #[must_use]
    pub fn weight(&self, destination: &str) -> Option<u32> {
        let line =
            self.services.iter().find(|line| line.contains(&format!("-r {destination} ")))?;
        line.split_whitespace().last()?.parse().ok()
    }
}

/// Calls `iptables`, or `ip6tables`, in a namespace, with its arguments in one text.
///
/// # Panics
/// When no flavour of the program works, or it fails.
pub fn iptables(namespace: &Namespace, family: Family, arguments: &str) {
    let program = program(family);
    let arguments: Vec<_> = arguments.split_whitespace().collect();
    let _ = namespace.exec(&format!("{program}{}", iptables_flavour()), &arguments);
}

/// The rules of both families as `iptables-save` prints them, without counters.
///
/// # Panics
/// When no flavour of the program works.
#[must_use]
pub fn packet_filter() -> String {
    ["iptables", "ip6tables"].map(saved_rules).concat()
}

/// Adds rules, in the words of `iptables-save`, to those of the calling thread's namespace.
///
/// # Panics
/// When they cannot be loaded.
pub fn load_packet_filter(family: Family, rules: &str) {
    let program = program(family);
    feed(&format!("{program}{}-restore", iptables_flavour()), &["--noflush"], rules);
}

const fn program(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "iptables",
        Family::Ipv6 => "ip6tables",
    }
}

fn saved_rules(program: &str) -> String {
    let saved = run(&format!("{program}{}-save", iptables_flavour()), &[]);
    let lines = saved.lines().filter(|line| !line.starts_with('#'));
    let without_counters = |line: &str| match line.split_once(" [") {
        Some((chain, _)) if chain.starts_with(':') => format!("{chain}\n"),
        _ => format!("{line}\n"),
    };
    lines.map(without_counters).collect()
}

/// What comes after `iptables` in the names of the programs that work on this kernel. One that does
/// not may well pretend to read.
pub(super) fn iptables_flavour() -> &'static str {
    static FLAVOUR: OnceLock<&str> = OnceLock::new();
    FLAVOUR.get_or_init(|| {
        let namespace = Namespace::new("probe");
        let makes_a_chain = Command::new("ip")
            .args(["netns", "exec", namespace.name(), "iptables", "-t", "nat", "-N", "PROBE"])
            .output()
            .is_ok_and(|output| output.status.success());
        if makes_a_chain { "" } else { "-legacy" }
    })
}

/// Lines without indentation.
pub(super) fn sorted(text: &str) -> Vec<String> {
    let mut lines: Vec<_> = text.lines().map(|line| line.trim().to_owned()).collect();
    lines.sort_unstable();
    lines
}
