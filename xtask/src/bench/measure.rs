//! One figure of one program after another, each in a fresh guest.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::builds::Programs;
use super::ladder::Run;
use super::results::{Number, Results};
use super::{Args, host};
use crate::guest::{Guest, GuestDied};

/// A program that is measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    pub(crate) name: String,
    /// A file, or the word `floor`.
    pub(crate) path: String,
}

/// The longest that one figure of one program may take.
const LIMIT: Duration = Duration::from_secs(1800);
/// A guest that dies says nothing about proxyd.
const ATTEMPTS: u32 = 2;

/// The floor, proxyd, and others.
pub(super) fn programs(built: &Programs, peers: &[Program]) -> Vec<Program> {
    let own = [("floor", "floor".to_owned()), ("proxyd", built.proxyd.display().to_string())];
    let own = own.map(|(name, path)| Program { name: name.to_owned(), path });
    own.into_iter().chain(peers.iter().cloned()).collect()
}

/// All that it takes.
pub(super) struct Bench<'a> {
    pub(super) args: &'a Args,
    pub(super) driver: PathBuf,
    pub(super) programs: Vec<Program>,
}

impl Bench<'_> {
    /// Measures a figure of every program, as often as it is asked. What cannot be measured is noted.
    pub(super) fn measure(&self, run: &Run, results: &mut Results) {
        for _ in 0..self.args.repeat {
            for program in &self.programs {
                if program.name == "floor" && !run.figure.has_floor() {
                    continue;
                }
                eprintln!("measuring {run} of {} (load {})", program.name, host::load());
                match self.numbers(run, program) {
                    Ok(numbers) => results.add(*run, &program.name, &numbers),
                    Err(error) => {
                        results.failures.push(format!("{run} of {}: {error:#}", program.name));
                    }
                }
            }
        }
    }

    fn numbers(&self, run: &Run, program: &Program) -> Result<Vec<Number>> {
        let mut attempt = 1;
        loop {
            match self.attempt(run, program) {
                Err(error) if error.is::<GuestDied>() && attempt < ATTEMPTS => attempt += 1,
                result => return result,
            }
        }
    }

    fn attempt(&self, run: &Run, program: &Program) -> Result<Vec<Number>> {
        let guest =
            Guest { timeout: LIMIT, memory_mib: self.args.memory, ..Guest::new(self.args.kernel) };
        let driver = self.driver.to_str().context("the target directory's name is not UTF-8")?;
        let mut command: Vec<String> =
            [driver, run.figure.name(), "--program", &program.path].map(str::to_owned).into();
        command.extend(["--size".to_owned(), run.size.to_string()]);
        command.extend(["--changes".to_owned(), self.args.changes.to_string()]);
        command.extend(["--seconds".to_owned(), self.args.seconds.to_string()]);
        command.extend(run.rate.iter().flat_map(|rate| ["--rate".to_owned(), rate.to_string()]));
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let exit = guest.observe(&command, &mut |stream, bytes| {
            match stream {
                crate::guest::Stream::Stdout => stdout.extend_from_slice(bytes),
                crate::guest::Stream::Stderr => stderr.extend_from_slice(bytes),
            }
            Ok(())
        })?;
        if exit.status != 0 {
            bail!("exit status {}: {}", exit.status, tail(&String::from_utf8_lossy(&stderr)));
        }
        Number::parse_all(&String::from_utf8_lossy(&stdout))
    }
}

/// The last lines of what was said.
fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n  ")
}
