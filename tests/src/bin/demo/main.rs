//! The demo: a two-tier application on three nodes, each with its own proxyd, on one kernel.
//!
//! Every step does something a person could type, prints it with what came of it, and compares that
//! with what it promises. A step that fails does not end the demo: the next ones may still hold.
//! How the cluster is made is the laboratory's business ([`tests::lab`]).
#![forbid(unsafe_code)]

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Instant;

mod ask;
mod foretold;
mod held;
mod screen;
mod stage;
mod steps;
mod verdict;

use screen::{Colour, Screen};
use stage::Stage;
use verdict::caught;

fn main() -> ExitCode {
    let begin = Instant::now();
    // What a step panics with is told once, as the step's failure.
    std::panic::set_hook(Box::new(|_| {}));
    let screen = Screen::new(colour());
    match caught(|| Ok(Stage::set_up(screen))) {
        Ok(mut stage) => conclude(screen, &failed_steps(screen, &mut stage), begin),
        Err(failure) => {
            screen.failed(&format!("the cluster could not be made: {failure}"));
            screen.last("demo: nothing was shown");
            ExitCode::FAILURE
        }
    }
}

/// `--color` asks for colours where standard output is a pipe to a terminal.
fn colour() -> Colour {
    let asked_for = std::env::args().any(|argument| argument == "--color");
    if asked_for || std::io::stdout().is_terminal() { Colour::On } else { Colour::Off }
}

/// Walks through all steps. Returns the numbers of those that failed.
fn failed_steps(screen: Screen, stage: &mut Stage) -> Vec<usize> {
    let mut failed = Vec::new();
    for (number, step) in (1..).zip(steps::ALL) {
        screen.heading(number, step.title);
        match caught(|| (step.run)(stage)) {
            Ok(shown) => screen.ok(&shown),
            Err(failure) => {
                screen.failed(&failure.to_string());
                failed.push(number);
            }
        }
    }
    failed
}

fn conclude(screen: Screen, failed: &[usize], begin: Instant) -> ExitCode {
    let all = steps::ALL.len();
    if failed.is_empty() {
        let seconds = begin.elapsed().as_secs();
        screen.last(&format!("demo: all {all} steps showed what they promise ({seconds} s)"));
        return ExitCode::SUCCESS;
    }
    let numbers: Vec<_> = failed.iter().map(ToString::to_string).collect();
    let steps = if failed.len() == 1 { "step" } else { "steps" };
    screen
        .last(&format!("demo: {steps} {} of {all} did not show what it says", numbers.join(", ")));
    ExitCode::FAILURE
}
