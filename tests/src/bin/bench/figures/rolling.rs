//! A Service of 250 endpoints is replaced, some at a time.

use std::net::IpAddr;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;

use super::change::PATIENCE;
use crate::kernel::Kernel;
use crate::percentiles::say_percentiles;
use crate::stage::Stage;
use crate::workload::{Condition, Plain, endpoint, stranger};

/// Endpoints in all, in each slice, and in each step.
const ENDPOINTS: u32 = 250;
const SLICE: u32 = 100;
const STEP: u32 = 5;
/// Far from the numbers of others.
const FIRST: u32 = 700_000;
/// Between steps.
const REST: Duration = Duration::from_millis(30);

/// Measures how long after each step the kernel has exactly those endpoints.
///
/// # Errors
/// When it does not.
pub(crate) fn rolling(stage: &Stage, kernel: &mut Kernel) -> anyhow::Result<()> {
    let plain = Plain::all(&stage.population).next().context("there are Services")?.another(60_000);
    let id = plain.id();
    let _ = stage.api.apply(&plain.service);
    let mut times = Vec::new();
    for replaced in (0..=ENDPOINTS).step_by(usize::try_from(STEP).unwrap_or(1)) {
        let numbers = (FIRST..FIRST + ENDPOINTS)
            .map(|number| if number < FIRST + replaced { number + ENDPOINTS } else { number });
        let mut wanted: Vec<IpAddr> = numbers.map(stranger).collect();
        let changed = match replaced {
            0 => 0..ENDPOINTS.div_ceil(SLICE),
            _ => {
                let slice = (replaced - STEP) / SLICE;
                slice..slice + 1
            }
        };
        let mut slices = Vec::new();
        for part in changed {
            let mut slice = plain.slice.clone();
            slice["metadata"]["name"] = format!("rolling-{part}").into();
            let endpoints = wanted.chunks(SLICE as usize).nth(part as usize).unwrap_or_default();
            slice["endpoints"] = json!(
                endpoints.iter().map(|&ip| endpoint(ip, Condition::Ready)).collect::<Vec<_>>()
            );
            slices.push(slice);
        }
        wanted.sort_unstable();
        let change = || {
            for slice in &slices {
                let _ = stage.api.apply(slice);
            }
        };
        let took = kernel.after(change, PATIENCE, |kernel| kernel.active(&id) == wanted);
        let took = took.with_context(|| format!("step {replaced} does not come"))?;
        if replaced > 0 {
            times.push(took);
        }
        thread::sleep(REST);
    }
    say_percentiles("rolling update step", times);
    Ok(())
}
