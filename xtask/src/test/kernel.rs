//! The groups of tests that need a kernel with IPVS: the workspace's ignored tests.
//!
//! 1. Build every test program, once, as the unit group does; list their ignored tests.
//! 2. Spread them over short guest runs, two side by side.
//! 3. A guest that dies is tried once more, with the tests that had no result. A test that ran and failed is
//!    not: trying again until it passes would hide what it found.
//! 4. A group that ran nothing has failed, unless a filter left nothing.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::artifacts::TestProgram;
use super::in_guest::{self, Test, Verdict};
use super::outcome::Outcome;
use super::{browser, cargo, libtest, process, shards};
use crate::guest::{Guest, GuestDied, Kernel};
use crate::workspace;

/// How many guests run side by side.
const AT_ONCE: usize = 2;
/// What a guest may take in all, and one test in it, in seconds.
const GUEST_LIMIT: u64 = 600;
const TEST_LIMIT: u64 = 120;

/// Which kernel tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subset {
    /// Those that any kernel with IPVS can run.
    Plain,
    /// Those that also need nf_tables, by their name.
    Nftables,
}

/// Runs a subset of the kernel tests.
pub(super) fn run(
    subset: Subset,
    kernel: Kernel,
    filter: Option<&str>,
    verbose: bool,
) -> Result<Outcome> {
    let found = find(subset, filter)?;
    if found.tests.is_empty() {
        return match filter {
            Some(_) => Ok(Outcome {
                counts: true,
                notes: vec!["no test has this name".into()],
                ..Outcome::default()
            }),
            None => bail!(
                "there are no tests to run: no test in the workspace is ignored and of this kind"
            ),
        };
    }
    let guest = guest(subset, kernel, &found.programs);
    let shards = Mutex::new(shards::split(&found.tests, AT_ONCE));
    let outcome = Mutex::new(Outcome { counts: true, ..Outcome::default() });
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(tests) = next(&shards) {
                    let tally = shard(&guest, &tests, verbose)
                        .unwrap_or_else(|error| Tally::broken(&tests, &error));
                    tally.add_to(&mut outcome.lock().expect("no worker panics"));
                }
            });
        }
    });
    let mut outcome = outcome.into_inner().expect("no worker panics");
    summarize(&mut outcome);
    Ok(outcome)
}

/// The names of a subset of the kernel tests.
pub(super) fn list(subset: Subset, filter: Option<&str>) -> Result<Vec<String>> {
    let tests = find(subset, filter)?.tests;
    Ok(tests.into_iter().map(|test| format!("{} {}", test.program.name, test.name)).collect())
}

impl Subset {
    /// A test is marked by a module named `nftables`, or by the end of its own name. Those for a
    /// browser need no kernel of their own.
    fn has(self, test: &str) -> bool {
        let is_in = |module| test.split("::").any(|segment| segment == module);
        let marked = is_in("nftables") || test.ends_with("_nftables");
        !is_in(browser::MODULE) && marked == (self == Self::Nftables)
    }
}

struct Found {
    tests: Vec<Test>,
    programs: Vec<(String, PathBuf)>,
}

fn find(subset: Subset, filter: Option<&str>) -> Result<Found> {
    let artifacts = cargo::build()?;
    let mut tests = Vec::new();
    for program in artifacts.tests {
        let names = ignored(&program)?.into_iter();
        let names = names
            .filter(|name| subset.has(name) && filter.is_none_or(|filter| name.contains(filter)));
        tests.extend(names.map(|name| Test { program: program.clone(), name }));
    }
    Ok(Found { tests, programs: artifacts.programs })
}

fn ignored(program: &TestProgram) -> Result<Vec<String>> {
    let mut command = Command::new(&program.path);
    command.args(["--list", "--ignored", "--format", "terse"]).current_dir(&program.directory);
    let ended = process::run(&mut command, false)?;
    if !ended.success {
        bail!("list the tests of {}:\n{}", program.name, ended.output);
    }
    Ok(libtest::listed(&ended.stdout))
}

