//! A whole backend on one screen: it keeps the configuration of HAProxy, a section for each
//! virtual server. What is in the file is all it knows, so it cannot remember wrongly.
//!
//! `cargo run -p examples --example custom_backend`
#![expect(clippy::print_stdout, reason = "it is a program that prints")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Instant;
use std::{env, fs, io, process};

use examples::{endpoints, service};
use proxy_core::diff::{Change, diff};
use proxy_core::reconciler::{Reconciler, Schedule};
use proxy_core::{
    Backend, BackendError, Capabilities, Delta, DesiredState, FrontendKind, Interner, Model,
    Protocol, Report, Scheduler, VirtualServer, VirtualServerKey,
};

/// The lines of each section, by its heading.
type Sections = BTreeMap<String, String>;

struct Haproxy {
    file: PathBuf,
    capabilities: Capabilities,
}

impl Haproxy {
    fn open(file: &Path) -> Self {
        let capabilities = Capabilities {
            protocols: vec![Protocol::Tcp],
            frontends: vec![FrontendKind::ClusterIp],
            schedulers: vec![Scheduler::RoundRobin],
            session_affinity: false,
            source_ranges: false,
            split_audiences: false,
            ..Capabilities::all()
        };
        Self { file: file.to_owned(), capabilities }
    }

    /// Reads the file, changes its sections, and writes it if that made a difference.
    fn edit(&self, change: impl FnOnce(&mut Sections)) -> Result<Report, BackendError> {
        let failed = |source| BackendError::Io { attempt: "edit the configuration".into(), source };
        let text = match fs::read_to_string(&self.file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            text => text.map_err(failed)?,
        };
        let before: Sections = text.split_terminator("\n\n").filter_map(section_of_text).collect();
        let mut after = before.clone();
        change(&mut after);
        let changes = diff(&before, &after)
            .filter(|(_, change)| !matches!(change, Change::Kept(old, new) if old == new))
            .count();
        if changes > 0 {
            let text: String =
                after.iter().map(|(head, lines)| format!("{head}\n{lines}\n\n")).collect();
            fs::write(&self.file, text).map_err(failed)?;
        }
        Ok(Report { changes, ..Report::default() })
    }
}

impl Backend for Haproxy {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn resync(&mut self, desired: &DesiredState) -> Result<Report, BackendError> {
        self.edit(|sections| *sections = desired.iter().map(|one| section(one)).collect())
    }

    fn apply(&mut self, delta: &Delta) -> Result<Report, BackendError> {
        self.edit(|sections| {
            sections.extend(delta.upserts.iter().map(|server| section(server)));
            sections.retain(|head, _| !delta.removals.iter().any(|key| *head == heading(key)));
        })
    }

    fn cleanup(&mut self) -> Result<Report, BackendError> {
        self.edit(Sections::clear)
    }
}

fn section_of_text(text: &str) -> Option<(String, String)> {
    text.split_once('\n').map(|(head, lines)| (head.to_owned(), lines.to_owned()))
}

fn heading(key: &VirtualServerKey) -> String {
    format!("listen {}", SocketAddr::new(key.address, key.port.get()))
}

fn section(server: &VirtualServer) -> (String, String) {
    let key = &server.key;
    let address = SocketAddr::new(key.address, key.port.get());
    let mut lines = format!(
        "    bind {address}
    balance roundrobin"
    );
    for (number, real) in server.internal.servers.iter().enumerate() {
        lines += &format!("\n    server s{number} {real}");
    }
    (heading(key), lines)
}

fn main() -> anyhow::Result<()> {
    let file = env::temp_dir().join(format!("custom_backend-{}.cfg", process::id()));
    let (mut names, now) = (Interner::new(), Instant::now());
    let backend = Haproxy::open(&file);
    let mut reconciler = Reconciler::new(backend, Model::new("node-1"), Schedule::default());

    reconciler.handle(service("web", 9, &mut names)?, now);
    reconciler.handle(endpoints("web", &["10.244.1.7"], &mut names)?, now);
    reconciler.handle(service("api", 7, &mut names)?, now);
    reconciler.start();
    println!("{:?}\n{}", reconciler.step(now).outcome, fs::read_to_string(&file)?);

    reconciler.handle(endpoints("web", &["10.244.1.7", "10.244.2.3"], &mut names)?, now);
    while reconciler.pending().services > 0 {
        let _ = reconciler.step(now);
    }
    println!("One endpoint more:\n{}", fs::read_to_string(&file)?);

    let report = reconciler.into_backend().cleanup()?;
    println!("Cleaned up: {} sections are gone.", report.changes);
    fs::remove_file(&file)?;
    Ok(())
}
