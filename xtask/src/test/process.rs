//! Runs a program to its end and keeps what it said, showing it meanwhile if asked.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;

use anyhow::{Context, Result};

/// A program that ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) success: bool,
    /// Standard output alone, for parsing.
    pub(super) stdout: String,
    /// Both streams, line by line as they came.
    pub(super) output: String,
}

/// Runs it; an error means that it could not be started.
pub(super) fn run(command: &mut Command, verbose: bool) -> Result<Ended> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {}", command.get_program().display()))?;
    let stdout = child.stdout.take().expect("standard output is piped");
    let stderr = child.stderr.take().expect("standard error is piped");
    let output = Mutex::new(String::new());
    let stdout = thread::scope(|scope| {
        scope.spawn(|| collect(stderr, &output, verbose));
        collect(stdout, &output, verbose)
    });
    let success = child.wait().context("wait for a program")?.success();
    Ok(Ended { success, stdout, output: output.into_inner().expect("no collector panics") })
}

fn collect(stream: impl Read, output: &Mutex<String>, verbose: bool) -> String {
    let mut all = String::new();
    for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).into_owned() + "\n";
        output.lock().expect("no collector panics").push_str(&line);
        if verbose {
            // Showing is a courtesy: the result does not depend on a reader.
            let _ = io::stdout().write_all(line.as_bytes());
        }
        all.push_str(&line);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_both_streams() {
        let ended =
            run(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 1"]), false).unwrap();
        assert!(!ended.success);
        assert_eq!(ended.stdout, "out\n");
        assert!(ended.output.contains("out\n") && ended.output.contains("err\n"));
    }
}