/// What tests save stays in the target directory, to look at. A test finds a program of the project by a variable with its name in capitals, such as `PROXYD`.
fn guest(subset: Subset, kernel: Kernel, programs: &[(String, PathBuf)]) -> Guest {
    let kernel = match (subset, kernel) {
        (Subset::Nftables, Kernel::Auto | Kernel::Uml) => Kernel::Qemu,
        _ => kernel,
    };
    let variable = |name: &str| name.to_uppercase().replace('-', "_");
    let programs =
        programs.iter().map(|(name, path)| (variable(name), path.to_string_lossy().into_owned()));
    let env = programs.chain([("RUST_BACKTRACE".to_owned(), "1".to_owned())]).collect();
    Guest {
        timeout: Duration::from_secs(GUEST_LIMIT),
        env,
        results: Some(workspace::target_dir().join("guest/results")),
        ..Guest::new(kernel)
    }
}

fn next(shards: &Mutex<Vec<Vec<Test>>>) -> Option<Vec<Test>> {
    shards.lock().expect("no worker panics").pop()
}

/// What became of the tests of one shard.
#[derive(Debug, Default)]
struct Tally {
    passed: usize,
    failures: Vec<(String, String)>,
    deaths: Vec<String>,
}

impl Tally {
    /// The tests could not be run at all.
    fn broken(tests: &[Test], error: &anyhow::Error) -> Self {
        let failures =
            tests.iter().map(|test| (title(test), format!("error: {error:#}\n"))).collect();
        Self { failures, ..Self::default() }
    }

    /// Tests run in order, so the first without a result is the one the guest died of; those after it are lost
    /// with it.
    fn give_up(&mut self, lost: &[Test], attempt: &Attempt) {
        let said = in_guest::unfinished(&attempt.transcript)
            .map_or_else(String::new, |(_, output)| output);
        let death = attempt.death.as_deref().unwrap_or("the guest gave no result");
        for (number, test) in lost.iter().enumerate() {
            let why = match number {
                0 => format!("{said}\nno result, twice; {death}"),
                _ => format!("not run: the guest died in {}", lost[0].name),
            };
            self.failures.push((title(test), why));
        }
    }

    fn add_to(&self, outcome: &mut Outcome) {
        outcome.passed += self.passed;
        outcome.failed += self.failures.len();
        for (test, output) in &self.failures {
            outcome.findings.push_str(&format!("---- {test} ----\n{}\n\n", output.trim()));
        }
        outcome.notes.extend(self.deaths.iter().cloned());
    }
}

/// Runs some tests in a guest, and in a second one if the first dies.
fn shard(guest: &Guest, tests: &[Test], verbose: bool) -> Result<Tally> {
    let mut tally = Tally::default();
    let first = attempt(guest, tests, verbose)?;
    let left = first.settle(tests, &mut tally);
    let Some(death) = first.death else {
        return Ok(tally);
    };
    tally.deaths.push(death.lines().next().unwrap_or_default().to_owned());
    if left.is_empty() {
        return Ok(tally);
    }
    let second = attempt(guest, &left, verbose)?;
    let lost = second.settle(&left, &mut tally);
    tally.give_up(&lost, &second);
    Ok(tally)
}

/// One guest run.
#[derive(Debug)]
struct Attempt {
    transcript: String,
    death: Option<String>,
}

impl Attempt {
    /// Counts the tests that have a result; returns the others.
    fn settle(&self, tests: &[Test], tally: &mut Tally) -> Vec<Test> {
        let mut verdicts: BTreeMap<usize, Verdict> =
            in_guest::verdicts(&self.transcript).into_iter().collect();
        let mut left = Vec::new();
        for (number, test) in tests.iter().enumerate() {
            match verdicts.remove(&number) {
                Some(Verdict::Passed) => tally.passed += 1,
                Some(Verdict::Failed { output }) => tally.failures.push((title(test), output)),
                None => left.push(test.clone()),
            }
        }
        left
    }
}

