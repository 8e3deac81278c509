//! What a proxy asks of the kernel, by a trace: it takes far longer meanwhile, and counts the same.

use std::path::Path;
use std::thread;

use super::change::{REST, steps};
use super::cold::finish;
use crate::kernel::Kernel;
use crate::proxy::Proxy;
use crate::reading::say;
use crate::size::Size;
use crate::stage::{Audits, Stage};
use crate::trace::Calls;
use crate::workload::Plain;

/// Rounds of changes to an endpoint; nothing of them is random.
const ROUNDS: u32 = 20;

/// Counts it, of a start and of changes.
///
/// # Errors
/// When one of them does not come to its end.
pub(crate) fn calls(program: &Path, size: Size) -> anyhow::Result<()> {
    let stage = Stage::new(size, Audits::Rare)?;
    let trace = stage.logs().join("trace");
    let mut proxy = Proxy::start_traced(program, &stage, &trace)?;
    finish(&mut proxy, &stage)?;
    let start = Calls::read(&trace)?;
    say("start: system calls", start.all, "");
    say("start: readings of the clock", start.clock, "");
    say("start: netlink messages", start.messages, "");
    let mut kernel = Kernel::of(&stage.node)?;
    change(&stage, &mut kernel, 0..1)?;
    let before = Calls::read(&trace)?;
    let changes = change(&stage, &mut kernel, 1..1 + ROUNDS)?;
    let made = Calls::read(&trace)?.since(before);
    let each = |count: u64| count as f64 / f64::from(changes);
    say("a change: system calls", each(made.all), "");
    say("a change: readings of the clock", each(made.clock), "");
    say("a change: netlink messages", each(made.messages), "");
    Ok(())
}

/// Makes changes to endpoints, one after another. How many.
fn change(stage: &Stage, kernel: &mut Kernel, rounds: std::ops::Range<u32>) -> anyhow::Result<u32> {
    let plain: Vec<_> = Plain::all(&stage.population).take(64).collect();
    let mut changes = 0;
    for (round, plain) in rounds.zip(plain.iter().cycle()) {
        for step in steps(plain, round) {
            step.make(stage, kernel)?;
            changes += 1;
            // What follows a change is its, too.
            thread::sleep(4 * REST);
        }
    }
    Ok(changes)
}
