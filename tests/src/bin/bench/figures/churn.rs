//! Endpoints are replaced all the time.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::Value;
use tests::apiserver::ApiServer;

use super::change::PATIENCE;
use super::cold::{Served, serve};
use crate::kernel::Kernel;
use crate::percentiles::say_percentiles;
use crate::reading::{say, say_time};
use crate::size::Size;
use crate::stage::{Audits, Stage};
use crate::workload::{Condition, Plain, endpoint, server, stranger};

/// How fast, and how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Churn {
    pub(crate) rate: u32,
    pub(crate) period: Duration,
}

/// Services that change in turn.
const CHANGING: usize = 500;
/// Between the changes that are waited for.
const PROBE: Duration = Duration::from_millis(40);

/// Measures how long changes take among others, and what all of them cost.
///
/// # Errors
/// When one does not come to the kernel.
pub(crate) fn churn(program: &Path, size: Size, churn: Churn) -> anyhow::Result<()> {
    let Served { stage, proxy } = serve(program, size, Audits::Rare)?;
    let before = proxy.usage()?;
    let Changed { times, written, took, backlog } = change(&stage, churn)?;
    let used = proxy.usage()?.since(before);
    let share = |part: Duration| part.as_secs_f64() / took.as_secs_f64();
    say("rate", written as f64 / took.as_secs_f64(), "changes/s");
    let third = times.len() / 3;
    say_percentiles("first third", times[..third].to_vec());
    say_percentiles("last third", times[times.len() - third..].to_vec());
    say_percentiles("change", times);
    say_time("backlog at the end", backlog);
    say("user share", share(used.user), "cores");
    say("system share", share(used.system), "cores");
    say("child processes", u64::from(used.children_faults > 0), "");
    say("peak memory", used.peak_kib, "KiB");
    say("memory", used.resident_kib, "KiB");
    Ok(())
}

/// What came of it.
pub(crate) struct Changed {
    /// How long the changes took that were waited for.
    pub(crate) times: Vec<Duration>,
    pub(crate) written: u64,
    pub(crate) took: Duration,
    /// From the last write to the kernel having it.
    pub(crate) backlog: Duration,
}

/// Changes slices at a rate, and waits for some changes meanwhile.
///
/// # Errors
/// When one does not come to the kernel.
pub(crate) fn change(stage: &Stage, Churn { rate, period }: Churn) -> anyhow::Result<Changed> {
    let plain: Vec<_> = Plain::all(&stage.population).take(CHANGING + 1).collect();
    let (probe, changing) = plain.split_first().context("there are Services")?;
    // Made before, so that making them costs the only processor nothing.
    let slices: Vec<[Value; 2]> = changing
        .iter()
        .map(|plain| [1, 2].map(|changes| stage.population.changed_slice(plain.number, changes)))
        .collect();
    let (is_over, written) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut kernel = Kernel::of(&stage.node)?;
    let start = Instant::now();
    let times = thread::scope(|scope| {
        scope.spawn(|| write(&stage.api, &slices, rate, &is_over, &written));
        let times = probe_until(start + period, probe, stage, &mut kernel, 0);
        is_over.store(true, Ordering::Relaxed);
        times
    })?;
    let took = start.elapsed();
    let last = probe_until(Instant::now(), probe, stage, &mut kernel, 400_000)?;
    let backlog = last.first().copied().unwrap_or_default();
    Ok(Changed { times, written: written.into_inner(), took, backlog })
}

/// Replaces an endpoint of one Service after another, and takes that back in the next round.
fn write(
    api: &ApiServer,
    slices: &[[Value; 2]],
    rate: u32,
    is_over: &AtomicBool,
    written: &AtomicU64,
) {
    let start = Instant::now();
    let rounds = (0..).flat_map(|round| slices.iter().map(move |both| &both[round % 2]));
    for (number, slice) in (0_u32..).zip(rounds) {
        let due = Duration::from_secs(1) * number / rate;
        thread::sleep(due.saturating_sub(start.elapsed()));
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        let _ = api.apply(slice);
        written.fetch_add(1, Ordering::Relaxed);
    }
}

/// Adds and removes an endpoint of one Service, at least once, and says how long each took.
fn probe_until(
    end: Instant,
    plain: &Plain,
    stage: &Stage,
    kernel: &mut Kernel,
    first: u32,
) -> anyhow::Result<Vec<Duration>> {
    let mut times = Vec::new();
    let id = plain.id();
    for number in first.. {
        let new = server(stranger(number));
        let mut slice = plain.slice.clone();
        if let Some(endpoints) = slice["endpoints"].as_array_mut() {
            endpoints.push(endpoint(new.ip(), Condition::Ready));
        }
        let change = || {
            let _ = stage.api.apply(&slice);
        };
        let took = kernel.after(change, PATIENCE, |kernel| {
            thread::sleep(Duration::from_micros(200));
            kernel.weight(&id, new) > Some(0)
        });
        times.push(took.context("a change among others does not come")?);
        if Instant::now() >= end {
            break;
        }
        thread::sleep(PROBE);
    }
    let _ = stage.api.apply(&plain.slice);
    Ok(times)
}