fn attempt(guest: &Guest, tests: &[Test], verbose: bool) -> Result<Attempt> {
    let mut transcript = Vec::new();
    let command = ["sh", "-c", &in_guest::script(tests, TEST_LIMIT)].map(str::to_owned);
    let ran = guest.observe(&command, &mut |_, bytes| {
        transcript.extend_from_slice(bytes);
        if verbose { io::stdout().write_all(bytes) } else { Ok(()) }
    });
    let death = match ran {
        Ok(_) => None,
        Err(error) if error.is::<GuestDied>() => Some(error.to_string()),
        Err(error) => return Err(error).context("run the tests in a guest"),
    };
    Ok(Attempt { transcript: String::from_utf8_lossy(&transcript).into_owned(), death })
}

fn title(test: &Test) -> String {
    format!("{} {}", test.program.name, test.name)
}

/// Deaths belong in the line: a guest that dies often is news even when the second try goes well.
fn summarize(outcome: &mut Outcome) {
    let deaths = std::mem::take(&mut outcome.notes);
    if let Some(first) = deaths.first() {
        outcome.notes.push(format!("{} guest(s) died and were tried again: {first}", deaths.len()));
    }
    if outcome.passed + outcome.failed == 0 {
        outcome.failed = 1;
        outcome.findings.push_str("no test ran\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nftables_tests_are_known_by_name() {
        for (test, marked) in [
            ("nftables::drain", true),
            ("kernel::nftables::deep::x", true),
            ("masquerade_nftables", true),
            ("nftables_free", false),
            ("set::hash", false),
        ] {
            assert_eq!(Subset::Nftables.has(test), marked, "{test}");
            assert_eq!(Subset::Plain.has(test), !marked, "{test}");
        }
        let for_browser = "page::browser::a_browser_shows_the_page";
        assert!(!Subset::Plain.has(for_browser) && !Subset::Nftables.has(for_browser));
    }

    #[test]
    fn nftables_tests_never_run_without_nf_tables() {
        let kernel = |subset, kernel| guest(subset, kernel, &[]).kernel;
        assert_eq!(kernel(Subset::Nftables, Kernel::Uml), Kernel::Qemu);
        assert_eq!(kernel(Subset::Nftables, Kernel::Auto), Kernel::Qemu);
        assert_eq!(kernel(Subset::Nftables, Kernel::Host), Kernel::Host);
        assert_eq!(kernel(Subset::Plain, Kernel::Uml), Kernel::Uml);
    }

    #[test]
    fn programs_are_passed_by_name() {
        let guest = guest(Subset::Plain, Kernel::Uml, &[("proxyd".into(), "/t/proxyd".into())]);
        assert!(guest.env.contains(&("PROXYD".into(), "/t/proxyd".into())));
    }

    #[test]
    fn only_the_test_the_guest_died_of_is_blamed() {
        let program = TestProgram { name: "p".into(), path: "/p".into(), directory: "/".into() };
        let test = |name: &str| Test { program: program.clone(), name: name.into() };
        let attempt =
            Attempt { transcript: "@@ test 0 begins\nhello\n".into(), death: Some("panic".into()) };
        let mut tally = Tally::default();
        tally.give_up(&[test("a"), test("b")], &attempt);
        assert_eq!(tally.failures[0], ("p a".into(), "hello\n\nno result, twice; panic".into()));
        assert_eq!(tally.failures[1], ("p b".into(), "not run: the guest died in a".into()));
    }

    #[test]
    fn tests_without_a_result_are_left_for_the_second_try() {
        let program = TestProgram { name: "p".into(), path: "/p".into(), directory: "/".into() };
        let test = |name: &str| Test { program: program.clone(), name: name.into() };
        let tests = [test("a"), test("b"), test("c")];
        let transcript = "@@ test 0 begins\ntest result: ok. 1 passed;\n@@ test 0 ends 0\n\
                          @@ test 1 begins\n@@ test 1 ends 101\n@@ test 2 begins\n";
        let attempt = Attempt { transcript: transcript.into(), death: Some("panic".into()) };
        let mut tally = Tally::default();
        assert_eq!(attempt.settle(&tests, &mut tally), [test("c")]);
        assert_eq!((tally.passed, tally.failures.len()), (1, 1));
    }
}
