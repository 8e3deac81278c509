//! Several tests in one guest: the script that runs them, and what its output tells.
//!
//! Each test is a process of its own, so a test that crashes or hangs fails alone, what a test prints cannot
//! be taken for another's result, and process-wide state is never shared. Two marked lines around each test
//! carry the result; a test with the first line only was running when the guest died.

use std::path::Path;

use super::artifacts::TestProgram;
use crate::guest::shell;

/// One test of one program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Test {
    pub(super) program: TestProgram,
    pub(super) name: String,
}

/// How a test ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Passed,
    Failed { output: String },
}

const MARK: &str = "@@ test";

/// The script; `limit` is the time one test may take, in seconds.
pub(super) fn script(tests: &[Test], limit: u64) -> String {
    let mut script = String::from("# Generated; one test after another.\n");
    for (number, test) in tests.iter().enumerate() {
        let directory = shell::quote(&text(&test.program.directory));
        let limit = limit.to_string();
        let command = [
            "timeout",
            "-k",
            "5",
            &limit,
            &text(&test.program.path),
            "--ignored",
            "--exact",
            &test.name,
        ];
        let command = shell::line(command.into_iter().chain(["--test-threads=1"]));
        script.push_str(&format!(
            "echo; echo '{MARK} {number} begins'\n\
             (cd {directory} && CARGO_MANIFEST_DIR={directory} exec {command}) 2>&1\n\
             status=$?; echo; echo \"{MARK} {number} ends $status\"\n"
        ));
    }
    script
}

/// The tests that ended, by their number in the script. A program that exits well without having run the
/// test has not passed it.
pub(super) fn verdicts(transcript: &str) -> Vec<(usize, Verdict)> {
    let mut verdicts = Vec::new();
    let mut output = String::new();
    for line in transcript.lines() {
        match line
            .strip_prefix(MARK)
            .map(|mark| mark.split_whitespace().collect::<Vec<_>>())
            .as_deref()
        {
            Some([_, "begins"]) => output.clear(),
            Some([number, "ends", status]) => {
                if let Ok(number) = number.parse() {
                    verdicts.push((number, verdict(status, &output)));
                }
            }
            _ => {
                output.push_str(line);
                output.push('\n');
            }
        }
    }
    verdicts
}

/// The test that was running when the transcript broke off, and what it had said.
pub(super) fn unfinished(transcript: &str) -> Option<(usize, String)> {
    let begin = transcript.rfind(&format!("{MARK} "))?;
    let (mark, output) = transcript[begin..].split_once('\n')?;
    let number = mark.strip_prefix(MARK)?.strip_suffix(" begins")?;
    Some((number.trim().parse().ok()?, output.to_owned()))
}

fn verdict(status: &str, output: &str) -> Verdict {
    let ran = output.lines().any(|line| line.starts_with("test result: ok. 1 passed"));
    match status {
        "0" if ran => Verdict::Passed,
        "0" => Verdict::Failed { output: format!("{output}the program did not run the test\n") },
        "124" | "137" => {
            Verdict::Failed { output: format!("{output}the test took too long and was ended\n") }
        }
        _ => Verdict::Failed { output: format!("{output}exit status {status}\n") },
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(name: &str) -> Test {
        let program =
            TestProgram { name: "p".into(), path: "/t/p-1".into(), directory: "/w/a dir".into() };
        Test { program, name: name.into() }
    }

    #[test]
    fn the_script_runs_each_test_by_its_exact_name() {
        let script = script(&[test("a::b")], 60);
        assert!(
            script.contains("timeout -k 5 60 /t/p-1 --ignored --exact a::b --test-threads=1"),
            "{script}"
        );
        assert!(script.contains("cd '/w/a dir' &&"), "{script}");
    }

    const TRANSCRIPT: &str = "
@@ test 0 begins
running 1 test
test a ... noise
ok
test result: ok. 1 passed; 0 failed; 0 ignored
@@ test 0 ends 0

@@ test 1 begins
test b ... FAILED
why
@@ test 1 ends 101
@@ test 2 begins
test result: ok. 0 passed; 0 failed; 0 ignored
@@ test 2 ends 0
@@ test 3 begins
test d ... ";

    #[test]
    fn verdicts_are_those_of_tests_that_ended() {
        let verdicts = verdicts(TRANSCRIPT);
        let numbers: Vec<usize> = verdicts.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [0, 1, 2]);
        assert_eq!(verdicts[0].1, Verdict::Passed);
        assert_eq!(
            verdicts[1].1,
            Verdict::Failed { output: "test b ... FAILED\nwhy\nexit status 101\n".into() }
        );
        let Verdict::Failed { output } = &verdicts[2].1 else {
            panic!("a test that did not run passed")
        };
        assert!(output.ends_with("the program did not run the test\n"));
    }

    #[test]
    fn the_test_that_killed_the_guest_is_known() {
        assert_eq!(unfinished(TRANSCRIPT), Some((3, "test d ... ".into())));
        assert_eq!(unfinished("@@ test 0 begins\n@@ test 0 ends 0\n"), None);
        assert_eq!(unfinished(""), None);
    }
}
