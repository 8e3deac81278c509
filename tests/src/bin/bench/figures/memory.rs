//! What a proxy holds after a start, after many changes, and when everything is gone.

use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;

use super::change::name;
use super::churn::{Churn, change};
use super::cold::{Served, serve};
use crate::kernel::Kernel;
use crate::reading::{say, say_time};
use crate::size::Size;
use crate::stage::Audits;

const CHANGES: Churn = Churn { rate: 500, period: Duration::from_secs(20) };
/// What is ready to be given back is, in this time.
const REST: Duration = Duration::from_secs(7);
const PATIENCE: Duration = Duration::from_secs(600);

/// Measures it.
///
/// # Errors
/// When something does not come to the kernel.
pub(crate) fn memory(program: &Path, size: Size) -> anyhow::Result<()> {
    let Served { stage, proxy } = serve(program, size, Audits::Rare)?;
    thread::sleep(REST);
    let mut last = proxy.usage()?;
    say("peak after start", last.peak_kib, "KiB");
    say("after start", last.resident_kib, "KiB");
    let _ = change(&stage, CHANGES)?;
    thread::sleep(REST);
    last = proxy.usage()?;
    say("peak after churn", last.peak_kib, "KiB");
    say("after churn", last.resident_kib, "KiB");
    let all = ["services", "endpointslices"].map(|it| (it, stage.api.objects(it)));
    let delete = || {
        for (resource, object) in all.iter().flat_map(|(it, all)| all.iter().map(move |o| (it, o)))
        {
            let (namespace, name) = name(object);
            stage.api.delete(resource, namespace, name);
        }
    };
    let mut kernel = Kernel::of(&stage.node)?;
    let took = kernel.after(delete, PATIENCE, |kernel| {
        thread::sleep(Duration::from_millis(50));
        kernel.ipvs.services().is_ok_and(|services| services.is_empty())
    });
    say_time("deleting took", took.context("services stay")?);
    thread::sleep(REST);
    last = proxy.usage()?;
    say("peak after deletion", last.peak_kib, "KiB");
    say("after deletion", last.resident_kib, "KiB");
    Ok(())
}
