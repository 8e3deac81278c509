//! The one program this crate runs: `iptables-save` and `iptables-restore`, to look at the static
//! rules and to load them. At start, when they are found damaged, and to compare them: with the
//! older packet filter every time, with `nf_tables` only after something has changed.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write as _};
use std::process::{Command, Stdio};

use proxy_core::{BackendError, Family};

/// Which of the two packet filters of the kernel the programs speak to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// Whatever `iptables` is on this machine.
    Default,
    /// `nf_tables`.
    Nft,
    /// The older `ip_tables`.
    Legacy,
}

impl Flavour {
    const fn infix(self) -> &'static str {
        match self {
            Self::Default => "",
            Self::Nft => "-nft",
            Self::Legacy => "-legacy",
        }
    }

    fn program(self, family: Family, verb: &str) -> String {
        let base = match family {
            Family::Ipv4 => "iptables",
            Family::Ipv6 => "ip6tables",
        };
        format!("{base}{}-{verb}", self.infix())
    }
}

/// Runs the programs of one flavour: the first in the list of those that may work, until one has
/// proved that it does.
#[derive(Clone, Debug)]
pub struct Iptables {
    candidates: VecDeque<Flavour>,
    is_proved: bool,
    /// Whether what was last saved of a family are rules of `nf_tables`, by its first line.
    of_nftables: BTreeMap<Family, bool>,
}

/// What programs that speak to `nf_tables` write into their first line.
const NFTABLES: &str = "(nf_tables)";

/// How long to wait for another program that holds the lock of the rules, in seconds.
const LOCK_WAIT: &str = "5";

/// Chains that tell which flavour this node uses: the kubelet keeps the first two there, and the
/// third is ours, or kube-proxy's.
const HINTS: [&str; 3] = [":KUBE-IPTABLES-HINT", ":KUBE-KUBELET-CANARY", ":KUBE-SERVICES"];

impl Iptables {
    /// Finds the programs that run. One that shows a hint that this node uses its flavour comes
    /// first, then the machine's default. After one with a hint the others are not looked at.
    ///
    /// # Errors
    /// When none runs, with what each said.
    pub fn detect() -> Result<Self, BackendError> {
        let mut running = VecDeque::new();
        let mut complaints = Vec::new();
        for flavour in [Flavour::Default, Flavour::Nft, Flavour::Legacy] {
            match run(&flavour.program(Family::Ipv4, "save"), &[], "") {
                Ok(saved) => {
                    if HINTS.iter().any(|hint| saved.contains(hint)) {
                        running.push_front(flavour);
                        break;
                    }
                    running.push_back(flavour);
                }
                Err(error) => complaints.push(error.to_string()),
            }
        }
        if running.is_empty() {
            let remedy = format!(
                "install the package iptables, and run as root or with CAP_NET_ADMIN and \
                 CAP_NET_RAW ({})",
                complaints.join("; ")
            );
            return Err(BackendError::Missing { what: "a working iptables".to_owned(), remedy });
        }
        Ok(Self { candidates: running, is_proved: false, of_nftables: BTreeMap::new() })
    }

    /// Turns to the next flavour, if none has proved yet that it works. A kernel can lack what
    /// one of them needs, which shows only when rules are loaded.
    pub fn try_next(&mut self) -> bool {
        let may = !self.is_proved && self.candidates.len() > 1;
        if may {
            self.candidates.pop_front();
        }
        may
    }

    /// Notes that the current flavour works.
    pub const fn prove(&mut self) {
        self.is_proved = true;
    }

    /// The rules of all tables, as text.
    ///
    /// # Errors
    /// When the program is not there or fails.
    pub fn save(&mut self, family: Family) -> io::Result<String> {
        let saved = run(&self.program(family, "save"), &[], "")?;
        self.of_nftables.insert(family, is_of_nftables(&saved));
        Ok(saved)
    }

    /// Whether all rules that were saved are rules of `nf_tables`.
    #[must_use]
    pub fn speaks_to_nftables(&self) -> bool {
        !self.of_nftables.is_empty() && self.of_nftables.values().all(|is_it| *is_it)
    }

    /// Loads rules, leaving alone what `input` does not name. Each table is replaced at once.
    ///
    /// # Errors
    /// When the program is not there, fails, or finds the lock taken for too long: then it is of
    /// kind [`io::ErrorKind::ResourceBusy`].
    pub fn restore(&self, family: Family, input: &str) -> io::Result<()> {
        let arguments = ["--noflush", "-w", LOCK_WAIT];
        run(&self.program(family, "restore"), &arguments, input).map(drop)
    }

    fn program(&self, family: Family, verb: &str) -> String {
        self.candidates.front().unwrap_or(&Flavour::Default).program(family, verb)
    }
}

/// Whose rules they are; nobody knows of none.
fn is_of_nftables(saved: &str) -> bool {
    saved.lines().next().is_some_and(|line| line.starts_with('#') && line.contains(NFTABLES))
}

/// Runs a program. Returns what it printed.
#[expect(clippy::disallowed_methods, reason = "the one program this crate runs")]
fn run(program: &str, arguments: &[&str], input: &str) -> io::Result<String> {
    let with_name =
        |error: io::Error| io::Error::new(error.kind(), format!("run {program}: {error}"));
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(with_name)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that fails early may not read; its own words say why.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(with_name)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let mut words = words.lines().map(str::trim).filter(|line| !line.is_empty());
    let words = words.by_ref().take(3).collect::<Vec<_>>().join(" / ");
    let complaint = format!("{program} failed ({}): {words}", output.status);
    // What it says when it no longer waits for `/run/xtables.lock`.
    let is_locked = words.contains("xtables lock");
    let kind = if is_locked { io::ErrorKind::ResourceBusy } else { io::ErrorKind::Other };
    Err(io::Error::new(kind, complaint))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As iptables 1.8.9 writes them.
    #[test]
    fn rules_of_nf_tables_are_known_by_their_first_line() {
        let on = "on Fri Nov 27 05:03:07 2026\n*nat\n";
        assert!(is_of_nftables(&format!("# Generated by iptables-save v1.8.9 (nf_tables) {on}")));
        assert!(is_of_nftables(&format!(
            "# Generated by ip6tables-nft-save v1.8.9 (nf_tables) {on}"
        )));
        assert!(!is_of_nftables(&format!(
            "# Generated by iptables-save v1.8.9 {on}# (nf_tables)\n"
        )));
        assert!(!is_of_nftables(""));
    }
}
